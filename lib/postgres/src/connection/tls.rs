//! `sslmode` and the certificates: what libpq would demand of the server, as a rustls configuration.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use vb_core::{Error, Result};

use super::keywords::Settings;
use super::verifier::{Authority, Unverified};

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What one attempt to connect does about TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    Plain,
    IfOffered,
    Required,
}

/// Where the authorities' certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Roots {
    System,
    Named(PathBuf),
    /// `~/.postgresql/root.crt`, which need not exist.
    Default(Option<PathBuf>),
}

/// What is checked about the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verification {
    Nothing,
    Authority,
    AuthorityAndName,
}

/// The settings that concern TLS.
#[derive(Debug, Clone)]
pub(super) struct TlsSettings {
    pub(super) mode: Mode,
    roots: Roots,
    /// The client's certificate and key.
    client: Option<(PathBuf, PathBuf)>,
}

impl Mode {
    fn parse(text: &str) -> Result<Self> {
        match text {
            "disable" => Ok(Self::Disable),
            "allow" => Ok(Self::Allow),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(Error::usage("sslmode is none of disable, allow, prefer, require, verify-ca and verify-full")),
        }
    }

    /// What to try, in this order.
    pub(super) fn attempts(self) -> &'static [Encryption] {
        match self {
            Self::Disable => &[Encryption::Plain],
            Self::Allow => &[Encryption::Plain, Encryption::IfOffered],
            Self::Prefer => &[Encryption::IfOffered, Encryption::Plain],
            Self::Require | Self::VerifyCa | Self::VerifyFull => &[Encryption::Required],
        }
    }
}

impl TlsSettings {
    /// The settings' meaning; no file is looked at but for the existence of the defaults below `home`.
    pub(super) fn decide(settings: &Settings, home: Option<&Path>) -> Result<Self> {
        let default = |name: &str| home.map(|home| home.join(".postgresql").join(name));
        let roots = match settings.get("sslrootcert") {
            Some("system") => Roots::System,
            Some(path) => Roots::Named(PathBuf::from(path)),
            None => Roots::Default(default("root.crt")),
        };
        let mode = match (settings.get("sslmode").map(Mode::parse).transpose()?, &roots) {
            (Some(mode), Roots::System) if mode != Mode::VerifyFull && mode != Mode::Disable => {
                return Err(Error::usage("sslrootcert=system needs sslmode=verify-full"));
            }
            (None, Roots::System) => Mode::VerifyFull,
            (mode, _) => mode.unwrap_or(Mode::Prefer),
        };
        let certificate = settings
            .get("sslcert")
            .map(PathBuf::from)
            .or_else(|| default("postgresql.crt").filter(|path| path.exists()));
        let key = settings.get("sslkey").map(PathBuf::from).or_else(|| default("postgresql.key"));
        Ok(Self { mode, roots, client: certificate.zip(key) })
    }

    /// The same settings as libpq reads them from the environment.
    pub(super) fn libpq_environment(&self) -> Vec<(&'static str, OsString)> {
        let mode = match self.mode {
            Mode::Disable => "disable",
            Mode::Allow => "allow",
            Mode::Prefer => "prefer",
            Mode::Require => "require",
            Mode::VerifyCa => "verify-ca",
            Mode::VerifyFull => "verify-full",
        };
        let mut all = vec![("PGSSLMODE", OsString::from(mode))];
        match &self.roots {
            Roots::System => all.push(("PGSSLROOTCERT", "system".into())),
            Roots::Named(path) | Roots::Default(Some(path)) => all.push(("PGSSLROOTCERT", path.into())),
            Roots::Default(None) => {}
        }
        if let Some((certificate, key)) = &self.client {
            all.push(("PGSSLCERT", certificate.into()));
            all.push(("PGSSLKEY", key.into()));
        }
        all
    }
}

fn verification(mode: Mode, roots: &Roots) -> Verification {
    let root_exists = match roots {
        Roots::System | Roots::Named(_) => true,
        Roots::Default(path) => path.as_ref().is_some_and(|path| path.exists()),
    };
    match mode {
        Mode::VerifyFull => Verification::AuthorityAndName,
        Mode::VerifyCa => Verification::Authority,
        Mode::Require if root_exists => Verification::Authority,
        Mode::Require | Mode::Disable | Mode::Allow | Mode::Prefer => Verification::Nothing,
    }
}

/// Reads the certificates and makes the configuration.
pub(super) fn client_config(settings: &TlsSettings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match verification(settings.mode, &settings.roots) {
        Verification::Nothing => Arc::new(Unverified(Arc::clone(&provider))),
        checks => Arc::new(authority(&settings.roots, &provider, checks == Verification::AuthorityAndName)?),
    };
    let failed = |cause: rustls::Error| Error::failure(format!("preparing TLS: {cause}")).with_source(cause);
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match &settings.client {
        Some((certificate, key)) => {
            builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?).map_err(failed)
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

fn authority(roots: &Roots, provider: &Arc<CryptoProvider>, check_name: bool) -> Result<Authority> {
    let certificates = match roots {
        Roots::System => rustls_native_certs::load_native_certs().certs,
        Roots::Named(path) | Roots::Default(Some(path)) => certificates(path)?,
        Roots::Default(None) => return Err(no_roots("HOME is not set")),
    };
    let mut store = RootCertStore::empty();
    // Among the system's hundreds some may be odd; the server's chain decides which one is needed.
    store.add_parsable_certificates(certificates.iter().cloned());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
    let verifier = verifier.map_err(|cause| no_roots(&cause.to_string()))?;
    Ok(Authority { verifier, roots: certificates, check_name })
}

fn no_roots(why: &str) -> Error {
    Error::usage(format!("no certificate authority to verify the server with: {why}"))
        .with_hint("Set PGSSLROOTCERT to the authority's certificate, or to system for those that the system trusts.")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(path)?;
    let list: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let list = list.ok().filter(|list| !list.is_empty());
    list.ok_or_else(|| Error::usage(format!("{} has no certificate in PEM form", path.display())))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let metadata =
        std::fs::metadata(path).map_err(|cause| Error::io(format_args!("reading {}", path.display()), cause))?;
    // libpq's rule: mode 0600, or 0640 where root owns the file.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(Error::denied(format!("the private key {} is open to others", path.display()))
            .with_hint("Take the others' permissions away: chmod 0600 on that file."));
    }
    let wrong = |_| {
        Error::usage(format!("{} has no private key in PEM form", path.display()))
            .with_hint("An encrypted key must be decrypted first: nothing is asked from the terminal.")
    };
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(wrong)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| {
        Error::io(format_args!("reading {}", path.display()), cause).with_hint(
            "Set PGSSLROOTCERT (sslrootcert, sslcert, sslkey) to a file that exists, or PGSSLROOTCERT to system.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(pairs: &[(&str, &str)]) -> Result<TlsSettings> {
        let mut settings = Settings::default();
        for (keyword, value) in pairs {
            settings.set(keyword, *value).unwrap();
        }
        TlsSettings::decide(&settings, Some(Path::new("/nonexistent")))
    }

    #[test]
    fn modes() {
        use Verification::{Authority, AuthorityAndName, Nothing};
        for (pairs, mode, expected) in [
            (&[][..], Mode::Prefer, Nothing),
            (&[("sslmode", "allow"), ("sslrootcert", "/ca")], Mode::Allow, Nothing),
            (&[("sslrootcert", "/ca")], Mode::Prefer, Nothing),
            (&[("sslmode", "require")], Mode::Require, Nothing),
            (&[("sslmode", "require"), ("sslrootcert", "/ca")], Mode::Require, Authority),
            (&[("sslmode", "verify-ca")], Mode::VerifyCa, Authority),
            (&[("sslmode", "verify-full")], Mode::VerifyFull, AuthorityAndName),
            (&[("sslrootcert", "system")], Mode::VerifyFull, AuthorityAndName),
        ] {
            let settings = decided(pairs).unwrap();
            assert_eq!((settings.mode, verification(settings.mode, &settings.roots)), (mode, expected), "{pairs:?}");
        }
        assert!(decided(&[("sslmode", "require"), ("sslrootcert", "system")]).is_err());
    }

    #[test]
    fn a_default_root_makes_require_verify() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.crt");
        let roots = Roots::Default(Some(path.clone()));
        assert_eq!(verification(Mode::Require, &roots), Verification::Nothing);
        std::fs::write(&path, "").unwrap();
        assert_eq!(verification(Mode::Require, &roots), Verification::Authority);
        assert_eq!(verification(Mode::Prefer, &roots), Verification::Nothing);
    }

    #[test]
    fn a_missing_root_is_told() {
        let error = client_config(&decided(&[("sslmode", "verify-full"), ("sslrootcert", "/nonexistent/ca")]).unwrap())
            .unwrap_err();
        assert_eq!(error.to_string(), "reading /nonexistent/ca: no such file or directory");
        assert!(error.hint().is_some());
    }
}

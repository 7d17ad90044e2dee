//! Who we are for Google: a credentials file of any of its kinds, else the machine's own account; nobody for other servers.

use crate::error::explain_credentials;
use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{
    CacheableResource, Credentials, external_account, impersonated, mds, service_account, user_account,
};
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;
use vb_core::environment::{self as variables, Environment};
use vb_core::{Error, Result};

/// What a store needs: objects, and for lifecycle rules the bucket (OAuth 2.0 scopes, "Cloud Storage").
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";

/// Where `gcloud auth application-default login` leaves its file (AIP-4113).
const GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

/// How long a token may take.
const PATIENCE: Duration = Duration::from_secs(30);

const HINT: &str =
    "Set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, or run gcloud auth application-default login.";

/// Where the credentials come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    /// The file that the user names: it must be there.
    named: Option<PathBuf>,
    /// gcloud's, where it was used.
    gcloud: Option<PathBuf>,
}

impl Source {
    pub(crate) fn new(environment: &Environment) -> Self {
        let named = environment.get(variables::GOOGLE_APPLICATION_CREDENTIALS).map(PathBuf::from);
        let gcloud = environment.get(variables::HOME).map(|home| PathBuf::from(home).join(GCLOUD));
        Self { named, gcloud }
    }

    /// The file's content; `None` means the machine's own account.
    fn read(&self) -> Result<Option<Value>> {
        let existing = || self.gcloud.clone().filter(|path| path.is_file());
        let Some(path) = self.named.clone().or_else(existing) else { return Ok(None) };
        let step = format!("reading the credentials in {}", path.display());
        let text = std::fs::read(&path).map_err(|cause| Error::io(&step, cause).with_hint(HINT))?;
        // The parser's words could show a piece of a key.
        let json: Value = serde_json::from_slice(&text)
            .map_err(|cause| Error::usage(format!("{step}: line {} is no JSON", cause.line())).with_hint(HINT))?;
        build(&json)
            .map_or_else(|| Err(Error::usage(format!("{step}: of no known type")).with_hint(HINT)), |_| Ok(()))?;
        Ok(Some(json))
    }
}

type Build = Box<dyn FnOnce() -> Result<Credentials>>;

/// How credentials of this file's type are made; `None` if Google has no such type.
fn build(file: &Value) -> Option<Build> {
    let json = file.clone();
    let refused = |cause| explain_credentials(&cause, false, HINT);
    Some(match file["type"].as_str()? {
        "service_account" => Box::new(move || {
            let scope = AccessSpecifier::from_scopes([SCOPE]);
            service_account::Builder::new(json).with_access_specifier(scope).build().map_err(refused)
        }),
        "authorized_user" => Box::new(move || user_account::Builder::new(json).build().map_err(refused)),
        "external_account" => {
            Box::new(move || external_account::Builder::new(json).with_scopes([SCOPE]).build().map_err(refused))
        }
        "impersonated_service_account" => {
            Box::new(move || impersonated::Builder::new(json).with_scopes([SCOPE]).build().map_err(refused))
        }
        _ => return None,
    })
}

/// Gives each request its token. The library keeps and renews tokens; it does not ask again after a failure.
pub(crate) struct Tokens {
    file: Option<Value>,
    current: Mutex<Option<Credentials>>,
}

impl Tokens {
    /// Reads the file; speaks to nobody yet.
    ///
    /// # Errors
    /// If it cannot be read, or is of no type that Google has.
    pub(crate) fn new(source: &Source) -> Result<Self> {
        Ok(Self { file: source.read()?, current: Mutex::new(None) })
    }

    /// The headers that prove who we are.
    pub(crate) async fn headers(&self) -> Result<HeaderMap> {
        let credentials = self.current().await?;
        let failure = match tokio::time::timeout(PATIENCE, credentials.headers(Default::default())).await {
            Ok(Ok(CacheableResource::New { data, .. })) => return Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Error::failure("getting a token: the library gave none"),
            Ok(Err(cause)) => explain_credentials(&cause, cause.is_transient(), HINT),
            Err(_) => Error::unavailable(format!("getting a token: no answer within {} s", PATIENCE.as_secs())),
        };
        // Made anew for the next try: the library would repeat its error for a while, or for ever.
        *self.current.lock().await = None;
        Err(if self.file.is_some() { failure } else { failure.during("there is no credentials file") })
    }

    async fn current(&self) -> Result<Credentials> {
        let mut current = self.current.lock().await;
        if let Some(credentials) = &*current {
            return Ok(credentials.clone());
        }
        let made = match self.file.as_ref().and_then(build) {
            Some(build) => build()?,
            None => mds::Builder::default()
                .with_scopes([SCOPE])
                .build()
                .map_err(|cause| explain_credentials(&cause, false, HINT))?,
        };
        Ok(current.insert(made).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use vb_core::ErrorKind;

    fn tokens(file: &str, content: &str) -> Result<Tokens> {
        let path = std::env::temp_dir().join(format!("vb-gcs-{file}-{}.json", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let tokens = Tokens::new(&Source { named: Some(path.clone()), gcloud: None });
        std::fs::remove_file(path).unwrap();
        tokens
    }

    #[test]
    fn a_named_file_must_be_there_and_be_credentials() {
        let nowhere = Source { named: Some(PathBuf::from("/no/such/file")), gcloud: None };
        assert_eq!(Tokens::new(&nowhere).map(|_| ()).unwrap_err().kind(), ErrorKind::NotFound);
        for (name, content) in
            [("text", "private-key-material"), ("type", r#"{"type": "other", "private_key": "private-key-material"}"#)]
        {
            let error = tokens(name, content).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains("material") && error.hint().is_some(), "{error}");
        }
        assert!(tokens("user", r#"{"type": "authorized_user"}"#).is_ok());
    }

    #[test]
    fn without_a_file_it_is_the_machine() {
        let source = Source { named: None, gcloud: Some(PathBuf::from("/no/such/file")) };
        assert!(Tokens::new(&source).unwrap().file.is_none());
    }

    fn headers(tokens: &Tokens) -> Vec<Result<HeaderMap>> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { vec![tokens.headers().await, tokens.headers().await] })
    }

    #[test]
    fn a_service_account_signs_its_own_token() {
        let openssl = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
        let key = std::process::Command::new("openssl").args(openssl).output().unwrap();
        assert!(key.status.success(), "{}", String::from_utf8_lossy(&key.stderr));
        let file = serde_json::json!({
            "type": "service_account", "project_id": "p", "private_key_id": "1", "client_email": "vb@p.iam.gserviceaccount.com",
            "private_key": String::from_utf8(key.stdout).unwrap(),
        });
        let answer = headers(&tokens("service", &file.to_string()).unwrap()).remove(0).unwrap();
        let token = answer["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(token.split('.').count(), 3, "{token}");
    }

    /// Google's library would repeat its first failure.
    #[test]
    fn after_a_failure_the_next_try_asks_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let token = r#"{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}"#;
            for (status, body) in [("503 Later", "secret-words"), ("200 OK", token)] {
                let (mut client, _) = listener.accept().unwrap();
                let _ = client.read(&mut [0; 4096]).unwrap();
                let length = body.len();
                write!(client, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                    .unwrap();
            }
        });
        let file = serde_json::json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "token_uri": url,
        });
        let mut answers = headers(&tokens("refresh", &file.to_string()).unwrap());
        server.join().unwrap();
        assert_eq!(answers.remove(1).unwrap()["authorization"], "Bearer t");
        let error = answers.remove(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("503") && !error.to_string().contains("secret-words"), "{error}");
    }

    #[test]
    fn a_broken_file_is_refused_when_it_is_used_without_showing_it() {
        let tokens = tokens("broken", r#"{"type": "service_account", "private_key": "private-key-material"}"#).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(tokens.headers()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(!error.to_string().contains("material"), "{error}");
    }
}

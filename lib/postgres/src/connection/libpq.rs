//! The same connection for a program that links libpq, as its environment: nothing of it stands on a command line.

use super::host::Place;
use super::parameters::{Binding, Parameters};
use std::ffi::OsString;

/// Variables of our own environment that such a program may need and that say nothing about the connection.
const KEPT: &[&str] = &["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"];

impl Parameters {
    /// The whole environment for a program that shall connect as we do, to the first host; the password is in it.
    #[must_use]
    pub fn libpq_environment(&self) -> Vec<(OsString, OsString)> {
        let mut all: Vec<(OsString, OsString)> =
            KEPT.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))).collect();
        let mut set = |name: &str, value: OsString| all.push((name.into(), value));
        if let Some(host) = self.hosts.first() {
            match &host.place {
                Place::Tcp { name, address } => {
                    set("PGHOST", name.into());
                    if let Some(address) = address {
                        set("PGHOSTADDR", address.to_string().into());
                    }
                }
                Place::Unix(folder) => set("PGHOST", folder.into()),
            }
            set("PGPORT", host.port.to_string().into());
            if let Some(password) = &host.password {
                set("PGPASSWORD", password.into());
            }
        }
        set("PGUSER", (&self.user).into());
        set("PGDATABASE", (&self.database).into());
        set("PGAPPNAME", (&self.application_name).into());
        if let Some(options) = &self.options {
            set("PGOPTIONS", options.into());
        }
        if let Some(limit) = self.connect_timeout {
            set("PGCONNECT_TIMEOUT", limit.as_secs().max(2).to_string().into());
        }
        let binding = match self.binding {
            Binding::Disable => "disable",
            Binding::Prefer => "prefer",
            Binding::Require => "require",
        };
        set("PGCHANNELBINDING", binding.into());
        set("PGCLIENTENCODING", "UTF8".into());
        // We speak none, so whoever let us in did not ask for it.
        set("PGGSSENCMODE", "disable".into());
        set("LC_ALL", "C".into());
        all.extend(self.tls.libpq_environment().into_iter().map(|(name, value)| (name.into(), value)));
        all
    }
}

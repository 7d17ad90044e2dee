//! All that a connection needs, from the environment and the files that libpq reads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use vb_core::environment::{self as variable, Environment, Variable};
use vb_core::{Error, Result};

use super::host::{self, DEFAULT_SOCKET_FOLDER, Endpoint, Host, Place};
use super::keywords::{self, Settings};
use super::session::Session;
use super::tls::TlsSettings;
use super::{password_file, service_file};

/// How long to wait for a server where nothing says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The variables that stand for a keyword each.
const VARIABLES: &[(Variable, &str)] = &[
    (variable::PGHOST, "host"),
    (variable::PGHOSTADDR, "hostaddr"),
    (variable::PGPORT, "port"),
    (variable::PGUSER, "user"),
    (variable::PGDATABASE, "dbname"),
    (variable::PGPASSWORD, "password"),
    (variable::PGPASSFILE, "passfile"),
    (variable::PGSSLMODE, "sslmode"),
    (variable::PGSSLROOTCERT, "sslrootcert"),
    (variable::PGSSLCERT, "sslcert"),
    (variable::PGSSLKEY, "sslkey"),
    (variable::PGCHANNELBINDING, "channel_binding"),
    (variable::PGTARGETSESSIONATTRS, "target_session_attrs"),
    (variable::PGCONNECT_TIMEOUT, "connect_timeout"),
    (variable::PGAPPNAME, "application_name"),
    (variable::PGOPTIONS, "options"),
];

/// Where to connect, as whom, and how. Its `Debug` shows no password.
#[derive(Clone)]
pub struct Parameters {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) application_name: String,
    pub(super) options: Option<String>,
    pub(super) tls: TlsSettings,
    pub(super) binding: Binding,
    pub(super) session: Session,
    /// `None` waits for ever.
    pub(super) connect_timeout: Option<Duration>,
    warnings: Vec<String>,
}

/// `channel_binding`: whether SCRAM must prove that both ends see the same TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    Disable,
    Prefer,
    Require,
}

impl Parameters {
    /// By libpq's rules: `DATABASE_URL`, for what it leaves out the service's section, then `PG*`, then defaults; the password
    /// from the password file where nothing else gives it. Nothing is asked from the terminal.
    ///
    /// # Errors
    /// A setting that is unknown or malformed, a service that no file has, or no way to know the role.
    pub fn resolve(environment: &Environment, application_name: &str) -> Result<Self> {
        let home = environment.get(variable::HOME).map(Path::new);
        let mut settings = match environment.get(variable::DATABASE_URL) {
            Some(text) => keywords::parse(text).map_err(|error| error.during("DATABASE_URL"))?,
            None => Settings::default(),
        };
        if let Some(service) = settings.get("service").or_else(|| environment.get(variable::PGSERVICE)) {
            let places = service_file::places(settings.get("servicefile"), environment, home);
            let section = service_file::load(service, &places)?;
            settings.fill(section);
        }
        let mut variables = Settings::default();
        for (variable, keyword) in VARIABLES {
            variables.set(keyword, environment.get(*variable).unwrap_or_default())?;
        }
        settings.fill(variables);
        let default_place = default_place(Path::new(DEFAULT_SOCKET_FOLDER).is_dir());
        let mut parameters = Self::decide(&settings, application_name, &default_place, home, system_user)?;
        parameters.add_passwords(&settings, home);
        Ok(parameters)
    }

    /// The same server and role, and another database on it.
    #[must_use]
    pub fn in_database(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    /// The settings' meaning; what the system has to tell comes in as values.
    fn decide(
        settings: &Settings,
        application_name: &str,
        default_place: &Place,
        home: Option<&Path>,
        system_user: impl FnOnce() -> Result<String>,
    ) -> Result<Self> {
        let user = settings.get("user").map_or_else(system_user, |user| Ok(user.to_owned()))?;
        let name = settings.get("application_name").or_else(|| settings.get("fallback_application_name"));
        Ok(Self {
            hosts: host::hosts(settings, default_place)?,
            database: settings.get("dbname").unwrap_or(&user).to_owned(),
            user,
            application_name: name.unwrap_or(application_name).to_owned(),
            options: settings.get("options").map(str::to_owned),
            tls: TlsSettings::decide(settings, home)?,
            binding: Binding::parse(settings.get("channel_binding"))?,
            session: Session::parse(settings.get("target_session_attrs"))?,
            connect_timeout: timeout(settings.get("connect_timeout"))?,
            warnings: Vec::new(),
        })
    }

    fn add_passwords(&mut self, settings: &Settings, home: Option<&Path>) {
        if let Some(password) = settings.get("password") {
            for host in &mut self.hosts {
                host.password = Some(password.to_owned());
            }
            return;
        }
        let path = settings.get("passfile").map(PathBuf::from).or_else(|| home.map(|home| home.join(".pgpass")));
        match path.map(|path| password_file::read(&path)) {
            Some(Ok(Some(text))) => {
                let (database, user) = (&self.database, &self.user);
                for host in &mut self.hosts {
                    let name = host.password_name();
                    let login = password_file::Login { host: &name, port: host.port, database, user };
                    host.password = password_file::find(&text, &login);
                }
            }
            Some(Err(warning)) => self.warnings.push(warning),
            _ => {}
        }
    }

    /// `role@host:port/database`, for messages; several hosts stand with commas between them.
    #[must_use]
    pub fn describe(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        format!("{}@{}/{}", self.user, hosts.join(","), self.database)
    }

    /// What the user should know although it is no error: a password file that is not used, and why.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The role.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The same for this one server, whatever it is.
    pub(super) fn narrowed(&self, host: &Host, endpoint: &Endpoint) -> Self {
        let mut host = host.clone();
        if let (Place::Tcp { address, .. }, Endpoint::Tcp { address: found, .. }) = (&mut host.place, endpoint) {
            *address = Some(found.ip());
        }
        Self { hosts: vec![host], session: Session::Any, ..self.clone() }
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Parameters({})", self.describe())
    }
}

impl Binding {
    fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            Some("disable") => Ok(Self::Disable),
            None | Some("prefer") => Ok(Self::Prefer),
            Some("require") => Ok(Self::Require),
            Some(_) => Err(Error::usage("channel_binding is none of disable, prefer and require")),
        }
    }
}

fn default_place(socket_folder_exists: bool) -> Place {
    if socket_folder_exists {
        return Place::Unix(PathBuf::from(DEFAULT_SOCKET_FOLDER));
    }
    Place::Tcp { name: "localhost".to_owned(), address: None }
}

/// Seconds; as in libpq, zero or less waits for ever.
fn timeout(text: Option<&str>) -> Result<Option<Duration>> {
    let Some(text) = text else { return Ok(Some(CONNECT_TIMEOUT)) };
    let seconds: i32 = text.trim().parse().map_err(|_| Error::usage("connect_timeout is not a number of seconds"))?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

/// The account's name. `id` knows accounts from every source the system has; the variable USER may be wrong.
fn system_user() -> Result<String> {
    let output = Command::new("id").arg("-un").output().ok().filter(|output| output.status.success());
    let name = output.and_then(|output| String::from_utf8(output.stdout).ok()).map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty()).ok_or_else(|| {
        Error::usage("no role to connect as: the account has no name")
            .with_hint("Set PGUSER, or write the role in DATABASE_URL.")
    })
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;

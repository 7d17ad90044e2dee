//! Every environment variable, declared once with a sentence; `make env-example` prints them as `.env.example`.

use std::collections::BTreeMap;

/// A variable that some command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it means, as a sentence.
    pub sentence: &'static str,
    /// Whether its value must never be printed.
    pub secret: bool,
}

macro_rules! variables {
    ($($(#[$secret:ident])? $name:ident: $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            pub const $name: Variable = Variable {
                name: stringify!($name),
                sentence: $sentence,
                secret: false $(|| { let $secret = true; $secret })?,
            };
        )*
        /// Every variable, in the order of the example file.
        pub const ALL: &[Variable] = &[$($name),*];
    };
}

variables! {
    VB_STORE: "The store's URL, as --store takes it (for vb-put several, with blanks between them); without it CLOUD_PROVIDER decides, and without that it is file://./backups.";
    CLOUD_PROVIDER: "aws, azure, gcp or local: where backups go when no store is given.";
    S3_BUCKET_NAME: "The bucket, with CLOUD_PROVIDER=aws.";
    AWS_S3_BUCKET: "Another name for S3_BUCKET_NAME.";
    BACKUP_BUCKET: "The bucket of any provider, where no name of its own is set.";
    BACKUP_PREFIX: "What stands before every key, with CLOUD_PROVIDER.";
    AZURE_CONTAINER_NAME: "The container, with CLOUD_PROVIDER=azure.";
    AWS_ENDPOINT_URL: "Another server that speaks S3, such as http://127.0.0.1:8333; addressed by path.";
    AWS_REGION: "The bucket's region; us-east-1 where nothing says otherwise.";
    AWS_DEFAULT_REGION: "Another name for AWS_REGION.";
    AWS_PROFILE: "The profile in ~/.aws/config, where no key is given.";
    AWS_CA_BUNDLE: "The certificate authorities that may sign the S3 server's certificate, as a PEM file.";
    AWS_ACCESS_KEY_ID: "The key's id; without it the SDK's own chain (profile, SSO, web identity, container, instance role) is asked.";
    #[secret] AWS_SECRET_ACCESS_KEY: "The secret of that key.";
    #[secret] AWS_SESSION_TOKEN: "The token of temporary credentials.";
    #[secret] AZURE_STORAGE_CONNECTION_STRING: "The storage account with its key or a shared access signature, as Azure shows it.";
    AZURE_STORAGE_ACCOUNT: "The storage account, where no connection string is given; the identity comes from Entra ID.";
    AZURE_TENANT_ID: "The tenant of a service principal.";
    AZURE_CLIENT_ID: "The id of a service principal, or of the identity that the machine is to take.";
    #[secret] AZURE_CLIENT_SECRET: "The secret of the service principal.";
    GOOGLE_APPLICATION_CREDENTIALS: "The file of the Google service account; without it the machine's default credentials are asked.";
    STORAGE_EMULATOR_HOST: "Another server that speaks Google Cloud Storage, such as http://127.0.0.1:4443; asked without credentials.";
    VB_SSH_KEY: "The private key for sftp:// stores; without it the agent and then the keys in ~/.ssh are tried.";
    VB_SSH_KNOWN_HOSTS: "The file of host keys to trust, instead of ~/.ssh/known_hosts.";
    SSH_AUTH_SOCK: "The socket of the SSH agent, which the agent sets.";
    VB_STORAGE_CLASS: "The storage class or tier of stored data, by the provider's name: STANDARD_IA, Cool, NEARLINE.";
    VB_ENCRYPTION: "How the server encrypts what it stores: AES256 or aws:kms.";
    VB_KMS_KEY: "The key for that, by its id or name; without it the provider's default key.";
    VB_LOCK_DAYS: "For how many days the server must refuse to delete what is stored.";
    VB_LOCK_MODE: "Who may end that lock early: GOVERNANCE (whoever may bypass it, the default) or COMPLIANCE (nobody at all).";
    #[secret] DATABASE_URL: "The PostgreSQL to export from and import into; parts that it leaves out come from PG*.";
    PGHOST: "The server's host, or the folder of its Unix socket.";
    PGHOSTADDR: "The server's address, where its name must not be looked up.";
    PGPORT: "The server's port.";
    PGUSER: "The role to log in as.";
    PGDATABASE: "The database.";
    #[secret] PGPASSWORD: "The password; better in PGPASSFILE.";
    PGPASSFILE: "The password file, instead of ~/.pgpass.";
    PGSERVICE: "The section of the service file that holds the connection.";
    PGSERVICEFILE: "The service file, instead of ~/.pg_service.conf.";
    PGSYSCONFDIR: "The folder of the system's pg_service.conf.";
    PGSSLMODE: "disable, allow, prefer, require, verify-ca or verify-full.";
    PGSSLROOTCERT: "The certificate authorities that may sign the server's certificate, or system.";
    PGSSLCERT: "The certificate that we show to the server.";
    PGSSLKEY: "The key of that certificate.";
    PGCHANNELBINDING: "disable, prefer or require.";
    PGTARGETSESSIONATTRS: "Which of several hosts to take: any, read-write, read-only, primary, standby or prefer-standby.";
    PGCONNECT_TIMEOUT: "Seconds to wait for a connection.";
    PGAPPNAME: "The name that the server shows for the connection; the command's own by default.";
    PGOPTIONS: "Settings for the server's session, such as -c work_mem=64MB.";
    VB_TABLE: "The table that vb-export takes when none is named; verification_scores by default.";
    VB_PG_DUMP: "The pg_dump that writes a table's schema; without it the oldest one on the machine that reads the server.";
    VB_PG_RESTORE: "The pg_restore for the archives of vb-export dump; without it the oldest one on the machine that reads the archive.";
    VB_LOCK_WAIT: "How long vb-export tries again while another session has locked the table, such as 30s; 5m by default.";
    VB_SET: "The set's name in the store, instead of the one made from the table's.";
    VB_RUN_DIR: "The folder for the records by which the stages of a pipe prove their end; private to one user.";
    VB_JOBS: "Connections with which vb-export reads a table; one by default.";
    VB_SNAPSHOT: "The snapshot that vb-export reads from, as vb-export snapshot prints it and gives it to its command.";
    VB_ROW_HASH: "Set to yes, vb-export has the server hash the rows, so that vb-import can compare.";
    SLURM_ARRAY_TASK_ID: "The number of this task, which Slurm sets, for vb-export --shard auto.";
    SLURM_ARRAY_TASK_MIN: "The smallest of these numbers, which Slurm sets.";
    SLURM_ARRAY_TASK_COUNT: "How many tasks there are, which Slurm sets.";
    JOB_COMPLETION_INDEX: "The number of this pod from 0 on, which Kubernetes sets, for vb-export --shard auto/N.";
    VB_THREADS: "Threads of vb-compress; all cores by default.";
    VB_CACHE_DIR: "The folder in which vb-ls and vb-verify keep what they read of manifests; $XDG_CACHE_HOME/vb or ~/.cache/vb by default.";
    VB_PRICES: "The file of storage prices for vb-ls --cost, instead of the built-in ones.";
    #[secret] VB_SCRATCH_DATABASE_URL: "The PostgreSQL in which vb-verify makes and drops its scratch databases.";
    BACKUP_RETENTION_DAYS: "Daily backups that vb-prune keeps when no --keep option is given.";
    BACKUP_RETENTION_WEEKS: "Weekly backups that vb-prune keeps when no --keep option is given.";
    BACKUP_RETENTION_MONTHS: "Monthly backups that vb-prune keeps when no --keep option is given.";
    XDG_RUNTIME_DIR: "The user's run folder, which the system sets; VB_RUN_DIR goes before it.";
    XDG_CACHE_HOME: "The user's cache folder, which the system may set; VB_CACHE_DIR goes before it.";
    HOME: "The home folder, for .pgpass and .pg_service.conf; the system sets it.";
    TMPDIR: "The folder for temporary files; /tmp by default.";
}

/// The values that a command sees: its environment, and below that the `.env` of the working directory.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// From names and values; later ones win.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// The same with one more value, such as a flag's, which goes before the environment.
    #[must_use]
    pub fn with(mut self, variable: Variable, value: &str) -> Self {
        self.0.insert(variable.name.to_owned(), value.to_owned());
        self
    }

    /// The variable's value; an empty one counts as not set, as in every shell script.
    #[must_use]
    pub fn get(&self, variable: Variable) -> Option<&str> {
        self.0.get(variable.name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of these that is set.
    #[must_use]
    pub fn first(&self, variables: &[Variable]) -> Option<&str> {
        variables.iter().find_map(|variable| self.get(*variable))
    }
}

/// The example file: every variable with its sentence, all commented out.
#[must_use]
pub fn example_file() -> String {
    let mut text = String::from(
        "# Every variable that vb reads. A flag goes before the environment, the environment before this file.\n",
    );
    for variable in ALL {
        let mark = if variable.secret { " Secret." } else { "" };
        text.push_str(&format!("\n# {}{mark}\n#{}=\n", variable.sentence, variable.name));
    }
    text
}

/// The assignments in a `.env` file: `NAME=value` or `export NAME=value`, with `#` comments and optional quotes.
///
/// # Errors
/// The number of the first line that is none of these.
pub fn parse_dotenv(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(index + 1)?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            return Err(index + 1);
        }
        values.push((name.to_owned(), unquote(value.trim())));
    }
    Ok(values)
}

/// Quotes are taken off; outside of quotes a blank and `#` begin a comment.
fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside.to_owned();
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_lines() {
        let text = "# a comment\n\nexport A=1\nB = 'two # words'\nC=\"x\"\nD=plain # comment\nE=\n";
        let values = parse_dotenv(text).unwrap();
        let expected = [("A", "1"), ("B", "two # words"), ("C", "x"), ("D", "plain"), ("E", "")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parse_dotenv("A=1\nnot an assignment\n"), Err(2));
    }

    #[test]
    fn secrets_are_marked() {
        for variable in ALL {
            let looks_secret = ["PASSWORD", "SECRET", "TOKEN", "CONNECTION_STRING", "DATABASE_URL"]
                .iter()
                .any(|word| variable.name.contains(word));
            assert_eq!(variable.secret, looks_secret, "{}", variable.name);
        }
    }

    #[test]
    fn an_empty_value_is_none() {
        let environment = Environment::new([("VB_STORE".to_owned(), String::new())]);
        assert_eq!(environment.get(VB_STORE), None);
    }
}

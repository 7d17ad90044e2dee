//! What the tests of this crate share: an Azurite of their own, stores on it.
#![allow(dead_code)] // each test file takes what it needs

#[path = "../../../store-s3/tests/common/proxy.rs"]
pub(crate) mod proxy;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vb_core::environment::Environment;
use vb_core::key::Key;
use vb_core::location::Location;
use vb_core::parts::PartLimits;
use vb_store::RetryPolicy;
use vb_store_azure::{AzureConfig, AzureStore};

/// Azure allows any size of block, so these make many.
pub(crate) const PART: usize = 256 << 10;

/// The variable that leads to an account.
pub(crate) const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// A server that runs until this process ends.
pub(crate) struct Server {
    pub(crate) variables: BTreeMap<String, String>,
    // Its standard input is the server's sign of life.
    _script: Child,
}

impl Server {
    /// Starts `tests/servers/azurite` and waits until it is ready.
    pub(crate) fn start() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/azurite");
        let script = Command::new(&path).arg("--hold").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut script = script.unwrap_or_else(|error| panic!("starting {}: {error}", path.display()));
        let mut variables = BTreeMap::new();
        for line in BufReader::new(script.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "ready" {
                return Self { variables, _script: script };
            }
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("azurite said {line:?}"));
            variables.insert(name.to_owned(), value.to_owned());
        }
        panic!("azurite did not start ({}); its own words stand above", script.wait().unwrap());
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("the server script sets no {name}"))
    }

    /// A connection string with this endpoint instead.
    pub(crate) fn connection(&self, endpoint: &str) -> String {
        self.variable(CONNECTION).replace(self.variable("VB_TEST_AZURE_ENDPOINT"), endpoint)
    }

    /// A store on this server, below a prefix; small parts and pages, and pauses that tests can wait for.
    pub(crate) fn config(&self, prefix: &str) -> AzureConfig {
        self.config_with(prefix, &[])
    }

    /// The same with some variables changed.
    pub(crate) fn config_with(&self, prefix: &str, changes: &[(&str, &str)]) -> AzureConfig {
        let mut variables = self.variables.clone();
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let location = Location::parse(&format!("az://{}/{prefix}", variables["AZURE_CONTAINER_NAME"])).unwrap();
        let mut config = AzureConfig::new(&location, &Environment::new(variables)).unwrap();
        config.limits = PartLimits { part_bytes: PART as u64, parallel: 2, ..PartLimits::AZURE };
        config.page_objects = 10;
        config.policy = RetryPolicy { first_pause: Duration::from_millis(50), ..RetryPolicy::default() };
        config
    }

    pub(crate) fn store(&self, prefix: &str) -> AzureStore {
        AzureStore::open(self.config(prefix)).unwrap()
    }
}

/// Makes the store's warnings readable.
pub(crate) fn heard(config: &mut AzureConfig) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    config.warn = Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    lines
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// Asks the server with `curl` instead of our code: the answer's headers and body.
pub(crate) fn ask(server: &Server, method: &str, path_and_query: &str) -> String {
    let mark = if path_and_query.contains('?') { '&' } else { '?' };
    let (endpoint, sas) = (server.variable("VB_TEST_AZURE_ENDPOINT"), server.variable("VB_TEST_AZURE_SAS"));
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--include", "--max-time", "60", "--noproxy", "*", "--request", method]);
    curl.args(if method == "HEAD" { &["--head"][..] } else { &[] });
    let output = curl.arg(format!("{endpoint}/{path_and_query}{mark}{sas}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

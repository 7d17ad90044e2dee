//! What the tests of this crate share: an Azurite of their own, behind a proxy where they want one, and stores on it.
#![allow(dead_code)] // each test file takes what it needs

use std::process::Command;
use std::time::Duration;
use vb_core::environment::Environment;
use vb_core::key::Key;
use vb_core::location::Location;
use vb_core::parts::PartLimits;
use vb_store::RetryPolicy;
use vb_store_azure::{AzureConfig, AzureStore};
use vb_tests::proxy::{Plan, Proxy};
use vb_tests::servers::Held;

/// Azure allows any size of block, so these make many.
pub(crate) const PART: usize = 256 << 10;

/// The variable that leads to an account.
pub(crate) const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// A server that runs until this process ends.
pub(crate) struct Server(Held);

impl Server {
    /// Starts `tests/servers/azurite` and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self(Held::start("azurite").unwrap())
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.0.variable(name).unwrap()
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
        let variables = self.0.variables_with(changes);
        let location = Location::parse(&format!("az://{}/{prefix}", variables["AZURE_CONTAINER_NAME"])).unwrap();
        let mut config = AzureConfig::new(&location, &Environment::new(variables)).unwrap();
        config.limits = PartLimits { part_bytes: PART as u64, parallel: 2, ..PartLimits::AZURE };
        config.page_objects = 10;
        config.policy = RetryPolicy { first_pause: Duration::from_millis(50), ..RetryPolicy::default() };
        config
    }

    /// The same behind a proxy.
    pub(crate) fn behind(&self, prefix: &str, plan: Plan) -> AzureConfig {
        let (server, account) = self.variable("VB_TEST_AZURE_ENDPOINT").rsplit_once('/').unwrap();
        let proxy = Proxy::http(server.trim_start_matches("http://"), plan).unwrap().stay();
        self.config_with(prefix, &[(CONNECTION, &self.connection(&format!("http://{proxy}/{account}")))])
    }

    pub(crate) fn store(&self, prefix: &str) -> AzureStore {
        AzureStore::open(self.config(prefix)).unwrap()
    }
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

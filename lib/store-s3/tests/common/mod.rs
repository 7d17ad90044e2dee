//! What the tests of this crate share: a server of their own, and stores on it.
#![allow(dead_code)] // each test file takes what it needs

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
use vb_core::parts::{MEBIBYTE, PartLimits};
use vb_store::RetryPolicy;
use vb_store_s3::{S3Config, S3Store};

/// A server that runs until this process ends.
pub(crate) struct Server {
    pub(crate) variables: BTreeMap<String, String>,
    // Its standard input is the server's sign of life.
    _script: Child,
}

impl Server {
    /// Starts `tests/servers/NAME` and waits until it is ready.
    pub(crate) fn start(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers").join(name);
        let script = Command::new(&path).arg("--hold").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut script = script.unwrap_or_else(|error| panic!("starting {}: {error}", path.display()));
        let mut variables = BTreeMap::new();
        for line in BufReader::new(script.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "ready" {
                return Self { variables, _script: script };
            }
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{name} said {line:?}"));
            variables.insert(name.to_owned(), value.to_owned());
        }
        panic!("the server {name} did not start ({}); its own words stand above", script.wait().unwrap());
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("the server script sets no {name}"))
    }

    /// A store on this server, below a prefix; small parts and pages, and pauses that tests can wait for.
    pub(crate) fn config(&self, prefix: &str) -> S3Config {
        self.config_with(prefix, &[])
    }

    /// The same with some variables changed.
    pub(crate) fn config_with(&self, prefix: &str, changes: &[(&str, &str)]) -> S3Config {
        let mut variables = self.variables.clone();
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let location = Location::parse(&format!("s3://{}/{prefix}", variables["S3_BUCKET_NAME"])).unwrap();
        let mut config = S3Config::new(&location, &Environment::new(variables)).unwrap();
        // The smallest part that S3 allows.
        config.limits = PartLimits { part_bytes: 5 * MEBIBYTE, parallel: 2, ..PartLimits::S3 };
        config.page_keys = 10;
        config.policy = RetryPolicy { first_pause: Duration::from_millis(50), ..RetryPolicy::default() };
        config
    }

    pub(crate) fn store(&self, prefix: &str) -> S3Store {
        S3Store::open(self.config(prefix)).unwrap()
    }
}

/// Makes the store's warnings readable.
pub(crate) fn heard(config: &mut S3Config) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    config.warn = Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    lines
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

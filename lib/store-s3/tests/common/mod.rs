//! What the tests of this crate share: a server of their own, behind a proxy where they want one, and stores on it.
#![allow(dead_code)] // each test file takes what it needs

use std::time::Duration;
use vb_core::environment::Environment;
use vb_core::key::Key;
use vb_core::location::Location;
use vb_core::parts::{MEBIBYTE, PartLimits};
use vb_store::RetryPolicy;
use vb_store_s3::{S3Config, S3Store};
use vb_tests::proxy::{Plan, Proxy};
use vb_tests::servers::Held;

/// A server that runs until this process ends.
pub(crate) struct Server(Held);

impl Server {
    /// Starts `tests/servers/NAME` and waits until it is ready.
    pub(crate) fn start(name: &str) -> Self {
        Self(Held::start(name).unwrap())
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        self.0.variable(name).unwrap()
    }

    /// A store on this server, below a prefix; small parts and pages, and pauses that tests can wait for.
    pub(crate) fn config(&self, prefix: &str) -> S3Config {
        self.config_with(prefix, &[])
    }

    /// The same with some variables changed.
    pub(crate) fn config_with(&self, prefix: &str, changes: &[(&str, &str)]) -> S3Config {
        let variables = self.0.variables_with(changes);
        let location = Location::parse(&format!("s3://{}/{prefix}", variables["S3_BUCKET_NAME"])).unwrap();
        let mut config = S3Config::new(&location, &Environment::new(variables)).unwrap();
        // The smallest part that S3 allows.
        config.limits = PartLimits { part_bytes: 5 * MEBIBYTE, parallel: 2, ..PartLimits::S3 };
        config.page_keys = 10;
        config.policy = RetryPolicy { first_pause: Duration::from_millis(50), ..RetryPolicy::default() };
        config
    }

    /// The same behind a proxy.
    pub(crate) fn behind(&self, prefix: &str, plan: Plan) -> S3Config {
        let server = self.variable("AWS_ENDPOINT_URL").trim_start_matches("http://");
        let url = format!("http://{}", Proxy::http(server, plan).unwrap().stay());
        self.config_with(prefix, &[("AWS_ENDPOINT_URL", &url)])
    }

    pub(crate) fn store(&self, prefix: &str) -> S3Store {
        S3Store::open(self.config(prefix)).unwrap()
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

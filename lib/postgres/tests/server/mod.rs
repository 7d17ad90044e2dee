//! A PostgreSQL server for the tests of this crate, by the script that starts servers for every test.

use std::sync::LazyLock;
use vb_tests::servers::Held;

/// Runs until it is dropped.
pub(crate) struct Server(Held);

impl Server {
    /// The one for all tests that leave its settings and files alone; it ends with the test program.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Server> = LazyLock::new(Server::start);
        &SHARED
    }

    /// One of the test's own.
    pub(crate) fn start() -> Self {
        Self(Held::start("postgres").unwrap())
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.variable(name).unwrap()
    }

    /// The variables that reach it over TCP.
    pub(crate) fn login(&self) -> Vec<(&'static str, &str)> {
        ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"].map(|name| (name, self.get(name))).to_vec()
    }
}

//! A PostgreSQL server for the tests of this crate, by the script that starts servers for every test.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Runs until it is dropped.
pub(crate) struct Server {
    variables: HashMap<String, String>,
    process: Child,
    alive: Option<ChildStdin>,
}

impl Server {
    /// The one for all tests that leave its settings and files alone; it ends with the test program.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of the test's own.
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/postgres");
        let process = Command::new(&script).arg("--hold").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.unwrap_or_else(|cause| panic!("{} cannot be run: {cause}", script.display()));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut variables = HashMap::new();
        let mut is_ready = false;
        for line in lines {
            is_ready = line == "ready";
            if is_ready {
                break;
            }
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("the script said {line:?}"));
            variables.insert(name.to_owned(), value.to_owned());
        }
        assert!(is_ready, "{} did not start a server", script.display());
        let alive = process.stdin.take();
        Self { variables, process, alive }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("the script gave no {name}"))
    }

    /// The variables that reach it over TCP.
    pub(crate) fn login(&self) -> Vec<(&'static str, &str)> {
        ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"].map(|name| (name, self.get(name))).to_vec()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ended = self.process.wait();
    }
}

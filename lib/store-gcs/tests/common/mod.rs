//! What the tests of this crate share: a server of their own, behind a proxy where they want one, and stores on it.
#![allow(dead_code)] // each test file takes what it needs

pub(crate) mod faults;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use vb_core::environment::Environment;
use vb_core::key::Key;
use vb_core::location::Location;
use vb_core::parts::PartLimits;
use vb_core::{Error, ErrorKind};
use vb_store::{Facts, RetryPolicy, Store, Stored, unrecorded};
use vb_store_gcs::{GcsConfig, GcsStore};
use vb_tests::proxy::{Plan, Proxy};
use vb_tests::servers::Held;

/// Two of the steps in which Google takes parts.
pub(crate) const PART: usize = 512 << 10;

/// A server that runs until this process ends.
pub(crate) struct Server(Held);

impl Server {
    /// Starts `tests/servers/NAME` and waits until it is ready.
    pub(crate) fn start(name: &str) -> Self {
        Self(Held::start(name).unwrap())
    }

    fn address(&self) -> &str {
        self.0.variable("STORAGE_EMULATOR_HOST").unwrap().trim_start_matches("http://")
    }

    /// A store on this server, below a prefix; small parts and pages, and pauses that tests can wait for.
    pub(crate) fn config(&self, prefix: &str, changes: &[(&str, &str)]) -> GcsConfig {
        let variables = self.0.variables_with(changes);
        let location = Location::parse(&format!("gs://{}/{prefix}", variables["BACKUP_BUCKET"])).unwrap();
        let mut config = GcsConfig::new(&location, &Environment::new(variables)).unwrap();
        config.limits = PartLimits { part_bytes: PART as u64, ..PartLimits::GCS };
        config.page_keys = 10;
        config.policy = RetryPolicy { first_pause: Duration::from_millis(50), ..RetryPolicy::default() };
        config
    }

    /// The same behind a proxy.
    pub(crate) fn behind(&self, prefix: &str, plan: Plan) -> GcsConfig {
        let proxy = Proxy::http(self.address(), plan).unwrap().stay();
        self.config(prefix, &[("STORAGE_EMULATOR_HOST", &format!("http://{proxy}"))])
    }

    pub(crate) fn store(&self, prefix: &str) -> GcsStore {
        GcsStore::open(self.config(prefix, &[])).unwrap()
    }

    /// What the server itself says, asked without any code of ours.
    pub(crate) fn says(&self, path: &str) -> serde_json::Value {
        let host = self.address();
        let mut server = TcpStream::connect(host).unwrap();
        write!(server, "GET /storage/v1/b{path} HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn stream(store: &GcsStore, name: &str, bytes: &[u8]) -> Result<Stored, Error> {
    let mut upload = store.upload(&key(name), &Facts::new(), unrecorded())?;
    upload.write(bytes)?;
    upload.commit()
}

/// Bytes of which no two parts are alike.
pub(crate) fn sample(length: usize) -> Vec<u8> {
    (0_u64..).flat_map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).take(length).collect()
}

pub(crate) fn must_hold(store: &GcsStore, name: &str, bytes: &[u8]) {
    let found = store.read_small(&key(name), 1 << 30).unwrap();
    assert!(found == bytes, "{name} differs");
}

pub(crate) fn must_be_empty(store: &GcsStore) {
    store.list("", &mut |found| panic!("{} is there", found.key)).unwrap();
    assert_eq!(store.open_uploads("").unwrap(), []);
}

pub(crate) fn must_be(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains('\n') && !error.to_string().contains("upload_id"), "{error}");
}

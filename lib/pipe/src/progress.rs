//! A sign of life during long runs: bytes and rate, once a second, on a terminal or as status lines.

use crate::session::Session;
use crate::speech;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Counts bytes for as long as it lives, and shows them.
#[derive(Debug)]
pub struct Progress {
    bytes: Arc<AtomicU64>,
    _stop: Option<Sender<()>>,
    on_terminal: bool,
}

impl Progress {
    /// Counts, and shows nothing.
    pub(crate) fn silent() -> Self {
        Self { bytes: Arc::default(), _stop: None, on_terminal: false }
    }

    /// Shows the count every second until it is dropped.
    pub(crate) fn start(session: Session, verb: &'static str, on_terminal: bool) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = channel::<()>();
        let seen = Arc::clone(&bytes);
        let started = Instant::now();
        let show = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                report(&session, verb, on_terminal, seen.load(Ordering::Relaxed), started.elapsed());
            }
        };
        // Without the thread there is no progress to see, which is no reason to fail a backup.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show);
        Self { bytes, _stop: thread.ok().map(|_| stop), on_terminal }
    }

    /// Adds what has passed.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            speech::passing_line("");
        }
    }
}

fn report(session: &Session, verb: &str, on_terminal: bool, bytes: u64, elapsed: Duration) {
    #[allow(clippy::cast_precision_loss)] // a rate for people
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001) / 1e6;
    if on_terminal {
        let mebibytes = bytes >> 20;
        speech::passing_line(&format!("{}: {verb} {mebibytes} MiB, {rate:.0} MB/s", session.command()));
    } else {
        let fields = serde_json::json!({ "size_bytes": bytes, "bytes_per_second": (rate * 1e6).round() });
        let _best_effort = session.event("progress", &fields);
    }
}

//! A sign of life during long runs: a bar on a terminal, status lines once a second for programs, or nothing.
//!
//! The bar shows the bytes and their rate, and where the length is known beforehand how much and how long is left.

use crate::session::Session;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// How often the bar is drawn although nothing has passed, so that a stalled run is seen to stall.
const TICK: Duration = Duration::from_millis(250);

const KNOWN: &str =
    "{prefix}: {msg} {decimal_bytes} of {decimal_total_bytes} [{bar:30}] {decimal_bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{prefix}: {msg} {decimal_bytes} {spinner} {decimal_bytes_per_sec}, {elapsed}";

/// In the place of a length.
const NOT_KNOWN: u64 = u64::MAX;

/// The bar that is on the terminal now: other words go above it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Counts bytes for as long as it lives, and shows them.
#[derive(Debug)]
pub struct Progress(Shown);

#[derive(Debug)]
enum Shown {
    Nowhere,
    Bar(ProgressBar),
    Lines { bytes: Arc<AtomicU64>, length: Arc<AtomicU64>, _stop: Option<Sender<()>> },
}

impl Progress {
    /// Shows nothing.
    pub(crate) fn silent() -> Self {
        Self(Shown::Nowhere)
    }

    /// A bar on standard error, which must be a terminal.
    pub(crate) fn bar(command: &'static str, verb: &'static str, length: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        set_template(&bar, if length.is_some() { KNOWN } else { UNKNOWN });
        let bar = bar.with_prefix(command).with_message(verb);
        bar.enable_steady_tick(TICK);
        *shown() = Some(bar.clone());
        Self(Shown::Bar(bar))
    }

    /// A status line every second until it is dropped.
    pub(crate) fn lines(session: Session, length: Option<u64>) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = channel::<()>();
        let length = Arc::new(AtomicU64::new(length.unwrap_or(NOT_KNOWN)));
        let (seen, of) = (Arc::clone(&bytes), Arc::clone(&length));
        let started = Instant::now();
        let show = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                let length = Some(of.load(Ordering::Relaxed)).filter(|length| *length != NOT_KNOWN);
                report(&session, seen.load(Ordering::Relaxed), length, started.elapsed());
            }
        };
        // Without the thread there is no progress to see, which is no reason to fail a backup.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show);
        Self(Shown::Lines { bytes, length, _stop: thread.ok().map(|_| stop) })
    }

    /// From now on it is known, or estimated, how many bytes there will be.
    pub fn expect(&self, total: u64) {
        match &self.0 {
            Shown::Nowhere => {}
            Shown::Bar(bar) => {
                bar.set_length(total);
                set_template(bar, KNOWN);
            }
            Shown::Lines { length, .. } => length.store(total, Ordering::Relaxed),
        }
    }

    /// Adds what has passed.
    pub fn add(&self, bytes: u64) {
        match &self.0 {
            Shown::Nowhere => {}
            Shown::Bar(bar) => bar.inc(bytes),
            Shown::Lines { bytes: count, .. } => drop(count.fetch_add(bytes, Ordering::Relaxed)),
        }
    }
}

fn set_template(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.0 {
            bar.finish_and_clear();
            *shown() = None;
        }
    }
}

/// Says something while a bar may be shown: the bar is taken away meanwhile.
pub(crate) fn aside(say: impl FnOnce()) {
    let bar = shown().clone();
    match bar {
        Some(bar) => bar.suspend(say),
        None => say(),
    }
}

fn shown() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(session: &Session, bytes: u64, length: Option<u64>, elapsed: Duration) {
    #[allow(clippy::cast_precision_loss)] // a rate for people
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let mut fields = serde_json::json!({ "size_bytes": bytes, "bytes_per_second": rate.round() });
    if let (Some(length), Some(fields)) = (length, fields.as_object_mut()) {
        fields.insert("total_bytes".to_owned(), length.into());
    }
    let _best_effort = session.event("progress", &fields);
}

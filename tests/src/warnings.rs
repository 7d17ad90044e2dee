//! What a store tells people while it works, kept for a test to read.

use std::sync::{Arc, Mutex, PoisonError};

/// Where a store says its warnings.
type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// Puts a listener in this place, and returns the lines that it hears.
pub fn heard(warn: &mut Warn) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    *warn = Arc::new(move |line| heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned()));
    lines
}

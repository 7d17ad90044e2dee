//! INT, TERM and HUP: undo, print `failed`, exit with 128+n.

use crate::cleanup;
use crate::session::Session;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use vb_core::{Error, ErrorKind, Result};

/// Starts the thread that waits for signals.
///
/// # Errors
/// If the system refuses to install a handler.
pub(crate) fn watch(session: Session) -> Result<()> {
    let step = "watching for signals";
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(|cause| Error::io(step, cause))?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            // A commit under way is finished first: whoever asks for the state afterwards finds all or nothing.
            let _commit = cleanup::uninterrupted();
            cleanup::undo_all();
            let error = interruption(signal);
            session.fail(&error, false);
            std::process::exit(i32::from(error.kind().exit_code()));
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(|cause| Error::io(step, cause))?;
    Ok(())
}

fn interruption(signal: i32) -> Error {
    let name = match signal {
        SIGHUP => "SIGHUP",
        SIGINT => "SIGINT",
        _ => "SIGTERM",
    };
    let number = u8::try_from(signal).unwrap_or_default();
    Error::new(ErrorKind::Signal(number), format!("ended by {name}; nothing was left behind"))
}

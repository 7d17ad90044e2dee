//! The one file that prints, apart from the bar of [`crate::progress`].
//!
//! Words for people go to standard error and begin with the command's name: `vb-put: …`, lower case, no full stop;
//! a hint is a whole sentence on its own line. Status lines begin with `{`. A failure to print is no failure of the
//! command, except where standard output is the product.

use crate::progress;
use std::io::{self, IsTerminal, Write};
use vb_core::Error;

/// Whether people look at standard error.
pub(crate) fn people_watch() -> bool {
    io::stderr().is_terminal()
}

/// An error and its hint.
pub(crate) fn error(command: &str, error: &Error) {
    say(&format!("{command}: {error}\n{}", error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default()));
}

/// A line for people.
pub(crate) fn line(command: &str, words: &str) {
    say(&format!("{command}: {words}\n"));
}

/// A status line on standard error.
pub(crate) fn status_on_stderr(line: &str) {
    say(line);
}

/// A status line on standard output, which someone may pipe on.
pub(crate) fn status_on_stdout(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// In one write, so that the lines of several commands in one pipe do not mix.
fn say(text: &str) {
    progress::aside(|| {
        let _nobody_listens = io::stderr().lock().write_all(text.as_bytes());
    });
}

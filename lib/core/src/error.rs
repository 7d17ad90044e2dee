//! The one error of all commands, and the one table of exit codes.

use std::fmt;
use std::time::Duration;

/// A result with the error of this project.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure it is; the kind alone decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A failure that no other kind describes.
    Failure,
    /// The command line, the environment or the input's form is wrong.
    Usage,
    /// Some items failed, the others went on.
    Partial,
    /// The table, the backup, the bucket or the file does not exist.
    NotFound,
    /// What was to be created exists already.
    Conflict,
    /// Unproven, truncated, or a checksum that does not match.
    Integrity,
    /// Credentials or permissions do not suffice.
    Denied,
    /// The other side cannot be reached or is overloaded: worth trying again.
    Unavailable,
    /// Ended by this signal.
    Signal(u8),
}

impl ErrorKind {
    /// Every kind but the signals, in the order of the exit codes.
    pub const ALL: [Self; 8] = [
        Self::Failure,
        Self::Usage,
        Self::Partial,
        Self::NotFound,
        Self::Conflict,
        Self::Integrity,
        Self::Denied,
        Self::Unavailable,
    ];

    /// The process's exit code. Scripts depend on these numbers.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Integrity => 6,
            Self::Denied => 7,
            Self::Unavailable => 8,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }

    /// The word in the status line's `error` field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::Partial => "partial",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Integrity => "integrity",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Signal(_) => "signal",
        }
    }
}

/// A failure: its kind, one line for people, and what to do about it where we know.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    again: Again,
}

/// What is known about a further try.
#[derive(Debug, Clone, Copy, Default)]
struct Again {
    worth: bool,
    after: Option<Duration>,
}

impl Error {
    /// An error of this kind. The message is lower case, without a full stop: the step, then the cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None, again: Again::default() }
    }

    /// A failure that no other kind describes.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failure, message)
    }

    /// A wrong command line, setting or input form.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Something that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Something that exists already.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Unproven, truncated or altered data.
    pub fn integrity(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Integrity, message)
    }

    /// Missing credentials or permissions.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// The other side cannot be reached just now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// The operating system refused: `step` says what was tried, the cause comes from the system.
    #[must_use]
    pub fn io(step: impl fmt::Display, cause: std::io::Error) -> Self {
        let kind = kind_of_io(&cause);
        let error = Self::new(kind, format!("{step}: {}", io_words(&cause)));
        let error = match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                error.with_hint("Free some space or choose another place, then run it again; nothing was stored.")
            }
            std::io::ErrorKind::PermissionDenied => error.with_hint(
                "Check the permissions of this path and of the folders above it, and as which user this runs.",
            ),
            std::io::ErrorKind::ReadOnlyFilesystem => {
                error.with_hint("Choose another place, or make this one writable, then run it again.")
            }
            _ => error,
        };
        error.with_source(cause)
    }

    /// Adds what to do about it: a whole sentence.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps the cause for whoever debugs; the message must already tell it to people.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that a further try may end otherwise, although the kind does not: such as of bytes that changed on their way.
    #[must_use]
    pub fn worth_another_try(mut self) -> Self {
        self.again.worth = true;
        self
    }

    /// Keeps for how long the other side wants to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.again.after = pause;
        self
    }

    /// Puts the step that failed before the message.
    #[must_use]
    pub fn during(mut self, step: impl fmt::Display) -> Self {
        self.message = format!("{step}: {}", self.message);
        self
    }

    /// The kind, which decides the exit code.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, if we know.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether a further try may end otherwise.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.kind == ErrorKind::Unavailable || self.again.worth
    }

    /// For how long the other side wants to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.again.after
    }

    /// Whether the operating system said that the reader of our output has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        let source = self.source.as_deref().and_then(|source| source.downcast_ref::<std::io::Error>());
        source.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn kind_of_io(cause: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match cause.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
        Io::AlreadyExists => ErrorKind::Conflict,
        Io::UnexpectedEof => ErrorKind::Integrity,
        Io::ConnectionRefused | Io::ConnectionReset | Io::ConnectionAborted | Io::TimedOut | Io::HostUnreachable => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Failure,
    }
}

/// The system's words without the number that Rust appends, in lower case.
fn io_words(cause: &std::io::Error) -> String {
    let words = cause.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_published_table() {
        let codes: Vec<u8> = ErrorKind::ALL.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(ErrorKind::Signal(15).exit_code(), 143);
    }

    #[test]
    fn a_step_stands_before_its_cause() {
        let error = Error::not_found("no such table public.x").during("exporting public.x");
        assert_eq!(error.to_string(), "exporting public.x: no such table public.x");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_full_disk_reads_as_one_line_with_a_hint() {
        let error = Error::io("writing /x/y", std::io::Error::from_raw_os_error(28));
        assert_eq!(error.to_string(), "writing /x/y: no space left on device");
        assert!(error.hint().is_some());
    }
}

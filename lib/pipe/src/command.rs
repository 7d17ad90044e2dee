//! The one main: arguments in, status lines and an exit code out. No command exits anywhere else.

use crate::arguments::CommonArguments;
use crate::cleanup;
use crate::session::{self, Done, Session};
use crate::{dotenv, signals, speech};
use clap::error::ErrorKind as ClapError;
use std::process::ExitCode;
use vb_core::{Error, ErrorKind};

/// The table at the end of every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failure
  2  usage: the command line, a setting or the input's form is wrong
  3  partial: some items failed, the others went on
  4  not found: no such table, backup, bucket or file
  5  conflict: it exists already
  6  integrity: unproven, truncated, or a checksum does not match
  7  denied: credentials or permissions do not suffice
  8  unavailable: worth trying again
  128+n  ended by signal n";

/// A command of the family: its arguments, and what it does with them.
pub trait Command: clap::Parser {
    /// The program's name, which begins every message.
    const NAME: &'static str;

    /// Whether a reader of the output that goes away early is no failure: true for listings only.
    const READER_MAY_LEAVE: bool = false;

    /// Whether it can write data to standard output: then the next stage hears why it wrote none.
    const WRITES_DATA: bool = false;

    /// The arguments that every command has.
    fn common(&self) -> &CommonArguments;

    /// Whether standard output carries data, so that status lines go to standard error.
    fn stdout_carries_data(&self) -> bool;

    /// Does the job. Whatever it opened is closed, sealed or undone when it returns.
    ///
    /// # Errors
    /// Any; a [`vb_core::Error`] in the chain decides the exit code.
    fn run(self, session: &Session) -> anyhow::Result<Done>;
}

/// Runs a command as this process.
#[must_use]
pub fn main<C: Command>() -> ExitCode {
    let command = match C::try_parse() {
        Ok(command) => command,
        Err(refusal) => return refuse::<C>(&refusal),
    };
    let opened = dotenv::environment()
        .and_then(|environment| Session::open(C::NAME, environment, command.common(), command.stdout_carries_data()));
    let session = match opened {
        Ok(session) => session,
        Err(error) => return fail_early::<C>(&error),
    };
    if let Err(error) = signals::watch(session.clone()) {
        return fail_early::<C>(&error);
    }
    if C::WRITES_DATA && command.common().dry_run {
        session.refuse(&Error::usage("it is a dry run, which writes no data"));
    }
    let result = command.run(&session);
    // A signal that came first ends the process, whatever its undoing made of the run; one that comes now is too late.
    let _ending = cleanup::uninterrupted();
    match result.and_then(|done| Ok(session.finish(&done).map(|()| done.exit_code())?)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => conclude::<C>(&session, &error),
    }
}

fn conclude<C: Command>(session: &Session, error: &anyhow::Error) -> ExitCode {
    let broken_pipe = error.chain().any(is_broken_pipe);
    if broken_pipe && C::READER_MAY_LEAVE {
        return ExitCode::SUCCESS;
    }
    let error = flatten(error);
    session.fail(&error, broken_pipe);
    ExitCode::from(error.kind().exit_code())
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<Error>().is_some_and(Error::is_broken_pipe)
        || cause.downcast_ref::<std::io::Error>().is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// One error of ours from a chain of steps: the kind and hint of the innermost one that has them.
fn flatten(error: &anyhow::Error) -> Error {
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    let mut steps: Vec<String> = Vec::new();
    for cause in error.chain() {
        steps.push(cause.to_string());
        // What lies below an error of ours is already told in its message.
        if cause.downcast_ref::<Error>().is_some() {
            break;
        }
    }
    let flat = Error::new(ours.map_or(ErrorKind::Failure, Error::kind), steps.join(": "));
    match ours.and_then(Error::hint) {
        Some(hint) => flat.with_hint(hint),
        None => flat,
    }
}

/// What clap has to say: help and version are no errors.
fn refuse<C: Command>(refusal: &clap::Error) -> ExitCode {
    if matches!(refusal.kind(), ClapError::DisplayHelp | ClapError::DisplayVersion) {
        return if refusal.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let text = refusal.to_string();
    let mut lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let message = lines.fold(first, |message, line| format!("{message} {line}"));
    fail_early::<C>(&Error::usage(message).with_hint(format!("Run {} --help for the arguments.", C::NAME)))
}

fn fail_early<C: Command>(error: &Error) -> ExitCode {
    speech::error(C::NAME, error);
    if C::WRITES_DATA {
        let _nothing_came_all_the_same = session::refuse(C::NAME, &dotenv::environment().unwrap_or_default(), error);
    }
    ExitCode::from(error.kind().exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_help_shows_every_exit_code() {
        for kind in ErrorKind::ALL {
            let word = kind.name().replace('_', " ");
            assert!(EXIT_CODES.contains(&format!("  {}  {word}", kind.exit_code())), "{word}");
        }
    }

    #[test]
    fn steps_stand_before_the_cause() {
        let error = Error::denied("access denied").with_source(std::io::Error::other("never shown"));
        let error = anyhow::Result::<()>::Err(error.into()).context("storing w_1").unwrap_err();
        let flat = flatten(&error);
        assert_eq!((flat.to_string().as_str(), flat.kind()), ("storing w_1: access denied", ErrorKind::Denied));
    }
}

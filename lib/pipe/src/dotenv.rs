//! The environment of this process, and below it the `.env` file of the working directory.

use std::ffi::OsString;
use vb_core::environment::{ALL, Environment, parse_dotenv};
use vb_core::{Error, Result};

/// What the command may read.
///
/// # Errors
/// If there is a `.env` file that cannot be read or understood: half a configuration is worse than none.
pub(crate) fn environment() -> Result<Environment> {
    let file = match std::fs::read_to_string(".env") {
        Ok(text) => parse_dotenv(&text).map_err(|line| {
            Error::usage(format!("reading .env: line {line} is no assignment"))
                .with_hint("Write NAME=value, one a line; a line that begins with # is a comment.")
        })?,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(cause) => return Err(Error::io("reading .env", cause)),
    };
    let process = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let process = process.filter_map(|(name, value)| known(name, value).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(Environment::new(file.into_iter().chain(process)))
}

/// A setting that cannot be read is none that may be left out: the backup would go elsewhere.
fn known(name: String, value: OsString) -> Result<Option<(String, String)>> {
    let is_ours = ALL.iter().any(|variable| variable.name == name);
    match value.into_string() {
        Ok(value) => Ok(Some((name, value))),
        Err(_) if is_ours => Err(Error::usage(format!("{name} is not UTF-8"))),
        Err(_) => Ok(None),
    }
}

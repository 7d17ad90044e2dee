//! What the commands share as processes: one main, status lines, the seals of a pipe, input, output and signals.
//!
//! The process contract is written down in the README; this crate is where it is kept. Nothing here knows what a
//! backup, a store or a table is.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod cleanup;
pub mod command;
pub mod digest;
mod dotenv;
pub mod input;
mod many;
pub mod output;
mod progress;
pub mod record;
pub mod run_folder;
pub mod session;
mod signals;
mod speech;
mod staged_file;
mod status;

pub use arguments::CommonArguments;
pub use command::{Command, EXIT_CODES, main};
pub use input::{Input, Origin};
pub use output::{Counted, Output};
pub use progress::Progress;
pub use session::{Done, Session};
pub use staged_file::write_atomically;

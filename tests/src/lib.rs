//! What the tests of the commands stand on: servers, a clean place to run commands in, and example data.
//!
//! The commands are seen from outside only, as processes. Nothing here skips: a missing server or binary is an error that says what to run.

#![forbid(unsafe_code)]

pub mod chance;
pub mod command;
pub mod fuzz;
mod http;
pub mod leftovers;
pub mod made_store;
pub mod oracle;
pub mod pair;
pub mod pipeline;
pub mod place;
pub mod proxy;
pub mod raw;
pub mod secrets;
pub mod servers;
pub mod stock;
pub mod tally;
pub mod warnings;
pub mod weather;

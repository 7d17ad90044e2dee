//! What the stores behind HTTP share: a time limit for each request, further tries, what a server asks of whoever tries
//! again, and errors as people read them. What a request is, each provider knows itself.
#![forbid(unsafe_code)]

mod retries;
mod retry_after;
mod words;

pub use retries::{with_retries, within};
pub use retry_after::retry_after;
pub use words::{deepest, words};

//! What the stores behind HTTP share: a time limit for each request, further tries, what a server asks of whoever tries
//! again, parts on their way, the commit, and errors as people read them. What a request is, each provider knows itself.
#![forbid(unsafe_code)]

mod commit;
mod gathering;
mod parts;
mod retries;
mod retry_after;
mod status;
mod words;

pub use commit::{Commit, comes, unless_it_came};
pub use gathering::{Gathering, memory_of};
pub use parts::{Destination, Parts};
pub use retries::{with_retries, within};
pub use retry_after::retry_after;
pub use status::kind_of_status;
pub use words::{deepest, words};

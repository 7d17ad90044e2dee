//! The bytes of the file protocol, version 3: requests to bytes and answers from bytes, without any I/O.
//!
//! draft-ietf-secsh-filexfer-02; the extensions are those in OpenSSH's PROTOCOL file. A packet is its length (four bytes,
//! not counting themselves), its type, the request's number and then what the type says.

mod reply;
mod request;

pub(crate) use reply::{Attributes, Entry, FileKind, FileSystem, Hello, Lengths, Reply, Status};
pub(crate) use request::{Opening, Request, encode, hello};

/// A packet that is not what the protocol says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The version of the protocol that we speak.
const VERSION: u32 = 3;

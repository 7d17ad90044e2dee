//! The store behind `sftp://` URLs: a folder on a server that is reached with the system's own `ssh`.
//!
//! `ssh` runs as a child process and carries the `sftp` subsystem over its standard streams. So keys, agents, known
//! hosts, certificates, jump hosts and `~/.ssh/config` mean here exactly what they mean everywhere else on the machine, and
//! no second implementation of SSH has to be trusted. The file protocol on top (version 3, draft-ietf-secsh-filexfer-02,
//! frozen since 2001, with OpenSSH's extensions) is spoken by this crate: requests are sent without waiting for the
//! answers to earlier ones, names and handles are bytes, and nothing is ever replaced.
//!
//! An object is written to `.vb-….tmp` in its folder, brought to the disk (`fsync@openssh.com`) and then given its name by
//! a hard link (`hardlink@openssh.com`), which fails where the name is taken; without that extension by the protocol's
//! own rename, which must refuse likewise.
#![forbid(unsafe_code)]

mod config;
mod error;
mod folder;
mod listing;
mod names;
mod session;
mod ssh;
mod store;
mod upload;
mod waiting;
mod wire;

pub use config::{SftpConfig, TimeLimits};
pub use store::SftpStore;

//! The store behind `az://` URLs: Azure Blob Storage.
//!
//! Every write is create-only (`If-None-Match: *`) and carries an MD5 that the service verifies. A large object is staged
//! as blocks and becomes visible with its block list. What Azure has no word for, aborting an upload, is told in
//! `abort.rs`.
#![forbid(unsafe_code)]

mod abort;
mod account;
mod block;
mod call;
mod client;
mod config;
mod error;
mod identity;
mod listing;
mod names;
mod parts;
mod sign;
mod store;
mod upload;

pub use config::AzureConfig;
pub use store::AzureStore;

//! Throw-away servers for tests. Each starts on first use and serves the whole test binary; the scripts in `tests/servers` do the work.
//!
//! A server goes when the test process goes, even by `kill -9`: its script waits for the end of a pipe that this process holds open.

mod azure;
mod curl;
mod gcs;
mod held;
mod postgres;
mod s3;
mod sftp;

pub use azure::{Azurite, Container};
pub use gcs::{GcsBucket, GcsServer};
pub use held::{Held, Variables};
pub use postgres::{Database, Postgres};
pub use s3::{Bucket, S3Server};
pub use sftp::{SftpFolder, SftpServer};

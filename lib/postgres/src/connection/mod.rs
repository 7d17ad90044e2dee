//! Connections by libpq's rules: `DATABASE_URL` or `PG*`, service file, password file, TLS, Unix socket; never a prompt.
//!
//! Two kinds: a [`postgres::Client`] for everything, and a [`RawConnection`] that hands `COPY … TO STDOUT` over in bulk.

mod attempt;
mod authentication;
mod cancel;
mod channel_binding;
mod client;
mod error;
mod host;
mod keywords;
mod libpq;
mod parameters;
mod password_file;
mod raw;
mod refusal;
mod service_file;
mod session;
mod stream;
mod tls;
mod url;
mod verifier;
mod wire;

pub use cancel::CancelHandle;
pub use client::{connect, connect_narrowed};
pub use error::{ServerError, error_from_body};
pub use parameters::Parameters;
pub use raw::{CopyOut, RawConnection};
pub use refusal::from_postgres;

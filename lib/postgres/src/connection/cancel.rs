//! The request to end another session's statement, which goes over a connection of its own.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use vb_core::Result;

use super::host::Endpoint;
use super::refusal::Refusal;
use super::stream::Stream;
use super::tls::Encryption;

/// Ends what a [`super::RawConnection`] is doing, from any thread.
#[derive(Clone)]
pub struct CancelHandle {
    endpoint: Endpoint,
    /// Set where the session itself is encrypted.
    tls: Option<Arc<ClientConfig>>,
    limit: Option<Duration>,
    key: Option<(i32, i32)>,
}

impl CancelHandle {
    pub(super) fn new(endpoint: Endpoint, tls: Option<Arc<ClientConfig>>, limit: Option<Duration>) -> Self {
        Self { endpoint, tls, limit, key: None }
    }

    pub(super) fn set_key(&mut self, process: i32, secret: i32) {
        self.key = Some((process, secret));
    }

    /// Asks the server; the statement then ends with SQLSTATE 57014, unless it has ended already. Does nothing where the
    /// server gave no key to ask with.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub fn cancel(&self) -> Result<()> {
        self.ask().map_err(|refusal| refusal.error.during("cancelling the query"))
    }

    fn ask(&self) -> std::result::Result<(), Refusal> {
        let Some((process, secret)) = self.key else { return Ok(()) };
        let encryption = if self.tls.is_some() { Encryption::Required } else { Encryption::Plain };
        let mut stream = Stream::open(&self.endpoint, encryption, self.tls.as_ref(), self.limit)?;
        let mut request = BytesMut::new();
        frontend::cancel_request(process, secret, &mut request);
        stream.write_all(&request)?;
        stream.flush()?;
        // The server closes when it has passed the request on; how it closes does not matter.
        let _closed = stream.read(&mut [0]);
        Ok(())
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CancelHandle").finish_non_exhaustive()
    }
}

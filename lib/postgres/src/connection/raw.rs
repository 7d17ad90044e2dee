//! A blocking connection of our own, for one purpose: to read what COPY sends in large pieces.
//!
//! The `postgres` crate hands COPY over message by message, one for each row; here the caller gets the bytes as they come.

use std::sync::Arc;
use std::{fmt, io};

use postgres::fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use vb_core::Result;

use super::attempt::{self, Attempt};
use super::authentication::{Login, unexpected};
use super::cancel::CancelHandle;
use super::client::tls_config;
use super::error::ServerError;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::stream::Stream;
use super::wire::Wire;

/// A session without a transaction, with UTF-8 as client encoding.
pub struct RawConnection {
    wire: Wire,
    cancel: CancelHandle,
}

/// The stream of a running `COPY … TO STDOUT`.
pub struct CopyOut(RawConnection);

impl RawConnection {
    /// Connects to the first host that answers.
    ///
    /// # Errors
    /// As [`super::connect`].
    pub fn open(parameters: &Parameters) -> Result<Self> {
        let config = tls_config(parameters)?.map(Arc::new);
        attempt::first(parameters, |attempt| start(attempt, config.as_ref())).map(|(connection, _)| connection)
    }

    /// Runs a statement, or several, and waits for the end; rows are ignored.
    ///
    /// # Errors
    /// The server's error, without a step; the connection can be used on.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        self.query_value(sql).map(drop)
    }

    /// The first column of the first row as text; `None` for NULL and for no row.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn query_value(&mut self, sql: &str) -> Result<Option<String>> {
        self.run(sql).map_err(|refusal| refusal.error)
    }

    /// Starts a `COPY … TO STDOUT`.
    ///
    /// # Errors
    /// The server's error, without a step; or that the statement is no such COPY.
    pub fn copy_out(mut self, sql: &str) -> Result<CopyOut> {
        match self.begin_copy(sql) {
            Ok(()) => Ok(CopyOut(self)),
            Err(refusal) => Err(refusal.error),
        }
    }

    /// With this another thread can end what the session is doing.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn run(&mut self, sql: &str) -> std::result::Result<Option<String>, Refusal> {
        self.wire.send(|buffer| frontend::query(sql, buffer))?;
        let (mut value, mut refusal) = (None, None);
        loop {
            match self.wire.receive()? {
                Message::DataRow(row) if value.is_none() => value = Some(first_column(&row)?),
                Message::ErrorResponse(body) => refusal = Some(ServerError::from_fields(body.fields()).into()),
                // The server now waits for rows that will not come.
                Message::CopyInResponse(_) => self.wire.send(|buffer| frontend::copy_fail("no rows here", buffer))?,
                Message::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        refusal.map_or(Ok(value.flatten()), Err)
    }

    fn begin_copy(&mut self, sql: &str) -> std::result::Result<(), Refusal> {
        self.wire.send(|buffer| frontend::query(sql, buffer))?;
        match self.wire.receive()? {
            Message::CopyOutResponse(_) => Ok(()),
            message => Err(unexpected(&message)),
        }
    }
}

impl CopyOut {
    /// The bytes of the protocol as they come: CopyData messages, then CopyDone, CommandComplete and ReadyForQuery, or an
    /// ErrorResponse; 0 when the server has closed the connection. Messages may be cut anywhere.
    ///
    /// # Errors
    /// What the system says; `Interrupted` is not among it.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.wire.read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// With this another thread can end the COPY.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.0.cancel_handle()
    }

    /// The connection again, for the next statement. To be called only when ReadyForQuery has been read and nothing beyond it.
    #[must_use]
    pub fn into_connection(self) -> RawConnection {
        self.0
    }
}

impl fmt::Debug for RawConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RawConnection").finish_non_exhaustive()
    }
}

impl fmt::Debug for CopyOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CopyOut").finish_non_exhaustive()
    }
}

fn start(attempt: &Attempt<'_>, config: Option<&Arc<ClientConfig>>) -> std::result::Result<RawConnection, Refusal> {
    let parameters = attempt.parameters;
    let limit = parameters.connect_timeout;
    let stream = Stream::open(attempt.endpoint, attempt.encryption, config, limit)?;
    let mut cancel =
        CancelHandle::new(attempt.endpoint.clone(), config.filter(|_| stream.is_encrypted()).cloned(), limit);
    let mut wire = Wire::new(stream, limit);
    let mut settings = vec![
        ("client_encoding", "UTF8"),
        ("user", &parameters.user),
        ("database", &parameters.database),
        ("application_name", &parameters.application_name),
    ];
    settings.extend(parameters.options.as_deref().map(|options| ("options", options)));
    wire.send(|buffer| frontend::startup_message(settings, buffer))?;
    let login =
        Login { user: &parameters.user, password: attempt.host.password.as_deref(), binding: parameters.binding };
    login.run(&mut wire)?;
    loop {
        match wire.receive()? {
            Message::BackendKeyData(body) => cancel.set_key(body.process_id(), body.secret_key()),
            Message::ReadyForQuery(_) => break,
            message => return Err(unexpected(&message)),
        }
    }
    let mut connection = RawConnection { wire, cancel };
    if let Some(check) = attempt.check {
        let answer = connection.run(check.query)?;
        check.judge(answer.as_deref()).map_err(Refusal::elsewhere)?;
    }
    connection.wire.lift_limit()?;
    Ok(connection)
}

fn first_column(row: &DataRowBody) -> io::Result<Option<String>> {
    let range = row.ranges().next()?.flatten();
    Ok(range.map(|range| String::from_utf8_lossy(&row.buffer()[range]).into_owned()))
}

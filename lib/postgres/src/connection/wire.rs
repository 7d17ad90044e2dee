//! Messages over a [`Stream`]: sent whole, received one by one, with a deadline while the session is being set up.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use postgres_protocol::message::backend::Message;

use super::stream::Stream;

/// What is read at once while messages are taken one by one.
const READ_BYTES: usize = 16 << 10;

/// A stream and what has been received beyond the last message.
pub(super) struct Wire {
    stream: Stream,
    received: BytesMut,
    deadline: Option<Instant>,
}

impl Wire {
    /// Around an open stream; until [`Wire::lift_limit`] everything must be over after `limit`.
    pub(super) fn new(stream: Stream, limit: Option<Duration>) -> Self {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { stream, received: BytesMut::new(), deadline }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// From now on the server may take its time.
    pub(super) fn lift_limit(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.stream.set_limit(None)
    }

    /// Sends what `build` writes.
    pub(super) fn send(&mut self, build: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> io::Result<()> {
        let mut message = BytesMut::new();
        build(&mut message)?;
        self.stream.write_all(&message)?;
        self.stream.flush()
    }

    /// The next message that answers us; notices and changed settings may come at any time and are left out.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        loop {
            match Message::parse(&mut self.received)? {
                Some(Message::NoticeResponse(_) | Message::NotificationResponse(_) | Message::ParameterStatus(_)) => {}
                Some(message) => return Ok(message),
                None => self.fill()?,
            }
        }
    }

    /// Raw bytes: those already received, then straight from the stream into the buffer.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.received.is_empty() {
            return self.stream.read(buffer);
        }
        let count = buffer.len().min(self.received.len());
        self.received.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }

    fn fill(&mut self) -> io::Result<()> {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_limit(Some(left))?;
        }
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(cause) => Err(cause),
        }
    }
}

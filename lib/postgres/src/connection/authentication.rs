//! Logging in: trust, password in clear text, MD5, and SCRAM-SHA-256 with or without channel binding.

use std::io;

use postgres::fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use vb_core::Error;

use super::channel_binding::server_end_point;
use super::error::ServerError;
use super::parameters::Binding;
use super::refusal::{Refusal, no_password};
use super::wire::Wire;

/// Who logs in.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: Option<&'a str>,
    pub(super) binding: Binding,
}

impl Login<'_> {
    /// Answers the server until it is satisfied.
    pub(super) fn run(&self, wire: &mut Wire) -> Result<(), Refusal> {
        match wire.receive()? {
            Message::AuthenticationOk => return self.without_binding(),
            Message::AuthenticationCleartextPassword => {
                self.without_binding()?;
                let password = self.password()?;
                wire.send(|buffer| frontend::password_message(password, buffer))?;
            }
            Message::AuthenticationMd5Password(body) => {
                self.without_binding()?;
                let hash = md5_hash(self.user.as_bytes(), self.password()?, body.salt());
                wire.send(|buffer| frontend::password_message(hash.as_bytes(), buffer))?;
            }
            Message::AuthenticationSasl(body) => self.scram(wire, &body)?,
            Message::ErrorResponse(body) => return Err(ServerError::from_fields(body.fields()).into()),
            _ => return Err(unsupported()),
        }
        match wire.receive()? {
            Message::AuthenticationOk => Ok(()),
            message => Err(unexpected(&message)),
        }
    }

    fn scram(&self, wire: &mut Wire, body: &AuthenticationSaslBody) -> Result<(), Refusal> {
        let offered: Vec<&str> = body.mechanisms().collect()?;
        let bound = wire.stream().certificate().filter(|_| self.binding != Binding::Disable).and_then(server_end_point);
        let (mechanism, binding) = match bound {
            Some(hash) if offered.contains(&SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            _ if !offered.contains(&SCRAM_SHA_256) => return Err(unsupported()),
            Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        };
        if mechanism == SCRAM_SHA_256 {
            self.without_binding()?;
        }
        let mut scram = ScramSha256::new(self.password()?, binding);
        wire.send(|buffer| frontend::sasl_initial_response(mechanism, scram.message(), buffer))?;
        match wire.receive()? {
            Message::AuthenticationSaslContinue(body) => scram.update(body.data()).map_err(distrust)?,
            message => return Err(unexpected(&message)),
        }
        wire.send(|buffer| frontend::sasl_response(scram.message(), buffer))?;
        match wire.receive()? {
            Message::AuthenticationSaslFinal(body) => scram.finish(body.data()).map_err(distrust),
            message => Err(unexpected(&message)),
        }
    }

    fn password(&self) -> Result<&[u8], Refusal> {
        self.password.map(str::as_bytes).ok_or_else(no_password)
    }

    fn without_binding(&self) -> Result<(), Refusal> {
        if self.binding != Binding::Require {
            return Ok(());
        }
        Err(Refusal::authentication(
            Error::denied("the server did not use channel binding, which channel_binding=require demands")
                .with_hint("Channel binding needs TLS and a password stored as SCRAM-SHA-256."),
        ))
    }
}

/// The server could not prove that it knows the password.
fn distrust(cause: io::Error) -> Refusal {
    Refusal::authentication(Error::denied(format!("the server's part of SCRAM is wrong: {cause}")).with_source(cause))
}

fn unsupported() -> Refusal {
    Refusal::authentication(
        Error::denied("the server demands a kind of authentication that is not supported")
            .with_hint("Let pg_hba.conf offer this role scram-sha-256, md5, password, cert or peer."),
    )
}

/// What another message than the expected one means.
pub(super) fn unexpected(message: &Message) -> Refusal {
    match message {
        Message::ErrorResponse(body) => ServerError::from_fields(body.fields()).into(),
        _ => Refusal::elsewhere(Error::failure("the server's answer is out of order")),
    }
}

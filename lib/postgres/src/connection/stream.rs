//! A blocking connection's bytes: TCP, Unix socket, or TLS over TCP.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{SockRef, TcpKeepalive};
use vb_core::Error;

use super::client::KEEPALIVE;
use super::host::Endpoint;
use super::refusal::{Refusal, no_tls};
use super::tls::Encryption;

/// rustls asks for 4 KiB at once; the system is asked for this much.
const TLS_READ_BYTES: usize = 256 << 10;

/// An open connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, Buffered>>),
}

/// Reads ahead, writes at once.
pub(super) struct Buffered(BufReader<TcpStream>);

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

impl Stream {
    /// Connects, and agrees on TLS as `encryption` says. Every single read and write may take `limit` until it is changed.
    pub(super) fn open(
        endpoint: &Endpoint,
        encryption: Encryption,
        config: Option<&Arc<ClientConfig>>,
        limit: Option<Duration>,
    ) -> Result<Self, Refusal> {
        let (name, address) = match endpoint {
            Endpoint::Unix { folder, port } => {
                let stream = Self::Unix(UnixStream::connect(Endpoint::socket_path(folder, *port))?);
                stream.set_limit(limit)?;
                return Ok(stream);
            }
            Endpoint::Tcp { name, address } => (name, address),
        };
        let tcp = connect_tcp(address, limit)?;
        let config = config.filter(|_| encryption != Encryption::Plain);
        match config {
            Some(config) if offers_tls(&tcp)? => shake_hands(tcp, name, config),
            _ if encryption == Encryption::Required => Err(no_tls()),
            _ => Ok(Self::Tcp(tcp)),
        }
    }

    /// The longest time that one read or write may take.
    pub(super) fn set_limit(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_read_timeout(limit).and_then(|()| socket.set_write_timeout(limit)),
            Self::Tcp(socket) => limit_tcp(socket, limit),
            Self::Tls(tls) => limit_tcp(tls.sock.0.get_ref(), limit),
        }
    }

    /// The server's certificate (DER), if the connection is encrypted.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(tls) => tls.conn.peer_certificates()?.first().map(AsRef::as_ref),
            _ => None,
        }
    }

    /// Whether it is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Unix(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

fn limit_tcp(socket: &TcpStream, limit: Option<Duration>) -> io::Result<()> {
    socket.set_read_timeout(limit).and_then(|()| socket.set_write_timeout(limit))
}

fn connect_tcp(address: &SocketAddr, limit: Option<Duration>) -> io::Result<TcpStream> {
    let socket = match limit {
        Some(limit) => TcpStream::connect_timeout(address, limit)?,
        None => TcpStream::connect(address)?,
    };
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    limit_tcp(&socket, limit)?;
    Ok(socket)
}

/// Asks; the answer is one byte, and exactly one is read, so that nothing sent in plain text is later taken for encrypted.
fn offers_tls(mut socket: &TcpStream) -> io::Result<bool> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request)?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    Ok(answer == *b"S")
}

fn shake_hands(socket: TcpStream, name: &str, config: &Arc<ClientConfig>) -> Result<Stream, Refusal> {
    let wrong_name = |_| Refusal::tls(Error::usage("the host's name cannot stand in a certificate"));
    let name = ServerName::try_from(name.to_owned()).map_err(wrong_name)?;
    let failed = |cause: rustls::Error| Refusal::from(io::Error::new(io::ErrorKind::InvalidData, cause));
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(failed)?;
    let mut tls = StreamOwned::new(connection, Buffered(BufReader::with_capacity(TLS_READ_BYTES, socket)));
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(Stream::Tls(Box::new(tls)))
}

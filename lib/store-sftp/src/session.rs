//! One session with a file server: requests go out as they come, answers find whoever waits for them.

use crate::SftpConfig;
use crate::error::{Answer, Fault, explain_connecting};
use crate::ssh::Ssh;
use crate::waiting::{NoAnswer, Waiting};
use crate::wire::{self, Attributes, Entry, Hello, Lengths, Reply, Request, Status};
use std::io::{BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vb_core::{Error, Result};

/// No packet is longer: OpenSSH's own limit.
const MOST_PACKET_BYTES: usize = 256 << 10;

/// What every server must be able to move in one request.
const LEAST_DATA_BYTES: u32 = 32 << 10;

/// What is left of a packet for data.
const MOST_DATA_BYTES: u64 = (MOST_PACKET_BYTES as u64) - 1024;

/// A connection, its `ssh` and what the server can do. Dropped, it is closed.
pub(crate) struct Session {
    /// Shut down by whoever sees that it is useless.
    stream: UnixStream,
    writer: Mutex<Writer>,
    waiting: Arc<Waiting>,
    silence: Duration,
    pub(crate) sync_limit: Duration,
    pub(crate) features: Features,
    // Last, so that the stream is closed before the process is ended.
    ssh: Ssh,
}

struct Writer {
    stream: UnixStream,
    packet: Vec<u8>,
}

/// What this server can do beyond the protocol, and in which pieces it moves data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features {
    pub(crate) link: bool,
    pub(crate) sync: bool,
    pub(crate) file_system: bool,
    pub(crate) read_bytes: u32,
    pub(crate) write_bytes: u32,
}

impl Session {
    /// Logs in and asks what the server can do.
    pub(crate) fn open(config: &SftpConfig) -> Result<Arc<Self>> {
        let (ssh, stream) = Ssh::start(config)?;
        let greeted = greet(&stream, config.time_limits.login);
        let hello = greeted.map_err(|greeting| explain_connecting(config, greeting, &ssh.last_words()))?;
        let has = |name: &str| hello.extensions.iter().any(|extension| extension == name);
        let features = Features {
            link: has("hardlink@openssh.com"),
            sync: has("fsync@openssh.com"),
            file_system: has("statvfs@openssh.com"),
            read_bytes: LEAST_DATA_BYTES,
            write_bytes: LEAST_DATA_BYTES,
        };
        let step = format!("connecting to {}", config.host);
        let mut session = Self::listen(ssh, stream, config, features).map_err(|cause| Error::io(&step, cause))?;
        if has("limits@openssh.com") {
            let reply = session.ask(&Request::Lengths).and_then(|ticket| ticket.extended(&session));
            let lengths = reply.and_then(|bytes| Ok(Lengths::parse(&bytes)?)).map_err(|fault| fault.explain(&step))?;
            session.features.read_bytes = piece(lengths.read);
            session.features.write_bytes = piece(lengths.write);
        }
        Ok(Arc::new(session))
    }

    fn listen(ssh: Ssh, stream: UnixStream, config: &SftpConfig, features: Features) -> std::io::Result<Self> {
        let (silence, waiting) = (config.time_limits.silence, Arc::new(Waiting::new()));
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(Some(silence))?;
        let (reader, heard) = (stream.try_clone()?, Arc::clone(&waiting));
        std::thread::Builder::new().name("sftp".to_owned()).spawn(move || hear(reader, &heard))?;
        let writer = Mutex::new(Writer { stream: stream.try_clone()?, packet: Vec::new() });
        Ok(Self { stream, writer, waiting, silence, sync_limit: config.time_limits.sync, features, ssh })
    }

    /// Whether a further request would fail for certain.
    pub(crate) fn is_lost(&self) -> bool {
        self.waiting.is_lost()
    }

    /// Sends a request; the answer is waited for later.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Answer<Ticket> {
        let (number, answer) = self.waiting.ask().map_err(|cause| self.fault(cause))?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer { stream, packet } = &mut *writer;
        wire::encode(request, number, packet);
        match stream.write_all(packet) {
            Ok(()) => Ok(Ticket { answer, limit: None }),
            Err(cause) => {
                let silent = matches!(cause.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                drop(writer);
                Err(self.fault(if silent { NoAnswer::Silence(self.silence) } else { NoAnswer::Lost }))
            }
        }
    }

    /// Sends a request and waits until it is done.
    pub(crate) fn finish(&self, request: &Request<'_>) -> Answer<()> {
        self.ask(request)?.done(self)
    }

    /// Whatever silenced it: after that nothing more is to be had from this session.
    fn fault(&self, cause: NoAnswer) -> Fault {
        self.close();
        match cause {
            NoAnswer::Silence(limit) => Fault::Lost(format!("the server said nothing for {} s", limit.as_secs_f64())),
            NoAnswer::Lost => Fault::lost(&self.ssh.last_words()),
        }
    }

    fn close(&self) {
        self.waiting.end();
        let _closed_already = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

/// The data of one request.
fn piece(allowed: u64) -> u32 {
    let allowed = if allowed == 0 { u64::from(LEAST_DATA_BYTES) } else { allowed.min(MOST_DATA_BYTES) };
    u32::try_from(allowed).unwrap_or(LEAST_DATA_BYTES)
}

/// Why a server did not greet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Greeting {
    /// `ssh` ended.
    Ended,
    /// Not within this time.
    Silent(Duration),
    /// It says something else: a shell's profile that prints, for one.
    Foreign,
    /// It speaks another version only.
    Version(u32),
}

fn greet(mut stream: &UnixStream, limit: Duration) -> std::result::Result<Hello, Greeting> {
    stream.write_all(&wire::hello()).map_err(|_| Greeting::Ended)?;
    stream.set_read_timeout(Some(limit)).map_err(|_| Greeting::Ended)?;
    let packet = read_packet(&mut stream).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Greeting::Silent(limit),
        std::io::ErrorKind::InvalidData => Greeting::Foreign,
        _ => Greeting::Ended,
    })?;
    let hello = Hello::parse(&packet).map_err(|_| Greeting::Foreign)?;
    // Servers of later versions must come down to ours.
    if hello.version == 3 { Ok(hello) } else { Err(Greeting::Version(hello.version)) }
}

/// A packet without its length.
fn read_packet(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MOST_PACKET_BYTES {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

/// Reads answers until the connection ends, or something comes that is none.
fn hear(stream: UnixStream, waiting: &Waiting) {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    while let Ok(packet) = read_packet(&mut stream) {
        match Reply::parse(&packet) {
            Ok((number, reply)) => waiting.answer(number, reply),
            Err(wire::Malformed) => break,
        }
    }
    waiting.end();
    let _closed_already = stream.get_ref().shutdown(Shutdown::Both);
}

/// A request on its way. Dropped, its answer is not waited for.
#[must_use]
pub(crate) struct Ticket {
    answer: Receiver<Reply>,
    limit: Option<Duration>,
}

impl Ticket {
    /// Patience of its own, for what takes the server long.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    fn reply(self, session: &Session) -> Answer<Reply> {
        let limit = self.limit.unwrap_or(session.silence);
        match session.waiting.wait(&self.answer, limit).map_err(|cause| session.fault(cause))? {
            Reply::Status(status) if status.code != Status::OK => Err(Fault::Refused(status)),
            reply => Ok(reply),
        }
    }

    /// That it was done.
    pub(crate) fn done(self, session: &Session) -> Answer<()> {
        match self.reply(session)? {
            Reply::Status(_) => Ok(()),
            _ => Err(Fault::Malformed),
        }
    }

    pub(crate) fn handle(self, session: &Session) -> Answer<Vec<u8>> {
        match self.reply(session)? {
            Reply::Handle(handle) => Ok(handle),
            _ => Err(Fault::Malformed),
        }
    }

    /// Data, or `None` at the end of the file.
    pub(crate) fn data(self, session: &Session) -> Answer<Option<Vec<u8>>> {
        match self.reply(session) {
            Ok(Reply::Data(data)) => Ok(Some(data)),
            Ok(_) => Err(Fault::Malformed),
            Err(Fault::Refused(status)) if status.code == Status::END => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Names, or `None` at the end of the folder.
    pub(crate) fn names(self, session: &Session) -> Answer<Option<Vec<Entry>>> {
        match self.reply(session) {
            Ok(Reply::Names(names)) => Ok(Some(names)),
            Ok(_) => Err(Fault::Malformed),
            Err(Fault::Refused(status)) if status.code == Status::END => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// What there is under a name, or `None` if nothing is.
    pub(crate) fn attributes(self, session: &Session) -> Answer<Option<Attributes>> {
        match self.reply(session) {
            Ok(Reply::Attributes(attributes)) => Ok(Some(attributes)),
            Ok(_) => Err(Fault::Malformed),
            Err(Fault::Refused(status)) if status.code == Status::NO_SUCH_FILE => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) fn extended(self, session: &Session) -> Answer<Vec<u8>> {
        match self.reply(session)? {
            Reply::Extended(bytes) => Ok(bytes),
            _ => Err(Fault::Malformed),
        }
    }
}

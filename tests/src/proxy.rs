//! A server between a command and its store that breaks what a test tells it to. Plain threads; ends with its value.
//!
//! It reads HTTP, one request a connection, and asks the plan what is to become of each. What is no HTTP, such as SSH, passes as bytes, of
//! which the plan counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::raw;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset while the request's body is on its way.
    Reset,
    /// Nothing is answered, and the connection stays open.
    Stall,
    /// The server is not asked; this is answered: status, further headers (lines that end in CR LF), body.
    Answer(u16, &'static str, &'static str),
    /// The request is carried out, its answer never arrives.
    LoseAnswer,
    /// The answer breaks off in its middle.
    CutAnswer,
    /// The answer stops in its middle, and the connection stays open.
    StallAnswer,
    /// One bit of the body is flipped on its way to the server.
    FlipUp,
    /// One bit of the body is flipped on its way back.
    FlipDown,
}

/// A request as the plan sees it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its method and target.
    pub line: String,
    /// The other lines, each ended by CR LF.
    pub headers: String,
    /// The length of its body.
    pub length: usize,
}

impl Request {
    /// Whether its first line has all these words.
    #[must_use]
    pub fn has(&self, words: &[&str]) -> bool {
        words.iter().all(|word| self.line.contains(word))
    }
}

/// Says what becomes of a request.
pub type Plan = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

/// Breaks some of the requests for which `hit` is true: those after the first `skip`, and no more than `times`.
pub fn some(skip: usize, times: usize, fault: Fault, hit: impl Fn(&Request) -> bool + Send + 'static) -> Plan {
    let mut seen = 0;
    Box::new(move |request| {
        if !hit(request) {
            return None;
        }
        seen += 1;
        (seen > skip && seen - skip <= times).then_some(fault)
    })
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Set at the end, and looked at by all that wait.
    pub(crate) ended: AtomicBool,
    pub(crate) broken: AtomicUsize,
    pub(crate) passed_down: AtomicUsize,
}

impl Proxy {
    /// Passes HTTP on to `upstream` (`127.0.0.1:8333`), as the plan says.
    ///
    /// # Errors
    /// When no port is free.
    pub fn http(upstream: &str, plan: Plan) -> Result<Self> {
        let plan = Mutex::new(plan);
        let upstream = upstream.to_owned();
        Self::listen(listener(0)?, move |client, shared| serve(&client, &upstream, &plan, shared))
    }

    /// Passes bytes on to `upstream`; the plan sees the number of each connection, from 0 on.
    ///
    /// # Errors
    /// When no port is free.
    pub fn raw(upstream: &str, plan: impl FnMut(usize) -> Option<raw::Fault> + Send + 'static) -> Result<Self> {
        let (upstream, state) = (upstream.to_owned(), Mutex::new((0, plan)));
        Self::listen(listener(0)?, move |client, shared| {
            let fault = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.0 += 1;
                let number = state.0 - 1;
                (state.1)(number)
            };
            raw::pass(&client, &upstream, fault, shared)
        })
    }

    /// Refuses connections for this time, and is nothing but a way through after it.
    ///
    /// # Errors
    /// When no port is free.
    pub fn late(upstream: &str, after: Duration) -> Result<Self> {
        let address = closed()?;
        let (upstream, shared) = (upstream.to_owned(), Arc::new(Shared::default()));
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            thread::sleep(after);
            let Ok(listener) = listener(address.port()) else { return };
            accept(
                &listener,
                &own,
                &Arc::new(move |client: TcpStream, shared: &Shared| raw::pass(&client, &upstream, None, shared)),
            );
        });
        Ok(Self { address, shared })
    }

    fn listen<W>(listener: TcpListener, work: W) -> Result<Self>
    where
        W: Fn(TcpStream, &Shared) -> std::io::Result<()> + Send + Sync + 'static,
    {
        let (address, shared) =
            (listener.local_addr().context("finding the proxy's port")?, Arc::new(Shared::default()));
        let (own, work) = (Arc::clone(&shared), Arc::new(work));
        thread::spawn(move || accept(&listener, &own, &work));
        Ok(Self { address, shared })
    }

    /// Where it listens: `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many requests or connections were broken so far.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::SeqCst)
    }

    /// How many bytes went back to clients so far, where bytes are passed.
    #[must_use]
    pub fn passed_down(&self) -> usize {
        self.shared.passed_down.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // wakes whoever accepts
        let _nobody_there = TcpStream::connect(self.address);
    }
}

/// An address at which nobody listens.
///
/// # Errors
/// When no port is free.
pub fn closed() -> Result<SocketAddr> {
    listener(0)?.local_addr().context("finding a free port")
}

fn listener(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).context("opening a port for the proxy")
}

fn accept<W>(listener: &TcpListener, shared: &Arc<Shared>, work: &Arc<W>)
where
    W: Fn(TcpStream, &Shared) -> std::io::Result<()> + Send + Sync + 'static,
{
    for client in listener.incoming().flatten() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let (shared, work) = (Arc::clone(shared), Arc::clone(work));
        // a client that goes away is the client's affair
        thread::spawn(move || drop(work(client, &shared)));
    }
}

/// Waits until the other side hangs up, or the proxy ends.
pub(crate) fn hold(mut stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut piece = [0; 65_536];
    while !shared.ended.load(Ordering::SeqCst) {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(cause) if cause.kind() != std::io::ErrorKind::WouldBlock => return Err(cause),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            return Ok(Some(request));
        }
        if request.line.is_empty() {
            line.trim_end().clone_into(&mut request.line);
            continue;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            request.length = value.trim().parse().map_err(|_| std::io::ErrorKind::InvalidData)?;
        }
        if !lower.starts_with("connection:") && !lower.starts_with("expect:") {
            request.headers.push_str(&line);
        }
    }
}

fn serve(client: &TcpStream, upstream: &str, plan: &Mutex<Plan>, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let Some(request) = read_head(&mut reader)? else { return Ok(()) };
    let fault = plan.lock().unwrap_or_else(PoisonError::into_inner)(&request);
    shared.broken.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
    if fault == Some(Fault::Reset) {
        // closed with bytes unread, which the kernel answers with a reset
        return reader.read_exact(&mut vec![0; request.length / 2]);
    }
    let mut body = vec![0; request.length];
    reader.read_exact(&mut body)?;
    match fault {
        Some(Fault::Stall) => return hold(client, shared),
        Some(Fault::Answer(status, headers, text)) => {
            let length = if request.line.starts_with("HEAD ") { 0 } else { text.len() };
            let text = &text[..length];
            let head =
                format!("HTTP/1.1 {status} Broken\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
            return respond(client, &[head.as_bytes(), text.as_bytes()].concat());
        }
        Some(Fault::FlipUp) if !body.is_empty() => body[request.length / 2] ^= 1,
        _ => {}
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{}\r\n{}connection: close\r\n\r\n", request.line, request.headers).as_bytes())?;
    server.write_all(&body)?;
    drop(body);
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let middle = middle_of_body(&answer);
    match fault {
        Some(Fault::LoseAnswer) => Ok(()),
        Some(Fault::CutAnswer) => respond(client, &answer[..middle]),
        Some(Fault::StallAnswer) => {
            let mut out = client;
            out.write_all(&answer[..middle])?;
            hold(client, shared)
        }
        Some(Fault::FlipDown) => {
            if let Some(byte) = answer.get_mut(middle) {
                *byte ^= 1;
            }
            respond(client, &answer)
        }
        _ => respond(client, &answer),
    }
}

fn middle_of_body(answer: &[u8]) -> usize {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
    head + (answer.len() - head) / 2
}

fn respond(mut client: &TcpStream, answer: &[u8]) -> std::io::Result<()> {
    client.write_all(answer)?;
    client.shutdown(Shutdown::Write)?;
    // until the client has read it all: what it still sends must not reset the connection
    let mut rest = [0; 1024];
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    while client.read(&mut rest)? > 0 {}
    Ok(())
}

//! The part of the proxy that knows HTTP: reads one request, and does with it what the plan says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::proxy::{Shared, hold};

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
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
    /// The answer lacks its last byte.
    CutLastByte,
    /// The answer stops in its middle, and the connection stays open.
    StallAnswer,
    /// One bit of the body is flipped on its way to the server.
    FlipUp,
    /// One bit of the body is flipped on its way back.
    FlipDown,
    /// The request and its body are changed on their way to the server.
    Alter(fn(&mut Request, &mut Vec<u8>)),
    /// The answer, head and body, is changed on its way back.
    AlterAnswer(fn(&mut Vec<u8>)),
}

/// The server is not asked, and is said to be busy.
pub const UNAVAILABLE: Fault = Fault::Answer(503, "", "");

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

    /// Rewrites each header line, or takes it away: `change` sees the name in lower case, and the value.
    pub fn change_headers(&mut self, mut change: impl FnMut(&str, &str) -> Option<String>) {
        let lines = self.headers.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            change(&name.to_lowercase(), value.trim()).map(|value| format!("{name}: {value}\r\n"))
        });
        self.headers = lines.collect();
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

/// Breaks the first `times` requests whose first line has all these words.
#[must_use]
pub fn first(times: usize, words: &'static [&'static str], fault: Fault) -> Plan {
    some(0, times, fault, |request| request.has(words))
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
        if lower.starts_with("transfer-encoding:") {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a body of unknown length"));
        }
        if !lower.starts_with("connection:") && !lower.starts_with("expect:") {
            request.headers.push_str(&line);
        }
    }
}

/// Serves one request of one client.
pub(crate) fn pass(client: &TcpStream, upstream: &str, plan: &Mutex<Plan>, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let Some(mut request) = read_head(&mut reader)? else { return Ok(()) };
    let fault = plan.lock().unwrap_or_else(PoisonError::into_inner)(&request);
    shared.broken.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
    if matches!(fault, Some(Fault::Reset)) {
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
        Some(Fault::Alter(alter)) => alter(&mut request, &mut body),
        _ => {}
    }
    let answer = carry_out(upstream, &request, body)?;
    give_back(client, answer, fault, shared)
}

fn carry_out(upstream: &str, request: &Request, body: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{}\r\n{}connection: close\r\n\r\n", request.line, request.headers).as_bytes())?;
    server.write_all(&body)?;
    drop(body);
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

fn give_back(
    mut client: &TcpStream,
    mut answer: Vec<u8>,
    fault: Option<Fault>,
    shared: &Shared,
) -> std::io::Result<()> {
    let middle = middle_of_body(&answer);
    match fault {
        Some(Fault::LoseAnswer) => return Ok(()),
        Some(Fault::CutAnswer) => answer.truncate(middle),
        Some(Fault::CutLastByte) => drop(answer.pop()),
        Some(Fault::StallAnswer) => {
            client.write_all(&answer[..middle])?;
            return hold(client, shared);
        }
        Some(Fault::FlipDown) => {
            if let Some(byte) = answer.get_mut(middle) {
                *byte ^= 1;
            }
        }
        Some(Fault::AlterAnswer(alter)) => alter(&mut answer),
        _ => {}
    }
    respond(client, &answer)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_changed_or_taken_away() {
        let headers = "Host: a:1\r\nIf-None-Match: *\r\ncontent-length: 10\r\n".to_owned();
        let mut request = Request { headers, ..Request::default() };
        request.change_headers(|name, value| match name {
            "if-none-match" => None,
            "content-length" => Some("5".to_owned()),
            _ => Some(value.to_owned()),
        });
        assert_eq!(request.headers, "Host: a:1\r\ncontent-length: 5\r\n");
    }
}

//! A server between client and server that breaks what a test tells it to. One request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is carried out, its answer never arrives.
    LoseAnswer,
    /// One bit of the body's end is flipped on its way to the server.
    FlipBit,
    /// The server is not asked; the answer is 503.
    Unavailable,
    /// The answer breaks off in its middle.
    CutAnswer,
    /// Only the first half of a part reaches the server, which says so.
    KeepHalf,
    /// The answer names another checksum.
    Lie,
}

/// The fault of a request, by its first line and its body.
type Plan = Box<dyn FnMut(&str, &[u8]) -> Option<Fault> + Send>;

/// Listens until the process ends; returns its URL.
pub(crate) fn start(upstream: &str, plan: impl FnMut(&str, &[u8]) -> Option<Fault> + Send + 'static) -> String {
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let plan: Arc<Mutex<Plan>> = Arc::new(Mutex::new(Box::new(plan)));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (plan, upstream) = (plan.clone(), upstream.clone());
            // A client that goes away is the client's affair.
            std::thread::spawn(move || serve(&client, &upstream, &plan).ok());
        }
    });
    url
}

/// Breaks `times` requests that have a body and all these words in their first line, after `passed` of them.
pub(crate) fn nth(
    passed: u32,
    times: u32,
    words: &'static [&'static str],
    fault: Fault,
) -> impl FnMut(&str, &[u8]) -> Option<Fault> + Send {
    let mut seen = 0;
    move |line, body| {
        let concerned = words.iter().all(|word| line.contains(word)) && (!body.is_empty() || line.starts_with("GET"));
        seen += u32::from(concerned);
        (concerned && seen > passed && seen <= passed + times).then_some(fault)
    }
}

struct Request {
    first_line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    /// `None` if the client sends nothing.
    fn read(client: &TcpStream) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(client);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let value = |line: &String| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
        let mut body = vec![0; lines.iter().find_map(value).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let first_line = lines.remove(0);
        Ok(Some(Self { first_line, headers: lines, body }))
    }

    /// As if the connection had broken after the first half, which the server kept.
    fn halve(&mut self) {
        self.body.truncate(self.body.len() / 2);
        for header in &mut self.headers {
            if let Some((name, value)) = header.split_once(": ").map(|(name, value)| (name.to_lowercase(), value)) {
                match name.as_str() {
                    "content-length" => *header = format!("content-length: {}", self.body.len()),
                    "content-range" => {
                        let first: usize =
                            value.trim_start_matches("bytes ").split('-').next().unwrap().parse().unwrap();
                        *header = format!("content-range: bytes {first}-{}/*", first + self.body.len() - 1);
                    }
                    _ => {}
                }
            }
        }
    }

    fn carry_out(&self, upstream: &str) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(upstream)?;
        let headers = self.headers.join("\r\n");
        server.write_all(format!("{}\r\n{headers}\r\nconnection: close\r\n\r\n", self.first_line).as_bytes())?;
        server.write_all(&self.body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn serve(client: &TcpStream, upstream: &str, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let Some(mut request) = Request::read(client)? else { return Ok(()) };
    let fault = plan.lock().unwrap()(&request.first_line, &request.body);
    match fault {
        Some(Fault::Unavailable) => {
            return respond(client, b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        Some(Fault::FlipBit) => {
            // The end of a body of several parts is a boundary.
            let place = request.body.len() - request.body.len().min(100);
            request.body[place] ^= 1;
        }
        Some(Fault::KeepHalf) => request.halve(),
        _ => {}
    }
    let answer = request.carry_out(upstream)?;
    match fault {
        Some(Fault::LoseAnswer) => Ok(()),
        Some(Fault::CutAnswer) => respond(client, &answer[..answer.len() - 10]),
        Some(Fault::Lie) => respond(client, &lie(&answer)),
        _ => respond(client, &answer),
    }
}

/// Changes the first character of the checksum.
fn lie(answer: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(answer.to_vec()).unwrap();
    let name = "\"crc32c\":";
    let at = text.find(name).unwrap_or_else(|| panic!("no checksum in {text}")) + name.len();
    let at = at + text[at..].find('"').unwrap() + 1;
    let other = if text[at..].starts_with('A') { "B" } else { "A" };
    text.replace_range(at..=at, other);
    text.into_bytes()
}

fn respond(mut client: &TcpStream, answer: &[u8]) -> std::io::Result<()> {
    client.write_all(answer)?;
    client.shutdown(Shutdown::Write)
}

//! A server between client and server that breaks what a test tells it to. One request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is carried out, its answer never arrives.
    LoseAnswer,
    /// One bit of the body is flipped on its way to the server.
    FlipBit,
    /// The server is not asked; the answer is 503.
    Unavailable,
    /// The answer breaks off in its middle.
    CutAnswer,
    /// The condition never reaches the server, as with servers that ignore it.
    DropCondition,
}

type Plan = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

/// Listens until the process ends; returns its URL. `plan` sees each request's first line and says what to break.
pub(crate) fn start(upstream: &str, plan: impl FnMut(&str) -> Option<Fault> + Send + 'static) -> String {
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

/// Breaks the first `times` requests whose first line has all these words.
pub(crate) fn first(
    times: u32,
    words: &'static [&'static str],
    fault: Fault,
) -> impl FnMut(&str) -> Option<Fault> + Send {
    let mut left = times;
    move |line| {
        let hit = left > 0 && words.iter().all(|word| line.contains(word));
        left -= u32::from(hit);
        hit.then_some(fault)
    }
}

fn serve(client: &TcpStream, upstream: &str, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length, mut first_line) = (String::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if first_line.is_empty() {
            first_line = line.trim_end().to_owned();
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        assert!(!line.to_lowercase().starts_with("transfer-encoding"), "a body of unknown length: {first_line}");
        head.push_str(&line);
    }
    let fault = plan.lock().unwrap()(&first_line);
    if fault == Some(Fault::DropCondition) {
        head = head.split_inclusive("\r\n").filter(|line| !line.to_lowercase().starts_with("if-none-match")).collect();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if fault == Some(Fault::Unavailable) {
        return respond(client, b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if fault == Some(Fault::FlipBit) {
        body[length / 2] ^= 1;
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    match fault {
        Some(Fault::LoseAnswer) => Ok(()),
        Some(Fault::CutAnswer) => respond(client, &answer[..answer.len() - 10]),
        _ => respond(client, &answer),
    }
}

fn respond(mut client: &TcpStream, answer: &[u8]) -> std::io::Result<()> {
    client.write_all(answer)?;
    client.shutdown(std::net::Shutdown::Write)
}

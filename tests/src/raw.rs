//! The part of the proxy that knows no protocol: bytes pass, until so many have.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::proxy::{Shared, hold};

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// In which direction bytes are counted.
    pub direction: Direction,
    /// After how many bytes it happens.
    pub after: usize,
    /// What.
    pub kind: Kind,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// What can happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is cut, both ways.
    Cut,
    /// Nothing passes any more in this direction, and it stays open.
    Stall,
    /// A bit of the next byte is flipped.
    Flip,
    /// The other direction is cut: what was sent arrives, its answers do not.
    LoseAnswers,
}

/// Passes bytes both ways until one side ends.
pub(crate) fn pass(client: &TcpStream, upstream: &str, fault: Option<Fault>, shared: &Shared) -> std::io::Result<()> {
    shared.broken.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
    let server = TcpStream::connect(upstream)?;
    let of = |direction| fault.filter(|fault| fault.direction == direction);
    thread::scope(|scope| {
        scope.spawn(|| drop(copy(client, &server, of(Direction::Up), shared, &AtomicUsize::new(0))));
        copy(&server, client, of(Direction::Down), shared, &shared.passed_down)
    })
}

fn copy(
    mut from: &TcpStream,
    mut to: &TcpStream,
    fault: Option<Fault>,
    shared: &Shared,
    count_of_all: &AtomicUsize,
) -> std::io::Result<()> {
    let (mut piece, mut passed, mut flipped) = ([0; 16_384], 0, false);
    let result = loop {
        let count = match from.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(count) => count,
            Err(cause) => break Err(cause),
        };
        let piece = &mut piece[..count];
        if let Some(fault) = fault.filter(|fault| passed + count > fault.after) {
            let allowed = fault.after.saturating_sub(passed);
            match fault.kind {
                Kind::Flip if flipped => {}
                Kind::Flip => {
                    piece[allowed] ^= 1;
                    flipped = true;
                }
                Kind::Cut => {
                    let _gone = to.write_all(&piece[..allowed]);
                    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    return Ok(());
                }
                Kind::Stall => {
                    to.write_all(&piece[..allowed])?;
                    return hold(from, shared);
                }
                // `from` is where answers would go: the reading of the other direction goes on, its writing fails
                Kind::LoseAnswers => drop(from.shutdown(Shutdown::Write)),
            }
        }
        passed += count;
        count_of_all.fetch_add(count, Ordering::SeqCst);
        if let Err(cause) = to.write_all(piece) {
            break Err(cause);
        }
    };
    let _gone = to.shutdown(Shutdown::Write);
    result
}

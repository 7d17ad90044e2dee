//! Status lines of one event, many at a time: a hundred thousand of them are no reason to wait.

use crate::session::Session;
use serde::Serialize;
use vb_core::{Error, Result, time};

/// So many bytes are handed over at once.
const PIECE: usize = 1 << 16;

/// A status line, its own fields after those that every line has.
#[derive(Serialize)]
struct Line<'all, Fields> {
    command: &'static str,
    event: &'all str,
    at: &'all str,
    #[serde(flatten)]
    fields: Fields,
}

impl Session {
    /// Writes a status line of this event for each of them.
    ///
    /// # Errors
    /// If standard output or the status file takes no more.
    pub fn events<Fields: Serialize>(&self, event: &str, all: impl Iterator<Item = Fields>) -> Result<()> {
        self.render_events(event, all, &mut |lines| self.lines(lines))
    }

    /// The same lines for another place: `write` gets many of them at a time, each ended by a line feed.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn render_events<Fields: Serialize>(
        &self,
        event: &str,
        all: impl Iterator<Item = Fields>,
        write: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let at = time::seconds(self.now());
        let mut piece: Vec<u8> = Vec::with_capacity(2 * PIECE);
        let mut hand_over = |piece: &mut Vec<u8>| {
            write(str::from_utf8(piece).map_err(|cause| Error::failure(format!("the status line {event}: {cause}")))?)?;
            piece.clear();
            Ok(())
        };
        for fields in all {
            let line = Line { command: self.command(), event, at: &at, fields };
            serde_json::to_writer(&mut piece, &line)
                .map_err(|cause| Error::failure(format!("the status line {event}: {cause}")))?;
            piece.push(b'\n');
            if piece.len() >= PIECE {
                hand_over(&mut piece)?;
            }
        }
        if piece.is_empty() { Ok(()) } else { hand_over(&mut piece) }
    }
}

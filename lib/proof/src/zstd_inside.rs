//! What is inside of zstd, decoded as it passes. Where it stands is the walk's question, not asked here.

use crate::{Format, Prover, Verdict};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// A frame whose window is larger (such as of `--long` or `--ultra`) is not looked into: it would take as much memory.
const MOST_WINDOW_LOG: u32 = 25;

/// What is decoded at once.
const ROOM_BYTES: usize = 1 << 17;

/// What zstd says of a frame that others can decode: no damage.
const BEYOND_US: [&str; 2] = ["Frame requires too much memory for decoding", "Dictionary mismatch"];

/// Looks into a stream.
pub(crate) struct Inside {
    state: State,
    room: Vec<u8>,
    prover: Box<Prover>,
}

enum State {
    Decoding(Decoder<'static>),
    /// There is something that only a decoder with more memory, or with a dictionary, can read.
    Blind,
    Damaged(String),
}

impl Inside {
    pub(crate) fn new() -> Self {
        let decoder = Decoder::new().and_then(|mut decoder| {
            decoder.set_parameter(DParameter::WindowLogMax(MOST_WINDOW_LOG))?;
            Ok(decoder)
        });
        let state = decoder.map_or(State::Blind, State::Decoding);
        Self { state, room: vec![0; ROOM_BYTES], prover: Box::new(Prover::inside()) }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let State::Decoding(decoder) = &mut self.state else { return };
        loop {
            match decoder.run_on_buffers(bytes, &mut self.room) {
                Ok(status) => {
                    self.prover.update(&self.room[..status.bytes_written]);
                    bytes = &bytes[status.bytes_read..];
                    // A full room may not have held all.
                    if bytes.is_empty() && status.bytes_written < self.room.len() {
                        return;
                    }
                }
                Err(cause) => {
                    let words = cause.to_string();
                    let is_beyond_us = BEYOND_US.contains(&words.as_str());
                    self.state = if is_beyond_us { State::Blind } else { State::Damaged(words) };
                    return;
                }
            }
        }
    }

    /// The verdict about a stream that has ended where it may.
    pub(crate) fn finish(self) -> Verdict {
        match self.state {
            State::Decoding(_) => self.prover.around(Format::Zstd),
            State::Blind => Verdict::Proven { format: Format::Zstd, label: None },
            State::Damaged(words) => {
                Verdict::BrokenInside { why: format!("the zstd does not decode to its end: {words}") }
            }
        }
    }
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self.state {
            State::Decoding(_) => "Decoding",
            State::Blind => "Blind",
            State::Damaged(_) => "Damaged",
        })
    }
}

//! Is this stream whole? Its own format tells, where no stage of a pipe has sealed it.
//!
//! The format is sniffed from the first bytes: Parquet ends in its footer, a vb gzip in its seal, any other gzip must
//! decode to its end, zstd ends behind a frame's last block, tar behind two zero blocks. Everything else proves nothing,
//! and neither does a cut between two members of a foreign gzip or two frames of zstd: there such streams may end.
#![forbid(unsafe_code)]

mod gzip;
mod parquet;
mod sniff;
mod tar;
mod tar_header;
mod thrift;
mod walk;
mod zstd;

pub use gzip::{TAIL_BYTES, label_at_end};
pub use sniff::{Format, SNIFF_BYTES};
use vb_core::label::Label;
use walk::Walk;

/// What a stream says about itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It reached the end that its format has.
    Proven {
        /// Its format.
        format: Format,
        /// What it is, where a vb gzip's seal says so.
        label: Option<Box<Label>>,
    },
    /// It reached the end that its format has, and there is nothing in it: as of a producer that failed at once, behind a compressor.
    Empty {
        /// Its format.
        format: Format,
    },
    /// It may be whole or not.
    Unproven {
        /// Why nobody can tell.
        why: String,
    },
    /// It is cut off or damaged.
    Broken {
        /// What shows it.
        why: String,
    },
}

/// Watches a stream that passes, in memory that does not grow with it.
#[derive(Debug, Default)]
pub struct Prover {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Fewer bytes than are needed to tell the format.
    Sniffing(Vec<u8>),
    Gzip(Box<gzip::Gzip>),
    Parquet(parquet::Parquet),
    Tar(Walk<tar::Tar>),
    Zstd(Walk<zstd::Zstd>),
    Unknown,
}

impl Default for State {
    fn default() -> Self {
        Self::Sniffing(Vec::new())
    }
}

impl Prover {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sniffing(first) => {
                first.extend_from_slice(bytes);
                if first.len() >= SNIFF_BYTES {
                    self.begin();
                }
            }
            State::Gzip(gzip) => gzip.update(bytes),
            State::Parquet(parquet) => parquet.update(bytes),
            State::Tar(walk) => walk.update(bytes),
            State::Zstd(walk) => walk.update(bytes),
            State::Unknown => {}
        }
    }

    /// The format is as clear as it will get: everything gathered so far goes to its own prover.
    fn begin(&mut self) {
        let State::Sniffing(first) = std::mem::take(&mut self.state) else { return };
        self.state = match Format::sniff(&first) {
            Some(Format::Gzip) => State::Gzip(Box::new(gzip::Gzip::new(&first))),
            Some(Format::Parquet) => State::Parquet(parquet::Parquet::default()),
            Some(Format::Tar) => State::Tar(Walk::new(tar::Tar::default())),
            Some(Format::Zstd) => State::Zstd(Walk::new(zstd::Zstd::default())),
            None => State::Unknown,
        };
        self.update(&first);
    }

    /// The verdict at the end of the stream.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        if let State::Sniffing(first) = &self.state {
            if first.is_empty() {
                return Verdict::Unproven { why: "it is empty".to_owned() };
            }
            self.begin();
        }
        match self.state {
            State::Gzip(gzip) => gzip.finish(),
            State::Parquet(parquet) => verdict(Format::Parquet, parquet.finish()),
            State::Zstd(walk) => match walk.finish() {
                Ok(zstd) if zstd.is_empty() => Verdict::Empty { format: Format::Zstd },
                other => verdict(Format::Zstd, other.map(drop)),
            },
            State::Tar(walk) => match walk.finish() {
                Ok(tar) if tar.something_follows => {
                    Verdict::Unproven { why: "something follows the end of the tar archive".to_owned() }
                }
                other => verdict(Format::Tar, other.map(drop)),
            },
            State::Unknown | State::Sniffing(_) => {
                Verdict::Unproven { why: "its format does not show where it ends".to_owned() }
            }
        }
    }
}

fn verdict(format: Format, result: Result<(), String>) -> Verdict {
    match result {
        Ok(()) => Verdict::Proven { format, label: None },
        Err(why) => Verdict::Broken { why: format!("it begins as {}, but {why}", format.name()) },
    }
}

#[cfg(test)]
mod tests;

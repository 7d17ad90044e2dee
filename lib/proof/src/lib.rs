//! Is this stream whole? Its own format tells, where no stage of a pipe has sealed it.
//!
//! The format is sniffed from the first bytes: Parquet ends in its footer, a vb gzip in its seal, any other gzip must
//! decode to its end, zstd ends behind a frame's last block, tar behind two zero blocks. Everything else proves nothing,
//! and neither does a cut between two members of a foreign gzip or two frames of zstd: there such streams may end. What is inside
//! of those two is looked at in the same way, one layer deep: a compressor ends well when its producer has died.
#![forbid(unsafe_code)]

mod gzip;
mod parquet;
mod parquet_label;
mod sniff;
mod tar;
mod tar_header;
mod tar_label;
mod thrift;
mod walk;
mod zstd;
mod zstd_inside;

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
        /// What it is, where a vb gzip's seal, the footer of a Parquet file or the archive of a database says so.
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
    /// It reached the end that its format has, but what is inside of it did not.
    BrokenInside {
        /// What shows it.
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
    /// Whether it watches what another one decodes: then it decodes nothing itself, since there would be no end of layers.
    is_inside: bool,
}

#[derive(Debug)]
enum State {
    /// Fewer bytes than are needed to tell the format.
    Sniffing(Vec<u8>),
    Gzip(Box<gzip::Gzip>),
    Parquet(parquet::Parquet),
    Tar(Walk<tar::Tar>),
    Zstd(Walk<zstd::Zstd>, Box<zstd_inside::Inside>),
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
            State::Zstd(walk, inside) => {
                walk.update(bytes);
                inside.update(bytes);
            }
            State::Unknown => {}
        }
    }

    /// The format is as clear as it will get: everything gathered so far goes to its own prover.
    fn begin(&mut self) {
        let State::Sniffing(first) = std::mem::take(&mut self.state) else { return };
        self.state = match Format::sniff(&first) {
            Some(Format::Gzip) if self.is_inside && !vb_gzip::starts_as_vb(&first) => State::Unknown,
            Some(Format::Zstd) if self.is_inside => State::Unknown,
            Some(Format::Gzip) => State::Gzip(Box::new(gzip::Gzip::new(&first))),
            Some(Format::Parquet) => State::Parquet(parquet::Parquet::default()),
            Some(Format::Tar) => State::Tar(Walk::new(tar::Tar::default())),
            Some(Format::Zstd) => State::Zstd(Walk::new(zstd::Zstd::default()), Box::new(zstd_inside::Inside::new())),
            None => State::Unknown,
        };
        self.update(&first);
    }

    /// For what another prover decodes.
    fn inside() -> Self {
        Self { is_inside: true, ..Self::default() }
    }

    /// The verdict about the whole compression whose contents have passed here.
    fn around(mut self, format: Format) -> Verdict {
        if matches!(self.state, State::Sniffing(_)) {
            self.begin();
        }
        if matches!(self.state, State::Unknown) {
            return Verdict::Proven { format, label: None };
        }
        match self.finish() {
            Verdict::Proven { label, .. } => {
                let packed = |label: Box<Label>| {
                    let extension = format!("{}.{}", label.extension, format.extension());
                    Box::new(Label { extension, ..*label })
                };
                Verdict::Proven { format, label: label.map(packed) }
            }
            Verdict::Empty { .. } => Verdict::Proven { format, label: None },
            Verdict::Unproven { why } | Verdict::Broken { why } | Verdict::BrokenInside { why } => {
                Verdict::BrokenInside { why: format!("inside of the {}, {why}", format.name()) }
            }
        }
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
            State::Parquet(parquet) => proven(Format::Parquet, parquet.finish()),
            State::Zstd(walk, inside) => match walk.finish() {
                Ok(zstd) if zstd.is_empty() => Verdict::Empty { format: Format::Zstd },
                Ok(_) => inside.finish(),
                Err(why) => proven(Format::Zstd, Err(why)),
            },
            State::Tar(walk) => match walk.finish() {
                Ok(tar) if tar.something_follows => {
                    Verdict::Unproven { why: "something follows the end of the tar archive".to_owned() }
                }
                other => proven(Format::Tar, other.map(|tar| tar.label)),
            },
            State::Unknown | State::Sniffing(_) => {
                Verdict::Unproven { why: "its format does not show where it ends".to_owned() }
            }
        }
    }
}

fn proven(format: Format, result: Result<Option<Box<Label>>, String>) -> Verdict {
    match result {
        Ok(label) => Verdict::Proven { format, label },
        Err(why) => Verdict::Broken { why: format!("it begins as {}, but {why}", format.name()) },
    }
}

/// As much of a file's end as [`label_at_end`] needs.
pub const TAIL_BYTES: usize = parquet::WINDOW;

/// What a file says it is that begins with these [`SNIFF_BYTES`] and ends with these [`TAIL_BYTES`], or is as short as they are. Whether
/// it is whole, only a [`Prover`] tells.
#[must_use]
pub fn label_at_end(first: &[u8], end: &[u8]) -> Option<Label> {
    match Format::sniff(first)? {
        Format::Gzip => gzip::label_at_end(first, end),
        Format::Parquet => parquet::label_at_end(end),
        Format::Tar => tar_label::at_end(first, end),
        Format::Zstd => None,
    }
}

#[cfg(test)]
mod tests;

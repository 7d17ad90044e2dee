//! gzip: ours is proven by its seal and not decoded, any other by being decoded to its end.

use crate::{Format, Verdict};
use vb_core::label::Label;
use vb_gzip::{ForeignProver, GzipError, Scanned, SealScanner};

/// Watches either kind.
pub(crate) enum Gzip {
    Ours(SealScanner),
    Foreign(ForeignProver),
    Damaged(GzipError),
}

impl Gzip {
    /// `first` are the first bytes, which are still to be given to [`Gzip::update`].
    pub(crate) fn new(first: &[u8]) -> Self {
        if vb_gzip::starts_as_vb(first) {
            Self::Ours(SealScanner::default())
        } else {
            Self::Foreign(ForeignProver::default())
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Ours(scanner) => scanner.update(bytes),
            Self::Foreign(prover) => {
                if let Err(cause) = prover.update(bytes) {
                    *self = Self::Damaged(cause);
                }
            }
            Self::Damaged(_) => {}
        }
    }

    pub(crate) fn finish(self) -> Verdict {
        let broken = |cause: &GzipError| Verdict::Broken { why: cause.to_string() };
        match self {
            Self::Ours(scanner) => match scanner.finish() {
                Ok(Scanned::Sealed(seal)) => sealed(&seal.label),
                Ok(Scanned::Foreign | Scanned::NotGzip) => broken(&GzipError::NotGzip),
                Err(cause) => broken(&cause),
            },
            Self::Foreign(prover) => match prover.finish() {
                Ok(0) => Verdict::Empty { format: Format::Gzip },
                Ok(_) => Verdict::Proven { format: Format::Gzip, label: None },
                Err(cause) => broken(&cause),
            },
            Self::Damaged(cause) => broken(&cause),
        }
    }
}

/// A seal without a label is made by `vb-compress` of a stream that nobody labelled. One that cannot be read says
/// nothing against the bytes: they are whole.
fn sealed(label: &[u8]) -> Verdict {
    Verdict::Proven { format: Format::Gzip, label: serde_json::from_slice(label).ok().map(Box::new) }
}

/// As much of a file's end as [`label_at_end`] needs.
pub const TAIL_BYTES: usize = vb_gzip::SEAL_BYTES_MOST;

/// What a file says it is, if it ends in a vb gzip's seal. Whether the rest of it is whole, only a
/// [`Prover`](crate::Prover) tells.
#[must_use]
pub fn label_at_end(tail: &[u8]) -> Option<Label> {
    serde_json::from_slice(&vb_gzip::parse_seal(tail)?.label).ok()
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Ours(_) => "Ours",
            Self::Foreign(_) => "Foreign",
            Self::Damaged(_) => "Damaged",
        })
    }
}

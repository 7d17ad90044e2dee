//! gzip: ours is proven by its seal and not decoded, any other by being decoded to its end, and by what it holds.

use crate::{Format, Prover, Verdict};
use vb_core::label::Label;
use vb_gzip::{ForeignProver, GzipError, Scanned, SealScanner};

/// Watches either kind.
pub(crate) enum Gzip {
    Ours(SealScanner),
    Foreign(ForeignProver, Box<Prover>),
    Damaged(GzipError),
}

impl Gzip {
    /// `first` are the first bytes, which are still to be given to [`Gzip::update`].
    pub(crate) fn new(first: &[u8]) -> Self {
        if vb_gzip::starts_as_vb(first) {
            Self::Ours(SealScanner::default())
        } else {
            Self::Foreign(ForeignProver::default(), Box::new(Prover::inside()))
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Ours(scanner) => scanner.update(bytes),
            Self::Foreign(prover, inside) => {
                if let Err(cause) = prover.decode(bytes, &mut |data| inside.update(data)) {
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
            Self::Foreign(prover, inside) => match prover.finish() {
                Ok(0) => Verdict::Empty { format: Format::Gzip },
                Ok(_) => inside.around(Format::Gzip),
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

/// What a file says it is, if it ends in a vb gzip's seal.
pub(crate) fn label_at_end(first: &[u8], end: &[u8]) -> Option<Label> {
    if !vb_gzip::starts_as_vb(first) {
        return None;
    }
    serde_json::from_slice(&vb_gzip::parse_seal(end)?.label).ok()
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Ours(_) => "Ours",
            Self::Foreign(..) => "Foreign",
            Self::Damaged(_) => "Damaged",
        })
    }
}

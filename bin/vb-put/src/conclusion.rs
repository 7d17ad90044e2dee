//! Whether a stream may be stored, once it has ended: the proof of design section 4.

use vb_core::label::Label;
use vb_core::manifest::Proof;
use vb_core::{Error, Result};
use vb_pipe::Origin;
use vb_proof::Verdict;

/// How the input ended.
#[derive(Debug)]
pub(crate) struct End {
    /// What it is to people.
    pub(crate) name: String,
    /// Its length.
    pub(crate) size_bytes: u64,
    /// Who vouches for it.
    pub(crate) origin: Origin,
    /// The producer that we ran ourselves and that ended well.
    pub(crate) producer: Option<Producer>,
    /// What its format says; not asked where a seal was announced.
    pub(crate) verdict: Option<Verdict>,
}

/// What wrote the stream for us, and ended well: as good a proof as a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Producer {
    /// `-- COMMAND`, which exited with 0.
    Command,
    /// Files that were read to their ends.
    Files,
}

/// What the user insists on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Insistence {
    /// `--unproven`
    pub(crate) unproven: bool,
    /// `--allow-empty`
    pub(crate) allow_empty: bool,
}

/// How we know that it is whole, and what it is if it says so.
///
/// # Errors
/// An integrity error if nothing proves it, or something disproves it: the latter whatever the user insists on.
pub(crate) fn prove(end: End, insistence: Insistence) -> Result<(Proof, Option<Box<Label>>)> {
    let End { name, size_bytes, origin, producer, verdict } = end;
    let proof = match origin {
        Origin::Sealed(label) => return vouched(label.proof, label, &name, insistence),
        Origin::Silent => match producer {
            Some(Producer::Command) => Proof::ExitStatus,
            Some(Producer::Files) => Proof::File,
            None => Proof::Format,
        },
        Origin::File => Proof::File,
    };
    if size_bytes == 0 && !insistence.allow_empty {
        return Err(Error::integrity(format!("{name} is empty"))
            .with_hint("Whatever should have written it has failed; --allow-empty stores it all the same."));
    }
    match verdict {
        Some(Verdict::Proven { label: Some(label), .. }) if proof != Proof::File => {
            let proof = if label.proof == Proof::Unproven { Proof::Unproven } else { proof };
            vouched(proof, label, &name, insistence)
        }
        Some(Verdict::Proven { label, .. }) => Ok((proof, label)),
        Some(Verdict::Empty { .. }) if insistence.allow_empty => Ok((proof, None)),
        Some(Verdict::Empty { format }) => Err(Error::integrity(format!("{name} is {} of nothing", format.name()))
            .with_hint("Whatever should have written what it holds has failed; --allow-empty stores it all the same.")),
        Some(Verdict::BrokenInside { .. }) if insistence.unproven => Ok((Proof::Unproven, None)),
        Some(Verdict::BrokenInside { why }) => Err(Error::integrity(format!("{name} is not whole: {why}")).with_hint(
            "What was compressed did not finish, and the compressor could not know; --unproven stores it all the same.",
        )),
        Some(Verdict::Broken { why }) => Err(Error::integrity(format!("{name} is not whole: {why}"))
            .with_hint("Nothing was stored; make it anew, since what wrote it did not finish.")),
        Some(Verdict::Unproven { .. }) if proof != Proof::Format => Ok((proof, None)),
        Some(Verdict::Unproven { .. }) if insistence.unproven => Ok((Proof::Unproven, None)),
        Some(Verdict::Unproven { why }) => Err(Error::integrity(format!("nothing proves that {name} is whole: {why}"))
            .with_hint(
                "Write it to a file and store that if its producer succeeded; --unproven stores it all the same.",
            )),
        None => Err(Error::integrity("the stage before announced a seal, but its record is gone")
            .with_hint("Nothing was stored; leave the run folder (VB_RUN_DIR) alone while a pipe runs.")),
    }
}

/// A seal reaches only as far back as the first command of ours: what a foreign producer gave it may still be cut off.
fn vouched(proof: Proof, label: Box<Label>, name: &str, insistence: Insistence) -> Result<(Proof, Option<Box<Label>>)> {
    if proof != Proof::Unproven || insistence.unproven {
        return Ok((proof, Some(label)));
    }
    Err(Error::integrity(format!("nothing proves that what {name} was made from is whole")).with_hint(
        "The first program of the pipe is not one of vb's, and its format does not show where it ends; --unproven \
         stores it all the same.",
    ))
}

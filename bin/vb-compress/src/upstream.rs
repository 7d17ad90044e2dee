//! What stands before us: a command of ours that names its stream, or a foreign one whose format must prove its end.

use std::io::Read;
use vb_core::label::{Label, Proof};
use vb_core::{Error, Result};
use vb_pipe::input::{End, Origin};
use vb_pipe::{Input, Progress, Session};
use vb_proof::{Format, Prover, Verdict};

/// Reads the input, and with its first bytes promises the next stage what our output will be.
pub(crate) struct Upstream<'run> {
    input: Input,
    session: &'run Session,
    progress: &'run Progress,
    relabel: fn(Label) -> Label,
    /// Set once the first bytes have come and nobody announced them.
    prover: Option<Prover>,
    begun: bool,
}

/// The input's end, and what it was.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its bytes.
    pub(crate) bytes: u64,
    /// What it is and how we know that it is whole.
    pub(crate) label: Label,
    /// Whether a command of ours vouches for it.
    pub(crate) sealed: bool,
}

impl<'run> Upstream<'run> {
    /// Our output will be what `relabel` makes of the input's label.
    pub(crate) fn new(
        input: Input,
        session: &'run Session,
        progress: &'run Progress,
        relabel: fn(Label) -> Label,
    ) -> Self {
        Self { input, session, progress, relabel, prover: None, begun: false }
    }

    /// At end of file: demands the proof.
    ///
    /// # Errors
    /// If the stage before died or failed, or a foreign stream is cut off by its own format.
    pub(crate) fn finish(self) -> Result<Ended> {
        let name = self.input.name().to_owned();
        let End { digest, origin } = self.input.finish()?;
        let (label, sealed) = match origin {
            Origin::Sealed(label) => (*label, true),
            Origin::File => (foreign("file", &name, None, Proof::File), false),
            Origin::Silent => (proven(self.prover.unwrap_or_default(), &name)?, false),
        };
        Ok(Ended { bytes: digest.bytes(), label, sealed })
    }

    fn begin(&mut self, first: &[u8]) -> Result<()> {
        self.begun = true;
        let announced = self.input.announced()?;
        if announced.is_none() {
            self.prover = Some(Prover::default());
        }
        let label =
            announced.unwrap_or_else(|| foreign("stream", self.input.name(), Format::sniff(first), Proof::Unproven));
        self.session.promise(&(self.relabel)(label))
    }
}

/// A stream that nobody announced: whole by its own format, or unproven, or refused.
fn proven(prover: Prover, name: &str) -> Result<Label> {
    match prover.finish() {
        Verdict::Proven { label: Some(label), .. } => Ok(*label),
        Verdict::Proven { format, label: None } => Ok(foreign("stream", name, Some(format), Proof::Format)),
        // Passed on as what it is: whoever stores or restores it demands a proof and finds none.
        Verdict::Unproven { .. } | Verdict::Empty { .. } => Ok(foreign("stream", name, None, Proof::Unproven)),
        Verdict::Broken { why } => Err(Error::integrity(format!("reading {name}: {why}"))
            .with_hint("The stream was cut off before it came here; look at what wrote it.")),
    }
}

fn foreign(source_type: &str, name: &str, format: Option<Format>, proof: Proof) -> Label {
    let extension = format.map(Format::extension).unwrap_or_default();
    let mut label = Label::of_stream(source_type, name, "backup", extension);
    label.proof = proof;
    label
}

impl Read for Upstream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        let bytes = &buffer[..count];
        if !self.begun {
            self.begin(bytes).map_err(std::io::Error::other)?;
        }
        if let Some(prover) = &mut self.prover {
            prover.update(bytes);
        }
        self.progress.add(count as u64);
        Ok(count)
    }
}

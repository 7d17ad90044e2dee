//! What stands before us: a command of ours that names its stream, or a foreign one whose format must prove its end.

use std::io::Read;
use std::path::Path;
use vb_core::file_name::set_and_extension;
use vb_core::label::{Label, Proof};
use vb_core::{Error, Result, naming};
use vb_pipe::input::{End, Origin};
use vb_pipe::{Input, Progress, Session};
use vb_proof::{Format, Prover, SNIFF_BYTES, TAIL_BYTES, Verdict, label_at_end};

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
        let described = Described::of(&self.input);
        let name = &described.name;
        let End { digest, origin } = self.input.finish()?;
        let prover = self.prover.unwrap_or_default();
        let (label, sealed) = match origin {
            Origin::Sealed(label) => (*label, true),
            Origin::File => (of_file(&described, proven(prover, name)?), false),
            Origin::Silent => (of_stream(name, proven(prover, name)?), false),
        };
        Ok(Ended { bytes: digest.bytes(), label, sealed })
    }

    fn begin(&mut self, first: &[u8]) -> Result<()> {
        self.begun = true;
        let announced = self.input.announced()?;
        if announced.is_none() {
            self.prover = Some(Prover::default());
        }
        let label = match (announced, self.input.ends(SNIFF_BYTES, TAIL_BYTES)?) {
            (Some(label), _) => label,
            (None, Some((head, tail))) => {
                let found = Found { format: Format::sniff(&head), label: label_at_end(&head, &tail) };
                of_file(&Described::of(&self.input), found)
            }
            (None, None) => of_stream(self.input.name(), Found { format: Format::sniff(first), label: None }),
        };
        self.session.promise(&(self.relabel)(label))
    }
}

/// What the input is called.
struct Described {
    /// To people.
    name: String,
    /// Without folders, if it is a file that was named.
    file_name: Option<String>,
}

impl Described {
    fn of(input: &Input) -> Self {
        let name = input.name().to_owned();
        let file_name = input.path().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        Self { name, file_name }
    }
}

/// What a stream that nobody announced has shown of itself.
struct Found {
    /// Its format, if that proves its end.
    format: Option<Format>,
    /// What it says that it is.
    label: Option<Label>,
}

/// Refused if it is not whole by its own format. What proves nothing is passed on as that: whoever stores or restores it demands a
/// proof and finds none.
fn proven(prover: Prover, name: &str) -> Result<Found> {
    match prover.finish() {
        Verdict::Proven { format, label } => Ok(Found { format: Some(format), label: label.map(|label| *label) }),
        Verdict::Unproven { .. } | Verdict::Empty { .. } => Ok(Found { format: None, label: None }),
        Verdict::Broken { why } | Verdict::BrokenInside { why } => {
            Err(Error::integrity(format!("reading {name}: {why}"))
                .with_hint("It was cut off before it came here; look at what wrote it."))
        }
    }
}

/// Its set is not known before its end, if then.
fn of_stream(name: &str, found: Found) -> Label {
    let proof = if found.format.is_some() { Proof::Format } else { Proof::Unproven };
    let foreign = || {
        let extension = found.format.map(Format::extension).unwrap_or_default();
        Label { proof, ..Label::of_stream("stream", name, "", extension) }
    };
    found.label.unwrap_or_else(foreign)
}

/// A file is as long as it is; its name tells where no label does.
fn of_file(input: &Described, found: Found) -> Label {
    let foreign = || {
        let (set, extension) = set_and_extension(input.file_name.as_deref().unwrap_or_default());
        let sniffed = found.format.map(Format::extension).unwrap_or_default();
        let extension = if extension.is_empty() { sniffed } else { extension };
        let set = if set.is_empty() { String::new() } else { naming::set_from(set) };
        Label::of_stream("file", &input.name, &set, extension)
    };
    Label { proof: Proof::File, ..found.label.unwrap_or_else(foreign) }
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

//! What a backup is called. Its name must stand before the first byte is sent, but the seal with the label comes last:
//! so the name is made from what is seen at the beginning, and the seal must agree with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use vb_core::file_name::set_and_extension;
use vb_core::label::{Label, Source};
use vb_core::{Error, Result, naming};
use vb_proof::{Format, SNIFF_BYTES, TAIL_BYTES, label_at_end};

/// What the user says.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// By `--set` or `VB_SET`.
    pub(crate) set: Option<String>,
    /// The file, if it is no stream.
    pub(crate) file: Option<PathBuf>,
    /// What this run makes itself, of a command or of files.
    pub(crate) made: Option<Made>,
}

/// A stream that this run makes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    /// The set where nobody names one; any text.
    pub(crate) set: String,
    /// `command` or `files`.
    pub(crate) source_type: &'static str,
    /// What names it to people, without a secret.
    pub(crate) source: String,
    /// What tells a command from others of the same program.
    pub(crate) command_digest: Option<String>,
}

/// What can be seen before the stream has passed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What the stage before announced, or the seal at the end of a file.
    pub(crate) promised: Option<Label>,
    /// From the first bytes.
    pub(crate) format: Option<Format>,
}

impl Seen {
    /// The label at the end of a file, if it has one.
    pub(crate) fn of_file(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.is_file()) else { return Ok(Self::default()) };
        let ends = |file: File| Ok((read_at(&file, SeekFrom::Start(0), SNIFF_BYTES)?, read_tail(&file)?));
        let ends = File::open(path).and_then(ends);
        let (head, tail) = ends.map_err(|cause| Error::io(format!("reading {}", path.display()), cause))?;
        Ok(Self { promised: label_at_end(&head, &tail), format: Format::sniff(&head) })
    }
}

fn read_tail(mut file: &File) -> std::io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    read_at(file, SeekFrom::Start(length.saturating_sub(TAIL_BYTES as u64)), TAIL_BYTES)
}

fn read_at(mut file: &File, from: SeekFrom, most: usize) -> std::io::Result<Vec<u8>> {
    file.seek(from)?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The set and the extension under which a stream is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) set: String,
    pub(crate) extension: String,
    /// Whether the user chose the set.
    set_is_given: bool,
    /// What the source is where no label says.
    source: Source,
}

impl Given {
    pub(crate) fn name(&self, seen: &Seen) -> Name {
        let file = self.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let (of_file, file_extension) = file.as_deref().map(set_and_extension).unwrap_or_default();
        // A label that knows of no source says less than the name that a file has now.
        let (told, guessed) = match &seen.promised {
            Some(label) if label.is_anonymous() => (None, Some(label)),
            promised => (promised.as_ref(), None),
        };
        let set_of = |label: Option<&Label>| label.map(|label| label.set.clone()).filter(|set| !set.is_empty());
        let made = || self.made.as_ref().map(|made| made.set.clone());
        let from_file = || Some(of_file.to_owned()).filter(|set| !set.is_empty());
        let suggested = set_of(told).or_else(made).or_else(from_file).or_else(|| set_of(guessed));
        let set = self.set.clone().unwrap_or_else(|| naming::set_from(suggested.as_deref().unwrap_or("backup")));
        let sniffed = || seen.format.map(Format::extension).unwrap_or_default().to_owned();
        let guessed = || guessed.map(|label| label.extension.clone()).filter(|extension| !extension.is_empty());
        let extension = match told {
            Some(label) => label.extension.clone(),
            None if file_extension.is_empty() => guessed().unwrap_or_else(sniffed),
            None => file_extension.to_owned(),
        };
        let (source_type, name) = match (&self.made, &self.file) {
            (Some(made), _) => (made.source_type, made.source.clone()),
            (None, Some(path)) => ("file", path.display().to_string()),
            (None, None) => ("stream", "standard input".to_owned()),
        };
        let command_digest = self.made.as_ref().and_then(|made| made.command_digest.clone());
        let source = Source { source_type: source_type.to_owned(), name, command_digest, ..Source::default() };
        Name { set, extension, set_is_given: self.set.is_some(), source }
    }
}

impl Name {
    /// The label for the manifest, from the one that the seal gave, if any.
    ///
    /// # Errors
    /// An integrity error if the seal names something else than was promised.
    pub(crate) fn settle(&self, sealed: Option<Box<Label>>, seen: &Seen, warn: impl Fn(&str)) -> Result<Label> {
        let Some(mut label) = sealed.map(|label| *label) else {
            let label = Label::of_stream("", "", &self.set, &self.extension);
            return Ok(Label { source: self.source.clone(), ..label });
        };
        // Of what came out of a command or of files, these say more than that it was a stream.
        if label.is_anonymous() && !matches!(self.source.source_type.as_str(), "file" | "stream") {
            label.source = self.source.clone();
        }
        // Who promised no set did not know what was to come.
        match seen.promised.as_ref().filter(|promised| !promised.set.is_empty()) {
            Some(promised) if (&promised.set, &promised.extension) != (&label.set, &label.extension) => {
                let message = format!(
                    "the stage before announced {:?} as {:?} but sealed {:?} as {:?}",
                    promised.set, promised.extension, label.set, label.extension
                );
                return Err(Error::integrity(message));
            }
            None if !self.set_is_given && !label.set.is_empty() && label.set != self.set => warn(&format!(
                "the stream is of the set {} but its name came too late: stored in the set {} (--set {} puts it there)",
                label.set, self.set, label.set
            )),
            _ => {}
        }
        label.set.clone_from(&self.set);
        label.extension.clone_from(&self.extension);
        Ok(label)
    }
}

//! What a backup is called. Its name must stand before the first byte is sent, but the seal with the label comes last:
//! so the name is made from what is seen at the beginning, and the seal must agree with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use vb_core::label::Label;
use vb_core::{Error, Result, naming};
use vb_proof::{Format, TAIL_BYTES, label_at_end};

/// Extensions that say what a file holds; anything else after a dot belongs to the name.
const EXTENSIONS: &[&str] = &[
    "7z", "avro", "br", "bz2", "csv", "db", "dump", "gz", "json", "jsonl", "lz4", "ndjson", "orc", "parquet", "sql",
    "sqlite", "tar", "tgz", "tsv", "txt", "xml", "xz", "zip", "zst",
];

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
    /// The label at the end of a file, if it is a vb gzip.
    pub(crate) fn of_file(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        if !path.is_file() {
            return Ok(Self::default());
        }
        let tail = read_tail(path).map_err(|cause| Error::io(format!("reading {}", path.display()), cause))?;
        Ok(Self { promised: label_at_end(&tail), format: Format::sniff(&read_head(path)) })
    }
}

fn read_tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES as u64)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES as u64).read_to_end(&mut tail)?;
    Ok(tail)
}

fn read_head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(path) {
        let _what_there_is = file.take(vb_proof::SNIFF_BYTES as u64).read_to_end(&mut head);
    }
    head
}

/// The set and the extension under which a stream is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) set: String,
    pub(crate) extension: String,
    /// Whether the user chose the set.
    set_is_given: bool,
    /// What the source is called where no label says: its type and its name.
    source: (&'static str, String),
}

impl Given {
    pub(crate) fn name(&self, seen: &Seen) -> Name {
        let file_name = self.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let (stem, file_extension) = file_name.as_deref().map(split).unwrap_or_default();
        let promised = seen.promised.as_ref();
        let from_file = || (!stem.is_empty()).then(|| naming::parse_id(stem).map_or(stem, |(set, _)| set).to_owned());
        let made = || self.made.as_ref().map(|made| made.set.clone());
        let suggested = promised.map(|label| label.set.clone()).filter(|set| !set.is_empty());
        let suggested = suggested.or_else(made).or_else(from_file);
        let set = self.set.clone().unwrap_or_else(|| naming::set_from(suggested.as_deref().unwrap_or("backup")));
        let sniffed = || seen.format.map(Format::extension).unwrap_or_default().to_owned();
        let extension = match promised {
            Some(label) => label.extension.clone(),
            None if file_extension.is_empty() => sniffed(),
            None => file_extension.to_owned(),
        };
        let source = match (&self.made, &self.file) {
            (Some(made), _) => (made.source_type, made.source.clone()),
            (None, Some(path)) => ("file", path.display().to_string()),
            (None, None) => ("stream", "standard input".to_owned()),
        };
        Name { set, extension, set_is_given: self.set.is_some(), source }
    }
}

/// `("weather.2026", "csv.gz")` of `weather.2026.csv.gz`.
fn split(name: &str) -> (&str, &str) {
    let mut stem = name;
    while let Some((before, last)) = stem.rsplit_once('.')
        && !before.is_empty()
        && EXTENSIONS.contains(&last)
    {
        stem = before;
    }
    (stem, name[stem.len()..].trim_start_matches('.'))
}

impl Name {
    /// The label for the manifest, from the one that the seal gave, if any.
    ///
    /// # Errors
    /// An integrity error if the seal names something else than was promised.
    pub(crate) fn settle(&self, sealed: Option<Box<Label>>, seen: &Seen, warn: impl Fn(&str)) -> Result<Label> {
        let Some(mut label) = sealed.map(|label| *label) else {
            let (source_type, source) = &self.source;
            return Ok(Label::of_stream(source_type, source, &self.set, &self.extension));
        };
        match &seen.promised {
            Some(promised) if (&promised.set, &promised.extension) != (&label.set, &label.extension) => {
                let message = format!(
                    "the stage before announced {:?} as {:?} but sealed {:?} as {:?}",
                    promised.set, promised.extension, label.set, label.extension
                );
                return Err(Error::integrity(message));
            }
            None if !self.set_is_given && label.set != self.set => warn(&format!(
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

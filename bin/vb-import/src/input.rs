//! The whole input, proven to its end, as a file that can be read from anywhere: Parquet begins at its end.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use vb_core::label::Label;
use vb_core::{Error, Result};
use vb_pipe::{Input, Origin, Progress, Session};
use vb_target::ParquetFile;

const BLOCK_BYTES: usize = 1 << 20;
/// What a Parquet file begins and ends with; `PARE` where its footer is encrypted.
const PARQUET: &[u8; 4] = b"PAR1";

/// An input that has come to its end.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The rows.
    pub(crate) file: ParquetFile,
    /// What the stages before said that it is, if they were ours.
    pub(crate) label: Option<Box<Label>>,
    /// Its length.
    pub(crate) size_bytes: u64,
}

/// Reads the input to its end and demands the proof that it is whole: a seal, or else the footer.
///
/// # Errors
/// Usage errors for what is no Parquet file; integrity errors for what is unproven, cut off or not what its label says.
pub(crate) fn read(session: &Session, path: Option<&Path>) -> Result<Whole> {
    let (file, name, label, size_bytes) = match path.filter(|path| is_regular(path)) {
        Some(path) => {
            let name = path.display().to_string();
            let refused = |cause| Error::io(format!("reading {name}"), cause);
            let mut file = File::open(path).map_err(refused)?;
            let size_bytes = file.metadata().map_err(refused)?.len();
            let mut head = Vec::new();
            Read::by_ref(&mut file).take(4).read_to_end(&mut head).map_err(refused)?;
            check_head(&head, &name)?;
            (file, name, None, size_bytes)
        }
        None => spooled(session, path)?,
    };
    let file = ParquetFile::open(file, &name)?;
    if let Some(records) = label.as_deref().and_then(|label: &Label| label.records)
        && records != file.rows()
    {
        return Err(Error::integrity(format!(
            "reading {name}: its label says {records} records, its footer {}",
            file.rows()
        )));
    }
    Ok(Whole { file, label, size_bytes })
}

fn is_regular(path: &Path) -> bool {
    path != Path::new("-") && std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Copies a pipe into a file without a name, of which nothing is left however we end.
fn spooled(session: &Session, path: Option<&Path>) -> Result<(File, String, Option<Box<Label>>, u64)> {
    let mut input = Input::open(session, path)?;
    let name = input.name().to_owned();
    let folder = std::env::temp_dir();
    let step = format!("keeping the input in {} until its end is proven", folder.display());
    let mut file = tempfile::tempfile_in(&folder).map_err(|cause| Error::io(&step, cause))?;
    let progress = session.progress_of("read", input.length());
    copy(&mut input, &mut file, &name, &step, &progress)?;
    drop(progress);
    let end = input.finish()?;
    let size_bytes = end.digest.bytes();
    if size_bytes == 0 {
        return Err(Error::integrity(format!("reading {name}: nothing came"))
            .with_hint("See what the command before it said; nothing was changed."));
    }
    file.rewind().map_err(|cause| Error::io(&step, cause))?;
    let label = match end.origin {
        Origin::Sealed(label) => Some(label),
        Origin::Silent | Origin::File => None,
    };
    Ok((file, name, label, size_bytes))
}

fn copy(input: &mut Input, file: &mut File, name: &str, step: &str, progress: &Progress) -> Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut head = Vec::new();
    loop {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(Error::io(format!("reading {name}"), cause)),
        };
        if head.len() < PARQUET.len() {
            head.extend_from_slice(&block[..count.min(PARQUET.len() - head.len())]);
            if head.len() == PARQUET.len() {
                check_head(&head, name)?;
            }
        }
        file.write_all(&block[..count]).map_err(|cause| Error::io(step, cause))?;
        progress.add(count as u64);
    }
    Ok(())
}

/// What it is by its first bytes; an empty or shorter input is left to whoever proves its end.
fn check_head(head: &[u8], name: &str) -> Result<()> {
    if head == PARQUET || head.len() < PARQUET.len() {
        return Ok(());
    }
    let error = |what: &str| Error::usage(format!("{name} is {what}, not Parquet"));
    Err(match head {
        [0x1f, 0x8b, ..] => {
            error("gzip").with_hint("Pipe it through vb-compress -d first: … | vb-compress -d | vb-import.")
        }
        [0x28, 0xb5, 0x2f, 0xfd] => {
            error("zstd").with_hint("Pipe it through zstd -dc first: … | zstd -dc | vb-import.")
        }
        b"PARE" => error("an encrypted Parquet file").with_hint("Decrypt it first."),
        _ => error("something else")
            .with_hint("vb-import reads what vb-export wrote as Parquet, which is its default format."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_gets_its_own_hint() {
        assert!(check_head(b"PAR1", "x").is_ok());
        for (head, word) in
            [(&[0x1f, 0x8b, 8, 0][..], "vb-compress -d"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"), (b"id,n", "vb-export")]
        {
            let error = check_head(head, "standard input").unwrap_err();
            assert_eq!(error.kind(), vb_core::ErrorKind::Usage);
            assert!(error.hint().unwrap().contains(word), "{error}");
        }
    }
}

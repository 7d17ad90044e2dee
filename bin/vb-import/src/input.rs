//! The whole input, proven to its end, as a file that can be read from anywhere: Parquet begins at its end.

use crate::database::{Form as DatabaseForm, Source};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use vb_core::label::Label;
use vb_core::{Error, Result};
use vb_pipe::{Input, Origin, Progress, Session};
use vb_target::backup::{self, Chain};
use vb_target::database::{DatabaseArchive, DatabaseChain, pg_restore};
use vb_target::{Archive, Backup, ParquetFile, Window};

const BLOCK_BYTES: usize = 1 << 20;
/// What a Parquet file begins and ends with; `PARE` where its footer is encrypted.
const PARQUET: &[u8; 4] = b"PAR1";
/// As much as tells what an input is: the header of an archive's first member.
const HEAD_BYTES: usize = 512;

/// What an input is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One backup, or any table.
    Parquet,
    /// Several files.
    Archive,
    /// A database, as `pg_dump -Fc` writes it.
    Custom,
}

/// What has come.
#[derive(Debug)]
pub(crate) enum Came {
    /// Rows of a table.
    Rows(Whole),
    /// A whole database.
    Database(Source),
}

/// An input that has come to its end.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The rows: of one file, or of a chain, the full backup first.
    pub(crate) backups: Vec<Backup>,
    /// What the stages before said that it is, if they were ours.
    pub(crate) label: Option<Box<Label>>,
    /// Its length.
    pub(crate) size_bytes: u64,
}

/// Reads the input to its end and demands the proof that it is whole: a seal, or else the footer or the end of the archive.
///
/// # Errors
/// Usage errors for what is neither a Parquet file nor a chain; integrity errors for what is unproven, cut off or not what its label
/// or a manifest says.
pub(crate) fn read(session: &Session, path: Option<&Path>) -> Result<Came> {
    let (file, name, label, is_silent) = match path.filter(|path| is_regular(path)) {
        Some(path) => {
            let name = path.display().to_string();
            (File::open(path).map_err(|cause| Error::io(format!("reading {name}"), cause))?, name, None, false)
        }
        None => spooled(session, path)?,
    };
    let again = file.try_clone().map_err(|cause| Error::io(format!("reading {name}"), cause))?;
    let window = Window::whole(file, &name)?;
    let size_bytes = window.length();
    let mut head = Vec::new();
    let read = window.reader().take(HEAD_BYTES as u64).read_to_end(&mut head);
    read.map_err(|cause| Error::io(format!("reading {name}"), cause))?;
    let backups = match form(&head, &name)? {
        Form::Parquet => vec![alone(window, &name, label.as_deref())?],
        Form::Archive => match archive(&window, &name)? {
            Chain::Table(backups) => backups,
            Chain::Database(chain) => {
                return Ok(Came::Database(Source { form: DatabaseForm::Tables(chain), name, size_bytes }));
            }
            Chain::Custom(file) => {
                return Ok(Came::Database(Source { form: DatabaseForm::Custom(file), name, size_bytes }));
            }
        },
        Form::Custom if is_silent => return Err(unproven(&name)),
        Form::Custom => return Ok(Came::Database(Source { form: DatabaseForm::Custom(again), name, size_bytes })),
    };
    Ok(Came::Rows(Whole { backups, label, size_bytes }))
}

/// The archive of `pg_dump` does not show where it ends.
fn unproven(name: &str) -> Error {
    Error::integrity(format!("nobody vouches that {name} is whole: the archive of pg_dump does not show where it ends"))
        .with_hint("Let vb-export dump or vb-get write it, or keep it in a file and name that.")
}

fn alone(window: Window, name: &str, label: Option<&Label>) -> Result<Backup> {
    let file = ParquetFile::in_window(window, name)?;
    if let Some(records) = label.and_then(|label| label.records)
        && records != file.rows()
    {
        return Err(Error::integrity(format!(
            "reading {name}: its label says {records} records, its footer {}",
            file.rows()
        )));
    }
    let kind = label.map(|label| label.kind).or(file.kind());
    Ok(Backup::alone(file, kind))
}

fn archive(window: &Window, name: &str) -> Result<Chain> {
    let archive = Archive::index(window, name)?;
    if DatabaseArchive::is_one(&archive) {
        let archive = DatabaseArchive::open(archive, name)?;
        return Ok(Chain::Database(Box::new(DatabaseChain::of(vec![(name.to_owned(), archive)])?)));
    }
    if backup::is_chain(&archive) {
        return backup::of_chain(&archive, &std::env::temp_dir());
    }
    Err(Error::usage(format!("{name} is an archive, but not one of backups")).with_hint(
        "vb-import reads the archives that vb-get --chain and vb-export dump write; tar -x unpacks any other.",
    ))
}

fn is_regular(path: &Path) -> bool {
    path != Path::new("-") && std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Copies a pipe into a file without a name, of which nothing is left however we end.
/// Whether nobody vouched for its end is the last of what is returned.
fn spooled(session: &Session, path: Option<&Path>) -> Result<(File, String, Option<Box<Label>>, bool)> {
    let mut input = Input::open(session, path)?;
    let name = input.name().to_owned();
    let folder = std::env::temp_dir();
    let step = format!("keeping the input in {} until its end is proven", folder.display());
    let mut file = tempfile::tempfile_in(&folder).map_err(|cause| Error::io(&step, cause))?;
    let progress = session.progress_of("read", input.length());
    copy(&mut input, &mut file, &name, &step, &progress)?;
    drop(progress);
    let end = input.finish()?;
    if end.digest.bytes() == 0 {
        return Err(Error::integrity(format!("reading {name}: nothing came"))
            .with_hint("See what the command before it said; nothing was changed."));
    }
    let is_silent = end.origin == Origin::Silent;
    let label = match end.origin {
        Origin::Sealed(label) => Some(label),
        Origin::Silent | Origin::File => None,
    };
    Ok((file, name, label, is_silent))
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
        if head.len() < HEAD_BYTES {
            head.extend_from_slice(&block[..count.min(HEAD_BYTES - head.len())]);
            // What cannot be restored is refused before it has all come.
            if head.len() == HEAD_BYTES {
                form(&head, name)?;
            }
        }
        file.write_all(&block[..count]).map_err(|cause| Error::io(step, cause))?;
        progress.add(count as u64);
    }
    Ok(())
}

/// What it is by its first bytes; an input that is too short to be anything is left to whoever proves its end.
fn form(head: &[u8], name: &str) -> Result<Form> {
    let error = |what: &str| Error::usage(format!("{name} is {what}, not Parquet"));
    Err(match head {
        _ if head.starts_with(PARQUET) || head.len() < PARQUET.len() => return Ok(Form::Parquet),
        _ if Archive::is_one(head) => return Ok(Form::Archive),
        _ if head.starts_with(pg_restore::MAGIC) => return Ok(Form::Custom),
        [0x1f, 0x8b, ..] => {
            error("gzip").with_hint("Pipe it through vb-compress -d first: … | vb-compress -d | vb-import.")
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            error("zstd").with_hint("Pipe it through zstd -dc first: … | zstd -dc | vb-import.")
        }
        [b'P', b'A', b'R', b'E', ..] => error("an encrypted Parquet file").with_hint("Decrypt it first."),
        _ => error("something else")
            .with_hint("vb-import reads what vb-export wrote as Parquet, which is its default format."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_gets_its_own_hint() {
        assert_eq!(form(b"PAR1", "x").unwrap(), Form::Parquet);
        for (head, word) in
            [(&[0x1f, 0x8b, 8, 0][..], "vb-compress -d"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"), (b"id,n", "vb-export")]
        {
            let error = form(head, "standard input").unwrap_err();
            assert_eq!(error.kind(), vb_core::ErrorKind::Usage);
            assert!(error.hint().unwrap().contains(word), "{error}");
        }
    }

    #[test]
    fn an_archive_is_told_by_its_magic() {
        let mut head = [b'w'; HEAD_BYTES];
        assert!(form(&head, "x").is_err());
        head[257..262].copy_from_slice(b"ustar");
        assert_eq!(form(&head, "x").unwrap(), Form::Archive);
        assert_eq!(form(b"PGDMP\x01\x0e", "x").unwrap(), Form::Custom);
    }
}

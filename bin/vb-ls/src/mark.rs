//! `--mark FILE`: makes a mark agree with the store, whose newest manifest is the truth.

use crate::arguments::Arguments;
use crate::chain_of;
use crate::inventory::{Backup, Inventory};
use crate::newest::is_ahead;
use serde_json::json;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use vb_core::mark::{Agreement, Mark};
use vb_core::{Error, Result, naming, time};
use vb_pipe::{Done, Session, write_atomically};
use vb_repository::select::by_id;
use vb_repository::{Row, StoreArguments};

/// The options.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MarkArguments {
    /// Make this file, which vb-put --mark writes, agree with the store: the newest backup that an increment can continue
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "since", "until", "limit", "latest", "at", "chain", "stats", "cost", "assertion", "ids"])]
    pub(crate) mark: Option<PathBuf>,

    /// The table that the mark is of, for where the file is missing
    #[arg(long, value_name = "NAME", requires = "mark")]
    table: Option<String>,
}

impl MarkArguments {
    /// Whether a backup is of what the mark is of.
    fn means(&self, row: &Row, mark: Option<&Mark>) -> bool {
        let same = |was: &Option<String>, is: &Option<String>| was.is_none() || is.is_none() || was == is;
        let source = &row.source;
        match (mark.and_then(|mark| Some((mark, mark.source.as_ref()?))), &self.table) {
            (Some((mark, name)), _) => {
                source.name == *name
                    && same(&mark.system_identifier, &source.system_identifier)
                    && same(&mark.database, &source.database)
            }
            (None, Some(table)) => source.name == *table || source.name.ends_with(&format!(".{table}")),
            (None, None) => true,
        }
    }
}

/// Makes the mark agree.
pub(crate) fn agree(arguments: &Arguments, path: &Path, session: &Session, inventory: &Inventory) -> Result<Done> {
    let found = read(path)?;
    let mark = if let Found::Mark(mark) = &found { Some(&**mark) } else { None };
    let newest = newest(arguments, session, inventory, mark)?;
    let agreement = match (&found, &newest) {
        (Found::NoMark(why), Some(_)) => Agreement::Written(why.clone()),
        (Found::NoMark(why), None) => Agreement::Removed(format!("{why}, and the store has no backup to continue")),
        _ => Agreement::of(mark, newest.as_ref()),
    };
    let shown = path.display();
    let id = newest.as_ref().and_then(|mark| mark.id.as_deref()).unwrap_or_default();
    let words = match &agreement {
        Agreement::Kept => format!("{shown} agrees with {}", inventory.place()),
        Agreement::Written(why) => format!("{shown} was written anew for {id}: {why}"),
        Agreement::Removed(why) => format!("{shown} was removed: {why}; the next export is full"),
    };
    if agreement != Agreement::Kept {
        session.warn(&words);
    }
    if !arguments.common.dry_run {
        match (&agreement, &newest) {
            (Agreement::Written(_), Some(newest)) => write_atomically(path, newest.to_line()?.as_bytes())?,
            (Agreement::Removed(_), _) => {
                std::fs::remove_file(path).map_err(|cause| Error::io(format!("removing {shown}"), cause))?;
            }
            _ => {}
        }
    }
    let fields = json!({
        "store": inventory.stores.first(),
        "stores": inventory.stores,
        "mark": path,
        "changed": agreement != Agreement::Kept,
        "reason": agreement.reason(),
        "id": newest.as_ref().and_then(|mark| mark.id.clone()),
        "until": newest.as_ref().map(|mark| time::exact(mark.until)),
    });
    session.done(&fields, words)
}

/// The set that a mark's backup is in: only that one needs to be listed.
pub(crate) fn set_of(path: &Path) -> Result<Option<String>> {
    let id = if let Found::Mark(mark) = read(path)? { mark.id.unwrap_or_default() } else { String::new() };
    Ok(naming::parse_id(&id).map(|(set, _)| set.to_owned()))
}

/// What a file holds that should hold a mark.
#[derive(Debug)]
enum Found {
    /// There is no file.
    Nothing,
    /// Something else, and what: as a crash or a full disk leaves it.
    NoMark(String),
    /// A mark.
    Mark(Box<Mark>),
}

fn read(path: &Path) -> Result<Found> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Ok(Found::NoMark("it was empty".to_owned())),
        Ok(bytes) => Ok(match Mark::parse(&String::from_utf8_lossy(&bytes), "it") {
            Ok(mark) => Found::Mark(Box::new(mark)),
            Err(_) => Found::NoMark("it held no mark".to_owned()),
        }),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(cause) => Err(Error::io(format!("reading the watermark in {}", path.display()), cause)),
    }
}

/// Whether a restore finds all that it needs.
fn whole_chain(inventory: &Inventory, id: &str) -> Result<()> {
    for link in chain_of(inventory, id)? {
        link.flaw().map_or(Ok(()), |flaw| Err(Error::integrity(flaw)))?;
    }
    Ok(())
}

/// The mark of the newest backup that can be continued and whose chain is whole.
fn newest(
    arguments: &Arguments,
    session: &Session,
    inventory: &Inventory,
    mark: Option<&Mark>,
) -> Result<Option<Mark>> {
    let can_be_continued = |backup: &&Backup| {
        let row = &backup.entry.row;
        row.continues && row.until.is_some() && arguments.marking.means(row, mark) && !backup.damaged
    };
    let (ahead, usual): (Vec<&Backup>, Vec<&Backup>) =
        inventory.backups.iter().rev().filter(can_be_continued).partition(|backup| is_ahead(backup, session.now()));
    for backup in usual.into_iter().chain(ahead) {
        let row = &backup.entry.row;
        if let Err(error) = whole_chain(inventory, &row.id) {
            session.warn(&format!("{} cannot be continued: {error}", row.id));
            continue;
        }
        let Some(store) = inventory.holders(backup).first().map(|store| (*store).to_owned()) else { continue };
        let store = StoreArguments { store: Some(store) }.open(session)?;
        return Ok(Mark::of(&by_id(&*store, &row.id)?));
    }
    Ok(None)
}

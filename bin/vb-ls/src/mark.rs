//! `--mark FILE`: makes a mark agree with the store, whose newest manifest is the truth.

use crate::arguments::Arguments;
use crate::chain_of;
use crate::inventory::{Backup, Inventory};
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
    let mark = read(path)?;
    let newest = newest(arguments, session, inventory, mark.as_ref())?;
    let agreement = Agreement::of(mark.as_ref(), newest.as_ref());
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
    let id = read(path)?.and_then(|mark| mark.id).unwrap_or_default();
    Ok(naming::parse_id(&id).map(|(set, _)| set.to_owned()))
}

fn read(path: &Path) -> Result<Option<Mark>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Mark::parse(&text, &path.display().to_string()).map(Some),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io(format!("reading the watermark in {}", path.display()), cause)),
    }
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
        row.continues && row.until.is_some() && arguments.marking.means(row, mark) && !backup.entry.health().damaged
    };
    for backup in inventory.backups.iter().rev().filter(can_be_continued) {
        let row = &backup.entry.row;
        match chain_of(inventory, &row.id) {
            Ok(_) => {}
            Err(error) => {
                session.warn(&format!("{} cannot be continued: {error}", row.id));
                continue;
            }
        }
        let Some(store) = inventory.holders(backup).first().map(|store| (*store).to_owned()) else { continue };
        let store = StoreArguments { store: Some(store) }.open(session)?;
        return Ok(Mark::of(&by_id(&*store, &row.id)?));
    }
    Ok(None)
}

//! What an export says about rows that are gone, and what it remembers of the keys for the next one.

use crate::key_pass::KeyPass;
use crate::plan::{self, Ground, Plan};
use crate::request::{Request, TablePart};
use std::thread::JoinHandle;
use vb_core::label::Kind;
use vb_core::{Error, Result};
use vb_postgres::keys::{self, Buckets, Changes, Deletes, would_be_too_large};

/// What is known of the keys before the rows are read.
#[derive(Debug)]
pub(crate) enum Tombstones {
    /// Of an increment: everything.
    Found(Box<(Buckets, Deletes)>),
    /// Of a full export: nothing yet. The keys are read beside the rows.
    Later(Box<KeyPass>),
}

/// Tombstones that are being made.
pub(crate) enum Making {
    Found(Box<(Buckets, Deletes)>),
    Later(JoinHandle<Result<Buckets>>),
}

/// What is to be remembered of the keys until the next export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// Their SHA-256, which is the file's name.
    pub sha256: String,
    /// How many keys there are.
    pub keys: u64,
    /// In how many groups of keys some are gone; none in a full export.
    pub dirty: Option<u64>,
}

/// Plans an export that looks for rows that are gone. Where they cannot be told from the keys of the last export, or are too many,
/// the plan is a full export.
pub(crate) fn plan(
    request: &Request,
    part: &TablePart,
    ground: &mut Ground<'_>,
    pass: KeyPass,
) -> Result<(Plan, Option<Tombstones>)> {
    let known = match part.deletes.clone() {
        Some(Ok(base)) if base.columns != pass.columns => Err("the table's key has changed".to_owned()),
        Some(known) => known,
        None => return Ok((plan::of_table(request, part, ground)?, None)),
    };
    ground.keys = known.as_ref().map(|_| ()).map_err(Clone::clone);
    let planned = plan::of_table(request, part, ground)?;
    if let (Ok(base), Some(exported), Kind::Incremental) = (known, &planned.exported, planned.label.kind) {
        let changes = pass.compare(base, exported)?;
        match why_full(&changes, &planned) {
            None => return found(planned, changes, &pass),
            Some(reason) => ground.keys = Err(reason),
        }
        return Ok((plan::of_table(request, part, ground)?, Some(Tombstones::Later(Box::new(pass)))));
    }
    Ok((planned, Some(Tombstones::Later(Box::new(pass)))))
}

fn found(mut plan: Plan, changes: Changes, pass: &KeyPass) -> Result<(Plan, Option<Tombstones>)> {
    let deletes = pass.collect(&changes)?;
    plan.label.deletes = Some(deletes.dirty.len() as u64);
    Ok((plan, Some(Tombstones::Found(Box::new((changes.now, deletes))))))
}

/// Why these changes are no increment.
fn why_full(changes: &Changes, plan: &Plan) -> Option<String> {
    let dirty = changes.dirty.len();
    if changes.missed > 0 {
        let by = plan.by.as_deref().unwrap_or_default();
        return Some(format!("there are new rows that {by} does not show as new"));
    }
    would_be_too_large(dirty, changes.now.number(), changes.live)
        .then(|| format!("rows are gone from {dirty} of {} groups of keys", changes.now.number()))
}

impl Tombstones {
    /// Starts what is still to be done.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn begin(self) -> Result<Making> {
        match self {
            Self::Found(found) => Ok(Making::Found(found)),
            Self::Later(pass) => {
                let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(move || pass.remember());
                thread.map(Making::Later).map_err(|cause| Error::io("starting the thread that reads the keys", cause))
            }
        }
    }
}

impl Making {
    /// What goes into the footer, and what is to be remembered.
    ///
    /// # Errors
    /// Whatever went wrong with the keys.
    pub(crate) fn finish(self) -> Result<(Option<(String, String)>, Remembered)> {
        match self {
            Self::Found(found) => {
                let (buckets, deletes) = *found;
                let remembered = remembered(&buckets, Some(deletes.dirty.len() as u64));
                Ok((Some((keys::METADATA_KEY.to_owned(), deletes.to_text())), remembered))
            }
            Self::Later(thread) => {
                let read = thread.join();
                let buckets =
                    read.unwrap_or_else(|_| Err(Error::failure("reading the keys: the thread ended unexpectedly")))?;
                Ok((None, remembered(&buckets, None)))
            }
        }
    }
}

fn remembered(buckets: &Buckets, dirty: Option<u64>) -> Remembered {
    let bytes = buckets.to_bytes();
    Remembered { sha256: keys::name_of(&bytes), bytes, keys: buckets.keys(), dirty }
}

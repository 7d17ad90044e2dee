//! The plan as a JSON document: made from a listing, looked at by whoever likes, and carried out only on that listing.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;
use vb_core::retention::{Backup, Policy, Reason, Verdict};
use vb_core::time::Instant;
use vb_core::{Error, Result, time};

/// The version of the document's form.
const FORMAT: u32 = 1;

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    /// The only set that was looked at, or none: all.
    pub(crate) set: Option<String>,
    /// How many backups it had.
    pub(crate) backups: usize,
    /// The digest of all that the plan depends on.
    pub(crate) sha256: String,
}

impl Basis {
    pub(crate) fn of(backups: &[Backup], set: Option<&str>) -> Result<Self> {
        let those: Vec<&Backup> = backups.iter().filter(|backup| set.is_none_or(|set| *backup.set == *set)).collect();
        let sha256 = crate::inventory::sha256(&those)?;
        Ok(Self { set: set.map(str::to_owned), backups: those.len(), sha256 })
    }
}

#[derive(Serialize)]
struct Line<'all> {
    id: &'all str,
    size_bytes: u64,
    reasons: &'all [Reason<'all>],
}

#[derive(Serialize)]
struct Document<'all> {
    format: u32,
    planned_at: String,
    listing: &'all Basis,
    policy: &'all Policy,
    remove: Vec<Line<'all>>,
    keep: Vec<Line<'all>>,
}

/// Writes the plan.
///
/// # Errors
/// If `output` takes no more.
pub(crate) fn write(
    output: impl Write,
    basis: &Basis,
    policy: &Policy,
    planned_at: Instant,
    verdicts: &[Verdict],
) -> Result<()> {
    let lines = |keeps: bool| {
        let those = verdicts.iter().filter(move |verdict| verdict.keeps == keeps);
        those.map(|one| Line { id: &one.backup.id, size_bytes: one.backup.size_bytes, reasons: &one.reasons }).collect()
    };
    let document = Document {
        format: FORMAT,
        planned_at: time::exact(planned_at),
        listing: basis,
        policy,
        remove: lines(false),
        keep: lines(true),
    };
    let mut output = std::io::BufWriter::new(output);
    let written = serde_json::to_writer_pretty(&mut output, &document).map_err(std::io::Error::from);
    let written = written.and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush());
    written.map_err(|cause| Error::io("writing the plan", cause))
}

#[derive(Debug, Deserialize)]
struct Removed {
    id: String,
}

/// A plan that was read back.
#[derive(Debug, Deserialize)]
pub(crate) struct PlanFile {
    format: u32,
    pub(crate) planned_at: Instant,
    pub(crate) listing: Basis,
    pub(crate) policy: Policy,
    remove: Vec<Removed>,
}

impl PlanFile {
    /// Reads a plan; `-` is standard input.
    ///
    /// # Errors
    /// Those of reading; an integrity error if it is not a whole plan.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let step = format!("reading the plan {}", path.display());
        let bytes = match path == Path::new("-") {
            true => {
                let mut bytes = Vec::new();
                std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
            false => std::fs::read(path),
        };
        let bytes = bytes.map_err(|cause| Error::io(&step, cause))?;
        let plan: Self =
            serde_json::from_slice(&bytes).map_err(|cause| Error::integrity(format!("{step}: {cause}")))?;
        if plan.format != FORMAT {
            return Err(Error::integrity(format!(
                "{step}: it has format {}, this program reads {FORMAT}",
                plan.format
            )));
        }
        Ok(plan)
    }

    /// Refuses a listing other than the one that the plan was made from.
    ///
    /// # Errors
    /// `Conflict`.
    pub(crate) fn check_listing(&self, now: &Basis) -> Result<()> {
        if self.listing == *now {
            return Ok(());
        }
        let (then, now) = (self.listing.backups, now.backups);
        Err(Error::conflict(format!(
            "the listing has changed since the plan was made ({then} backups then, {now} now); nothing was removed"
        ))
        .with_hint("A backup, a pin or a verification has come or gone; make a new plan with vb-prune --plan."))
    }

    /// Refuses a plan that removes other backups than its own policy does: it was edited.
    ///
    /// # Errors
    /// `Integrity`.
    pub(crate) fn check_removals(&self, verdicts: &[Verdict]) -> Result<()> {
        let planned: HashSet<&str> = self.remove.iter().map(|one| one.id.as_str()).collect();
        let goes = verdicts.iter().filter(|one| !one.keeps).map(|one| one.backup.id.as_str());
        if goes.collect::<HashSet<_>>() == planned {
            return Ok(());
        }
        Err(Error::integrity("the plan removes other backups than its policy does; nothing was removed")
            .with_hint("It was edited, or a backup of another set stands on one that it removes: pin what is to stay with vb-prune --pin ID, and make a new one with --store."))
    }
}

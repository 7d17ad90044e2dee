//! What has become of each table since the last dump: a look at all of its rows, on several connections, before any is read.

use super::ground::{Ground, Now};
use super::reader;
use crate::key_pass::{KeyPass, Moment};
use postgres::Client;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use vb_core::{Error, Result};
use vb_postgres::connection::{Parameters, from_postgres};
use vb_postgres::database::Then;
use vb_postgres::database::contents::{DumpTable, select_all};
use vb_postgres::keys::{Buckets, Changes, Deletes, would_be_too_large};
use vb_postgres::row_hash::{self, RowHash};

/// What is dumped of a table.
#[derive(Debug)]
pub(super) enum Look {
    /// All rows; in an increment, why. Where a next dump needs them, its keys are read too.
    Whole { reason: Option<String>, keys: Option<Box<KeyPass>> },
    /// New rows, and which are gone.
    Changes(Box<Changed>),
    /// Nothing.
    Nothing(Box<Then>),
}

/// What has changed in a table.
#[derive(Debug)]
pub(super) struct Changed {
    /// What holds for its new rows.
    pub(super) condition: String,
    /// The keys that are gone.
    pub(super) deletes: Deletes,
    /// All keys that are there.
    pub(super) keys: Buckets,
    /// The hash of all rows, if it was asked for.
    pub(super) row_hash: Option<RowHash>,
}

impl Look {
    /// At a table of a dump on which no other stands.
    pub(super) fn at_nothing() -> Self {
        Self::Whole { reason: None, keys: None }
    }
}

/// Whoever looks.
#[derive(Debug)]
pub(super) struct Looker<'dump> {
    pub(super) parameters: &'dump Parameters,
    /// The snapshot that all see.
    pub(super) token: &'dump str,
    /// Whether all rows of a table are to be hashed.
    pub(super) row_hash: bool,
    /// None where the dump is full.
    pub(super) ground: Option<&'dump Ground>,
    /// How many hashes the lists of what is gone hold so far.
    pub(super) listed: AtomicU64,
}

/// Hashes that all lists together may hold: 64 MiB, since they are held in memory.
const MOST_LISTED: u64 = (64 << 20) / 8;

impl Looker<'_> {
    /// Looks at all tables over so many connections.
    ///
    /// # Errors
    /// Those of the server.
    pub(super) fn all(&self, tables: &[Now], jobs: usize) -> Result<Vec<Look>> {
        let mut order: Vec<usize> = (0..tables.len()).collect();
        order.sort_by_key(|number| tables.get(*number).map(|now| std::cmp::Reverse(now.table.extent.pages)));
        let (queue, looks) = (Mutex::new(VecDeque::from(order)), Mutex::new(Vec::new()));
        let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let until_none = || {
            let mut client = reader::join(self.parameters, self.token)?;
            while let Some((number, now)) = take().and_then(|number| Some((number, tables.get(number)?))) {
                let shown = format!("dumping {}.{}", now.table.name.schema, now.table.name.name);
                let look = self.at(&mut client, now).map_err(|error| error.during(shown));
                let look = look.inspect_err(|_| queue.lock().unwrap_or_else(PoisonError::into_inner).clear())?;
                looks.lock().unwrap_or_else(PoisonError::into_inner).push((number, look));
            }
            Ok(())
        };
        let ended: Result<()> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..jobs.clamp(1, tables.len().max(1))).map(|_| scope.spawn(until_none)).collect();
            let broken = |_| Err(Error::failure("dumping the database: a thread ended unexpectedly"));
            let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(broken));
            ended.collect::<Vec<_>>().into_iter().collect()
        });
        ended?;
        let mut looks = looks.into_inner().unwrap_or_else(PoisonError::into_inner);
        looks.sort_by_key(|(number, _)| *number);
        Ok(looks.into_iter().map(|(_, look)| look).collect())
    }

    fn at(&self, client: &mut Client, now: &Now) -> Result<Look> {
        let whole = |keys, reason: &str| Look::Whole { reason: Some(reason.to_owned()), keys };
        let Some(ground) = self.ground else { return Ok(Look::Whole { reason: None, keys: self.keys(client, now)? }) };
        let then = match ground.then(now) {
            Ok(then) => then,
            Err(reason) => return Ok(whole(self.keys(client, now)?, reason)),
        };
        if is_by_hash(&now.table) {
            return Ok(match then.row_hash == Some(self.hash(client, &now.table)?) {
                true => Look::Nothing(Box::new(then.clone())),
                false => whole(None, "some of its rows have changed, and they do not say which"),
            });
        }
        let condition = ground.new_rows();
        if counts(client, &now.table, &condition)? == (then.rows, 0) {
            let mut then = then.clone();
            if self.row_hash && then.row_hash.is_none() {
                then.row_hash = Some(self.hash(client, &now.table)?);
            }
            return Ok(Look::Nothing(Box::new(then)));
        }
        let keys = self.keys(client, now)?;
        let (Some(pass), Some(base)) = (&keys, &then.keys) else {
            return Ok(whole(keys, "it has changed, and no key by which its rows could be told"));
        };
        if pass.columns != base.columns {
            return Ok(whole(keys, "its key has changed"));
        }
        let changes = pass.compare(base.clone(), &condition)?;
        let listed = self.listed.fetch_add(changes.live, Ordering::Relaxed) + changes.live;
        match why_whole(&changes, listed) {
            None => self.changed(client, now, pass, changes, condition),
            Some(reason) => {
                self.listed.fetch_sub(changes.live, Ordering::Relaxed);
                Ok(whole(keys, &reason))
            }
        }
    }

    /// How to read the keys of a table that is not what it was, if it has some.
    fn keys(&self, client: &mut Client, now: &Now) -> Result<Option<Box<KeyPass>>> {
        if is_by_hash(&now.table) {
            return Ok(None);
        }
        let moment = Moment { parameters: self.parameters, token: self.token, row_security: false };
        Ok(KeyPass::of_part(client, &now.table, &moment)?.map(Box::new))
    }

    fn changed(
        &self,
        client: &mut Client,
        now: &Now,
        pass: &KeyPass,
        changes: Changes,
        condition: String,
    ) -> Result<Look> {
        let deletes = pass.collect(&changes)?;
        let row_hash = self.row_hash.then(|| self.hash(client, &now.table)).transpose()?;
        let (keys, hashed) = (changes.now, row_hash.as_ref().map(|hash| hash.records));
        if let Some(hashed) = hashed.filter(|hashed| *hashed != keys.keys()) {
            let counted = keys.keys();
            return Err(Error::integrity(format!("{counted} keys were read, but the server hashed {hashed} rows")));
        }
        Ok(Look::Changes(Box::new(Changed { condition, deletes, keys, row_hash })))
    }

    fn hash(&self, client: &mut Client, table: &DumpTable) -> Result<RowHash> {
        let select = select_all(client, table.oid, &table.extent.name, table.condition.as_deref())?;
        row_hash::of_query(client, &select)
    }
}

/// Whether only the values of all rows tell that a table has changed: where they lie in no heap, or where a condition, which may change its
/// mind, says which of them are the user's.
pub(super) fn is_by_hash(table: &DumpTable) -> bool {
    !table.extent.has_xmin || table.condition.is_some()
}

/// All rows of a table, and those that are new.
fn counts(client: &mut Client, table: &DumpTable, condition: &str) -> Result<(u64, u64)> {
    let query = format!("SELECT count(*), count(*) FILTER (WHERE {condition}) FROM ONLY {}", table.extent.name);
    let row = client.query_one(&query, &[]).map_err(|cause| from_postgres("counting the rows", cause))?;
    let count = |column: usize| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    Ok((count(0), count(1)))
}

/// Why these changes are not told one by one.
fn why_whole(changes: &Changes, listed: u64) -> Option<String> {
    let (dirty, all) = (changes.dirty.len(), changes.now.number());
    if changes.missed > 0 {
        return Some("there are rows that are new and older than the last export".to_owned());
    }
    let too_large = would_be_too_large(dirty, all, changes.live) || changes.live > 0 && listed > MOST_LISTED;
    too_large.then(|| format!("rows are gone from {dirty} of {all} groups of keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_not_carried() {
        let changes = |live, missed| Changes { now: Buckets::new(Vec::new(), 16), dirty: vec![3], live, missed };
        assert_eq!(why_whole(&changes(100, 0), 100), None);
        assert!(why_whole(&changes(100, 0), MOST_LISTED + 1).unwrap().contains("1 of 16"));
        assert_eq!(why_whole(&changes(0, 0), MOST_LISTED + 1), None, "rows are gone from a group that is empty now");
        assert!(why_whole(&changes(0, 1), 0).unwrap().contains("older"));
    }
}

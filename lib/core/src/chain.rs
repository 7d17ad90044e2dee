//! Chains: a full backup and the incrementals that stand on it, in the order in which they are applied.

use crate::label::{Kind, Source};
use crate::manifest::Manifest;
use crate::position::{Position, Reach};
use crate::time::Instant;
use crate::{Error, Result};
use std::collections::HashMap;
use std::fmt;

/// What the proof of a chain looks at, of a manifest or of whatever tells as much of a backup.
#[derive(Debug, Clone, Copy)]
pub struct Link<'all> {
    /// Where the data came from.
    pub source: &'all Source,
    /// The lower end of what is covered.
    pub since: Option<Instant>,
    /// The upper end.
    pub until: Option<Instant>,
    /// The digest of the columns.
    pub schema_sha256: Option<&'all str>,
    /// How far it reaches, beside the time.
    pub reach: Option<Reach<&'all str>>,
}

/// What can be a link of a chain.
pub trait Linked {
    /// What the proof looks at.
    fn link(&self) -> Link<'_>;
}

impl Linked for Manifest {
    fn link(&self) -> Link<'_> {
        let (schema_sha256, reach) = (self.schema_sha256.as_deref(), self.position.as_ref().map(Position::reach));
        Link { source: &self.source, since: self.since, until: self.until, schema_sha256, reach }
    }
}

/// Why a backup does not continue another one. Its `Display` is a clause about that other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit<'all> {
    /// They come from two servers.
    Server,
    /// They come from two tables or databases.
    Source,
    /// The columns have changed.
    Columns,
    /// Nothing covers what lies between them, or nobody knows.
    Gap,
    /// The base goes by transactions, the increment by something else.
    ByXmin,
    /// The two go by different columns.
    By {
        /// That of the base.
        base: &'all str,
        /// That of the increment.
        next: &'all str,
    },
    /// The server has been promoted, or restored to an earlier moment.
    Timeline,
    /// The increment goes by transactions, of which the base says nothing.
    NoTransactions,
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Server => "comes from another server",
            Self::Source => "comes from another source",
            Self::Columns => "has other columns",
            Self::Gap => "does not reach to where it begins",
            Self::ByXmin => "goes by xmin",
            Self::By { base, next } => return write!(formatter, "goes by {base}, and it by {next}"),
            Self::Timeline => "comes from another timeline of the server",
            Self::NoTransactions => "does not say what transactions it reaches to",
        })
    }
}

/// The backups that make up `id`, the full one first. Each must begin where the one before it ended.
///
/// # Errors
/// Not found if `id` is not among the manifests; an integrity error if a link is missing or leaves a gap.
pub fn resolve<'all>(manifests: &'all [Manifest], id: &str) -> Result<Vec<&'all Manifest>> {
    let by_id: HashMap<&str, &Manifest> = manifests.iter().map(|manifest| (manifest.id.as_str(), manifest)).collect();
    let mut newest = *by_id.get(id).ok_or_else(|| Error::not_found(format!("no backup {id} in this store")))?;
    let mut chain = vec![newest];
    while newest.kind == Kind::Incremental {
        let base = base_of(newest, &by_id)?;
        if chain.len() > manifests.len() {
            return Err(Error::integrity(format!("the chain of {id} goes round in a circle")));
        }
        chain.push(base);
        newest = base;
    }
    chain.reverse();
    Ok(chain)
}

fn base_of<'all>(manifest: &Manifest, by_id: &HashMap<&str, &'all Manifest>) -> Result<&'all Manifest> {
    let broken = |why: String| {
        Error::integrity(format!("the chain of {} has a hole: {why}", manifest.id))
            .with_hint("Restore an earlier backup, and make a full backup now.")
    };
    let name = manifest.base.as_deref().ok_or_else(|| broken("it does not name the backup it stands on".to_owned()))?;
    let base = *by_id.get(name).ok_or_else(|| broken(format!("{name} is not in this store")))?;
    follows(base, manifest).map_err(|why| broken(format!("{name} {why}")))?;
    Ok(base)
}

/// Whether `next` continues `base`, whose id it names: what every restore demands, and so whatever judges a chain.
///
/// # Errors
/// Why not: a clause about the base.
pub fn follows<'all>(base: &'all impl Linked, next: &'all impl Linked) -> std::result::Result<(), Misfit<'all>> {
    let (base, next) = (base.link(), next.link());
    let differs = |was: Option<&str>, is: Option<&str>| matches!((was, is), (Some(was), Some(is)) if was != is);
    let (was, is) = (base.source, next.source);
    if differs(was.system_identifier.as_deref(), is.system_identifier.as_deref()) {
        Err(Misfit::Server)
    } else if was.name != is.name || differs(was.database.as_deref(), is.database.as_deref()) {
        Err(Misfit::Source)
    } else if differs(base.schema_sha256, next.schema_sha256) {
        Err(Misfit::Columns)
    } else if !reaches(base, next) {
        Err(Misfit::Gap)
    } else {
        same_kind(base.reach, next.reach)
    }
}

/// Times and transactions: what both know must meet, and they must know one of them.
fn reaches(base: Link, next: Link) -> bool {
    let until_xid = base.reach.and_then(|reach| reach.until_xid);
    let since_xid = next.reach.and_then(|reach| reach.since_xid);
    let by_time = base.until.zip(next.since).map(|(until, since)| since <= until);
    match (by_time, since_xid) {
        (None, None) => false,
        (by_time, None) => by_time == Some(true),
        (by_time, Some(since)) => by_time != Some(false) && until_xid.is_some_and(|until| since <= until),
    }
}

/// An increment by a column stands on none by `xmin`, nor the other way round.
fn same_kind<'all>(
    base: Option<Reach<&'all str>>,
    next: Option<Reach<&'all str>>,
) -> std::result::Result<(), Misfit<'all>> {
    let Some(next) = next else {
        return if base.is_some_and(|base| base.is_by_xmin()) { Err(Misfit::ByXmin) } else { Ok(()) };
    };
    match base {
        Some(base) if base.by != next.by => Err(Misfit::By { base: base.by, next: next.by }),
        Some(base) if base.timeline.zip(next.timeline).is_some_and(|(was, is)| was != is) => Err(Misfit::Timeline),
        None if next.is_by_xmin() => Err(Misfit::NoTransactions),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::key::Key;
    use crate::label::Label;
    use crate::manifest::{Object, Proof};

    /// A backup of the set `w` made at this hour; an incremental reaches back to the hour before.
    pub(crate) fn backup(hour: u32, base: Option<u32>) -> Manifest {
        let at = |hour: u32| format!("2026-11-21T{hour:02}:00:00Z").parse().unwrap();
        let mut label = Label::of_stream("table", "public.w", "w", "parquet");
        label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
        label.base = base.map(|base| crate::naming::id("w", at(base)));
        label.since = base.map(at);
        label.until = Some(at(hour));
        let key = Key::parse(&format!("w/{hour}")).unwrap();
        let object = Object { key, size_bytes: 1, sha256: String::new(), md5: String::new(), crc32: None };
        Manifest::new(&crate::naming::id("w", at(hour)), at(hour), label, vec![object], Proof::Sealed)
    }

    #[test]
    fn a_chain_comes_full_first() {
        let all = [backup(3, Some(2)), backup(1, None), backup(2, Some(1)), backup(4, None)];
        let hours: Vec<&str> = resolve(&all, "w_20261121_030000").unwrap().iter().map(|one| one.id.as_str()).collect();
        assert_eq!(hours, ["w_20261121_010000", "w_20261121_020000", "w_20261121_030000"]);
        assert_eq!(resolve(&all, "w_20261121_040000").unwrap().len(), 1);
    }

    #[test]
    fn a_hole_is_refused() {
        let all = [backup(3, Some(2)), backup(1, None)];
        let error = resolve(&all, "w_20261121_030000").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Integrity);
        assert!(error.to_string().contains("w_20261121_020000"), "{error}");
    }

    #[test]
    fn a_gap_in_time_is_refused() {
        let mut late = backup(3, Some(1));
        late.since = Some("2026-11-21T02:00:00Z".parse().unwrap());
        assert!(resolve(&[late, backup(1, None)], "w_20261121_030000").is_err());
    }

    /// The backups of the hours 1 and 2, the second on the first, by xmin and these transactions.
    fn by_xmin(until: u64, since: u64) -> [Manifest; 2] {
        let position = |since_xid, until_xid| Position {
            by: crate::position::XMIN.to_owned(),
            since_xid,
            until_xid,
            timeline: Some(1),
            ..Position::default()
        };
        let (mut base, mut next) = (backup(1, None), backup(2, Some(1)));
        base.position = Some(position(None, Some(until)));
        next.position = Some(position(Some(since), Some(since + 100)));
        [base, next]
    }

    #[test]
    fn a_chain_by_xmin_meets_in_transactions() {
        let [mut base, mut next] = by_xmin(1000, 1000);
        assert_eq!(follows(&base, &next), Ok(()));
        (base.until, next.since) = (None, None);
        assert_eq!(follows(&base, &next), Ok(()), "where there is no time");
        let [base, next] = by_xmin(999, 1000);
        assert_eq!(follows(&base, &next), Err(Misfit::Gap));
    }

    #[test]
    fn a_mixed_chain_is_refused() {
        type Change = fn(&mut Manifest, &mut Manifest);
        let cases: [(Change, &str); 6] = [
            (|base, _| base.position = None, "does not reach"),
            (|_, next| next.position = None, "goes by xmin"),
            (
                |_, next| next.position.as_mut().unwrap().by = "updated_at".to_owned(),
                "goes by xmin, and it by updated_at",
            ),
            (|base, _| base.position.as_mut().unwrap().timeline = Some(2), "another timeline"),
            (|base, _| base.source.name = "public.other".to_owned(), "another source"),
            (
                |base, next| (base.schema_sha256, next.schema_sha256) = (Some("a".into()), Some("b".into())),
                "other columns",
            ),
        ];
        for (change, why) in cases {
            let [mut base, mut next] = by_xmin(1000, 1000);
            change(&mut base, &mut next);
            let refusal = follows(&base, &next).unwrap_err().to_string();
            assert!(refusal.contains(why), "{refusal}");
        }
    }
}

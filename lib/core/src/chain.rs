//! Chains: a full backup and the incrementals that stand on it, in the order in which they are applied.

use crate::label::Kind;
use crate::manifest::Manifest;
use crate::{Error, Result};
use std::collections::HashMap;

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
    if base.source != manifest.source && base.source.system_identifier != manifest.source.system_identifier {
        return Err(broken(format!("{name} comes from another server")));
    }
    match (base.until, manifest.since) {
        (Some(until), Some(since)) if since <= until => Ok(base),
        _ => Err(broken(format!("{name} does not reach to where it begins"))),
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
}

//! What is remembered of a database until its next dump: of every table where its rows lie, what its columns are, how many rows it has and
//! the digests of their keys; and digests of everything else. Kept in a file beside the mark.

use crate::keys::Buckets;
use crate::row_hash::RowHash;
use serde::{Deserialize, Serialize};
use vb_core::{Error, Result};

/// The first bytes of the file: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"VBDUMP1\n";

/// A database as a dump has left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The rest of what is known.
    pub summary: Summary,
    /// Its tables.
    pub tables: Vec<Then>,
}

/// What is known of a database beside its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The digest of the statements that make it.
    pub schema_sha256: String,
    /// The digest of where its sequences stood.
    pub sequences_sha256: String,
    /// The digest of its large objects.
    pub large_objects_sha256: String,
}

/// A table as a dump has left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    /// Its oid.
    pub oid: u32,
    /// Its `relfilenode`, which changes when it is rewritten or truncated.
    pub filenode: u32,
    /// The digest of its name, its columns and their types: see [`super::shape::of`].
    pub shape: String,
    /// How many rows it had.
    pub rows: u64,
    /// The server's hash of them, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_hash: Option<RowHash>,
    /// Of a table that has a key: the digests of its keys.
    #[serde(skip)]
    pub keys: Option<Buckets>,
}

/// The head of the file; the digests of keys follow it, one table's after the other's.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    summary: Summary,
    tables: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    then: Then,
    /// How long the digests of its keys are; 0 where there are none.
    #[serde(default)]
    keys_size_bytes: u64,
}

impl State {
    /// The bytes of the file: eight that say what it is, the length of the head in eight more with the low end first, the head as JSON,
    /// and digests of keys.
    ///
    /// # Errors
    /// None in practice: every field can be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (mut tables, mut rest) = (Vec::new(), Vec::new());
        for then in &self.tables {
            let start = rest.len();
            rest.extend(then.keys.iter().flat_map(Buckets::to_bytes));
            tables.push(Entry { then: then.clone(), keys_size_bytes: (rest.len() - start) as u64 });
        }
        let head = serde_json::to_vec(&Head { summary: self.summary.clone(), tables });
        let head = head.map_err(|cause| Error::failure(format!("writing what the next dump needs: {cause}")))?;
        Ok([&MAGIC[..], &(head.len() as u64).to_le_bytes(), &head, &rest].concat())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// An integrity error if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        parse(bytes).ok_or_else(|| Error::integrity("reading what the last dump has left: it is damaged"))
    }

    /// The table of this oid.
    #[must_use]
    pub fn table(&self, oid: u32) -> Option<&Then> {
        self.tables.iter().find(|then| then.oid == oid)
    }
}

fn parse(bytes: &[u8]) -> Option<State> {
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (head, mut rest) = rest.split_at_checked(length)?;
    let Head { summary, tables } = serde_json::from_slice(head).ok()?;
    let mut state = State { summary, tables: Vec::new() };
    for Entry { mut then, keys_size_bytes } in tables {
        let (keys, after) = rest.split_at_checked(usize::try_from(keys_size_bytes).ok()?)?;
        then.keys = if keys.is_empty() { None } else { Some(Buckets::parse(keys).ok()?) };
        state.tables.push(then);
        rest = after;
    }
    rest.is_empty().then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyHash;
    use crate::row_hash::HashedColumn;

    fn state() -> State {
        let columns = vec![HashedColumn { name: "id".to_owned(), text: false }];
        let mut keys = Buckets::new(columns.clone(), 4);
        (0..9u32).for_each(|key| keys.add(KeyHash::of(std::iter::once(&key.to_be_bytes()[..]), 4)));
        let row_hash = Some(RowHash { records: 9, sum: "-12345678901234567890".to_owned(), columns });
        let first = Then { oid: 7, filenode: 8, shape: "a".to_owned(), rows: 9, row_hash, keys: Some(keys.clone()) };
        let second = Then { oid: 70, rows: 3, ..Then::default() };
        let third = Then { oid: 71, keys: Some(keys), ..Then::default() };
        let summary = Summary { schema_sha256: "ab".to_owned(), ..Summary::default() };
        State { summary, tables: vec![first, second, third] }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        for state in [State::default(), state()] {
            assert_eq!(State::parse(&state.to_bytes().unwrap()).unwrap(), state);
        }
        assert_eq!(state().table(70).unwrap().rows, 3);
    }

    #[test]
    fn damage_is_told() {
        let bytes = state().to_bytes().unwrap();
        for end in 0..bytes.len() {
            assert!(State::parse(&bytes[..end]).is_err(), "{end}");
        }
        assert!(State::parse(&[&bytes[..], b"x"].concat()).is_err());
        let keys = Buckets::new(Vec::new(), 1).to_bytes();
        assert!(State::parse(&keys).is_err(), "the keys of a table alone are another file");
    }
}

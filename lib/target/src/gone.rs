//! Deletes what the source no longer had.

use crate::deletion::Deletion;
use crate::errors::{not_sent, refused};
use crate::files::Files;
use crate::liveness::{Verdict, for_buckets};
use crate::plan::Plan;
use crate::rows::{self, Groups, Sending};
use postgres::Client;
use postgres::error::SqlState;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::encode::{HEADER, TRAILER};
use vb_postgres::keys::{Deletes, KeyHash, MOST_BUCKETS};

/// How many rows were deleted.
pub(crate) fn delete(client: &mut Client, plan: &Plan, files: &Files<'_>, verdicts: &[Verdict]) -> Result<u64> {
    let step = format!("deleting from {}", plan.table);
    let delete = match &plan.deletion {
        None => return Ok(0),
        Some(Deletion::OfKeys { waiting, loads, delete }) => {
            client.batch_execute(waiting).map_err(|cause| refused(&step, cause))?;
            for ((file, load), verdict) in files.all.iter().zip(loads).zip(verdicts) {
                if verdict.gone.count() > 0 {
                    let wanted = |row: u64| verdict.gone.has(row);
                    let groups = &Groups::default();
                    let sending = Sending { table: &plan.table, file, load, groups, wanted: Some(&wanted) };
                    rows::send(client, &sending, &|_| {})?;
                }
            }
            delete
        }
        Some(Deletion::ByList { before, keys, copy, delete }) => {
            let Some(deletes) = files.telling.deletes()?.filter(|deletes| !deletes.dirty.is_empty()) else {
                return Ok(0);
            };
            for statement in before {
                client.batch_execute(statement).map_err(|cause| refused(&step, cause))?;
            }
            let places = places(client, keys, &deletes, &step)?;
            send(client, copy, places, &step)?;
            delete
        }
    };
    let asked = |cause| from_postgres(&step, cause);
    delete.hold.iter().try_for_each(|hold| client.batch_execute(hold)).map_err(asked)?;
    for (foreign_key, guard) in &delete.guards {
        if client.query_one(guard, &[]).map_err(asked)?.get(0) {
            let message =
                format!("{step}: the foreign key {foreign_key} would act on rows that point at one that goes");
            return Err(Error::conflict(message).with_hint(STILL_NEEDED));
        }
    }
    client.execute(&delete.statement, &[]).map_err(|cause| still_needed(&step, cause))
}

const STILL_NEEDED: &str =
    "Nothing was changed. The source no longer had that row: delete what points at it here first.";

/// The error for rows that others point at.
fn still_needed(step: &str, cause: postgres::Error) -> Error {
    if cause.code() != Some(&SqlState::FOREIGN_KEY_VIOLATION) {
        return refused(step, cause);
    }
    Error::conflict(from_postgres(step, cause).to_string()).with_hint(STILL_NEEDED)
}

/// The places of the rows that are gone, as a COPY has them, in a file without a name.
fn places(client: &mut Client, keys: &str, deletes: &Deletes, step: &str) -> Result<File> {
    let kept = |cause| Error::io(step, cause);
    let mut file = BufWriter::new(tempfile::tempfile().map_err(kept)?);
    file.write_all(HEADER).map_err(kept)?;
    let rows = client.copy_out(keys).map_err(|cause| from_postgres(step, cause))?;
    let mut rows = BufReader::with_capacity(1 << 20, rows);
    let lost = |cause| not_sent(step, cause);
    rows.read_exact(&mut [0; HEADER.len()]).map_err(lost)?;
    let mut row = Row::default();
    while row.read(&mut rows).map_err(lost)? {
        let key = KeyHash::of(row.key(), MOST_BUCKETS);
        if deletes.is_gone(for_buckets(key, deletes.buckets)) {
            file.write_all(&2_i16.to_be_bytes()).and_then(|()| file.write_all(row.place())).map_err(kept)?;
        }
    }
    // What follows the last row must be the end of the COPY, which may still fail.
    if !rows.fill_buf().map_err(lost)?.is_empty() {
        return Err(Error::integrity(format!("{step}: something follows the last key")));
    }
    file.write_all(&TRAILER).map_err(kept)?;
    let mut file = file.into_inner().map_err(|cause| kept(cause.into_error()))?;
    file.rewind().map_err(kept)?;
    Ok(file)
}

fn send(client: &mut Client, copy: &str, mut places: File, step: &str) -> Result<()> {
    let mut writer = client.copy_in(copy).map_err(|cause| refused(step, cause))?;
    std::io::copy(&mut places, &mut writer).map_err(|cause| not_sent(step, cause))?;
    writer.finish().map(drop).map_err(|cause| refused(step, cause))
}

/// One row of a COPY: the table's oid, the row's place in it, and the fields of its key.
#[derive(Debug, Default)]
struct Row {
    bytes: Vec<u8>,
    /// Where each field begins and ends, without its length.
    fields: Vec<std::ops::Range<usize>>,
}

impl Row {
    /// Whether there was another row.
    fn read(&mut self, from: &mut impl Read) -> std::io::Result<bool> {
        self.bytes.clear();
        self.fields.clear();
        let mut count = [0; 2];
        from.read_exact(&mut count)?;
        for _ in 0..i16::from_be_bytes(count) {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            self.bytes.extend_from_slice(&length);
            let start = self.bytes.len();
            // A part of a key is never NULL; were it, it would be taken for empty.
            let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or_default();
            self.bytes.resize(start + length, 0);
            from.read_exact(&mut self.bytes[start..])?;
            self.fields.push(start..start + length);
        }
        Ok(!self.fields.is_empty())
    }

    /// The first two fields, with their lengths.
    fn place(&self) -> &[u8] {
        &self.bytes[..self.fields.get(1).map_or(0, |field| field.end)]
    }

    fn key(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().skip(2).map(|field| &self.bytes[field.clone()])
    }
}

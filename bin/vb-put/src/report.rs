//! The status lines and sentences of a run.

use crate::fleet::{Verdict, Verdicts};
use crate::price::Price;
use serde_json::{Value, json};
use vb_core::label::Label;
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, ErrorKind, Result};
use vb_pipe::{Done, Session};
use vb_repository::words;

/// The line of a store that does not have the backup, where there are several.
pub(crate) fn store_failed(session: &Session, store: &str, error: &Error) -> Result<()> {
    session.event("failed", &failure(store, error))
}

fn failure(store: &str, error: &Error) -> Value {
    let kind = error.kind();
    json!({
        "store": store,
        "stored": false,
        "error": kind.name(),
        "exit_code": kind.exit_code(),
        "message": error.to_string(),
    })
}

/// A line for each store, where there are several.
pub(crate) fn verdicts(session: &Session, verdicts: &Verdicts) -> Result<()> {
    if verdicts.all.len() < 2 {
        return Ok(());
    }
    for Verdict { store, result, .. } in &verdicts.all {
        match result {
            Ok((manifest, key)) => {
                let fields = json!({
                    "store": store,
                    "stored": true,
                    "id": manifest.id,
                    "size_bytes": manifest.size_bytes(),
                    "objects": manifest.objects.len(),
                    "manifest_key": key,
                });
                session.event("stored", &fields)?;
            }
            Err(error) => store_failed(session, store, error)?,
        }
    }
    Ok(())
}

/// The end of a run whose quorum has the backup: partial if some store has not.
pub(crate) fn done(session: &Session, verdicts: &Verdicts) -> Result<Done> {
    let stores: Vec<Value> = verdicts.all.iter().map(entry).collect();
    let number = verdicts.all.len();
    let mut stored: Vec<&Verdict> = Vec::new();
    let mut failed: Vec<String> = Vec::new();
    for verdict in &verdicts.all {
        match &verdict.result {
            Ok(_) => stored.push(verdict),
            Err(error) => failed.push(format!("{}: {error}", verdict.store)),
        }
    }
    let Some((first, (manifest, key))) = stored.first().and_then(|first| Some((first, first.result.as_ref().ok()?)))
    else {
        return Err(Error::failure("no store has the backup"));
    };
    let object: Option<&Object> = manifest.objects.first();
    let price = first.price.as_ref();
    let fields = json!({
        "stored": true,
        "id": manifest.id,
        "set": manifest.set,
        "kind": manifest.kind,
        "base": manifest.base,
        "since": manifest.since.map(vb_core::time::exact),
        "until": manifest.until.map(vb_core::time::exact),
        "records": manifest.records,
        "size_bytes": manifest.size_bytes(),
        "objects": manifest.objects.len(),
        "sha256": object.map(|object| &object.sha256),
        "proof": manifest.proof,
        "cost_month": price.map(|price| price.month),
        "currency": price.map(|price| &price.currency),
        "store": first.store,
        "key": object.map(|object| &object.key),
        "manifest_key": key,
        "stores": stores,
    });
    let places: Vec<&str> = stored.iter().map(|verdict| verdict.store.as_str()).collect();
    let done = session.done(&fields, sentence(manifest, &places.join(", "), price))?;
    if failed.is_empty() {
        return Ok(done);
    }
    let message = format!("{} is in {} of {number} stores; {}", manifest.id, stored.len(), failed.join("; "));
    Ok(done.but(Error::new(ErrorKind::Partial, message).with_hint("vb-copy brings it to the others later.")))
}

fn entry(verdict: &Verdict) -> Value {
    let error = verdict.result.as_ref().err().map(ToString::to_string);
    json!({ "store": verdict.store, "stored": verdict.result.is_ok(), "error": error })
}

fn sentence(manifest: &Manifest, place: &str, price: Option<&Price>) -> String {
    let records = manifest.records.map(|records| format!("{records} records, ")).unwrap_or_default();
    let size = words::bytes(manifest.size_bytes());
    let price = price.map(Price::words).unwrap_or_default();
    format!("stored {} ({}, {records}{size}) in {place}{price}", manifest.id, manifest.kind.name())
}

/// Too few stores have the backup: the first failure, and what exists nevertheless.
pub(crate) fn too_few(verdicts: Verdicts) -> Error {
    let several = verdicts.all.len() > 1;
    let mut stored = Vec::new();
    let mut first = None;
    for Verdict { store, result, .. } in verdicts.all {
        match result {
            Ok((manifest, _)) => stored.push(format!("{} in {store}", manifest.id)),
            Err(error) if several => drop(first.get_or_insert(in_store(&store, &error))),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    let error = first.unwrap_or_else(|| Error::failure("there is no store"));
    match stored.is_empty() {
        true => error,
        false => error.with_hint(format!("Too few stores have the backup, but there is {}.", stored.join(", "))),
    }
}

/// The end of a run that had nothing to store.
pub(crate) fn nothing_new(session: &Session, stores: &[String], label: &Label, size_bytes: u64) -> Result<Done> {
    let since = label.since.map(vb_core::time::exact);
    let fields = json!({
        "stored": false,
        "reason": "nothing new",
        "store": stores.first(),
        "set": label.set,
        "kind": label.kind,
        "base": label.base,
        "since": since,
        "records": label.records,
        "size_bytes": size_bytes,
    });
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    session.done(&fields, format!("nothing new{since}; nothing was stored (--allow-empty stores it all the same)"))
}

/// The same error, with the store to which it happened.
pub(crate) fn in_store(store: &str, error: &Error) -> Error {
    let located = Error::new(error.kind(), format!("{store}: {error}"));
    match error.hint() {
        Some(hint) => located.with_hint(hint),
        None => located,
    }
}

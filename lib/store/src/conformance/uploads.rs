//! Streams of unknown length: any size, whole or not at all, and nothing left of those that end early.

use super::{Named, Place, ensure, must_fail, sample};
use crate::{Facts, OpenUpload, Upload, unrecorded};
use std::sync::{Arc, Mutex};
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};

pub(super) const CASES: &[Named] = &[
    ("a stream of no bytes and of one byte", tiny),
    ("a stream of one part, and one byte less and more", around_a_part),
    ("a stream of two parts, and one byte less and more", around_two_parts),
    ("a stream of many parts in writes of any size", many_parts),
    ("an upload is invisible before its commit", invisible),
    ("a commit never replaces", commit_conflict),
    ("of ten commits at once one wins", commit_race),
    ("an abort leaves nothing", abort),
    ("a drop leaves nothing", dropped),
    ("an open upload is listed and aborted by its token", token),
    ("an upload that cannot be recorded fails", unrecordable),
];

fn store_stream(place: &Place<'_>, name: &str, length: usize) -> Result<()> {
    let (key, bytes) = (place.key(name)?, sample(length, length as u64));
    let mut upload = place.store.upload(&key, &Facts::new(), unrecorded())?;
    let (mut rest, mut sizes) = (&bytes[..], [1, 0, 7, 4096, 65_537, 3 << 20].into_iter().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        upload.write(chunk)?;
        rest = after;
    }
    let stored = upload.commit()?;
    ensure!(stored.size_bytes == length as u64, "{name}: stored says {} bytes", stored.size_bytes);
    ensure!(stored.crc32 == crc32fast::hash(&bytes), "{name}: stored has another CRC-32");
    place.must_hold(&key, &bytes)?;
    let uploads = place.store.open_uploads(&place.folder)?;
    ensure!(uploads.is_empty(), "{name}: after the commit there are open uploads: {uploads:?}");
    Ok(())
}

fn tiny(place: &Place<'_>) -> Result<()> {
    store_stream(place, "nothing", 0)?;
    store_stream(place, "one byte", 1)
}

fn around_a_part(place: &Place<'_>) -> Result<()> {
    let part = place.part_bytes();
    store_stream(place, "less", part - 1)?;
    store_stream(place, "one part", part)?;
    store_stream(place, "more", part + 1)
}

fn around_two_parts(place: &Place<'_>) -> Result<()> {
    let part = place.part_bytes();
    store_stream(place, "less", 2 * part - 1)?;
    store_stream(place, "two parts", 2 * part)?;
    store_stream(place, "more", 2 * part + 1)
}

fn many_parts(place: &Place<'_>) -> Result<()> {
    store_stream(place, "many parts", 7 * place.part_bytes() + place.part_bytes() / 3)
}

/// An upload that has certainly begun on the other side.
fn begun(place: &Place<'_>, key: &Key) -> Result<Box<dyn Upload + Send>> {
    let mut upload = place.store.upload(key, &Facts::new(), unrecorded())?;
    upload.write(&sample(place.part_bytes() * 2 + 10, 5))?;
    Ok(upload)
}

fn invisible(place: &Place<'_>) -> Result<()> {
    let key = place.key("object")?;
    let upload = begun(place, &key)?;
    ensure!(place.store.head(&key)?.is_none(), "head sees it");
    let keys = place.keys(&place.folder)?;
    ensure!(keys.is_empty(), "the listing shows {keys:?}");
    upload.commit()?;
    ensure!(place.store.head(&key)?.is_some(), "after the commit it is not there");
    Ok(())
}

fn commit_conflict(place: &Place<'_>) -> Result<()> {
    for (name, large) in [("large", true), ("small", false)] {
        let key = place.key(name)?;
        let upload = if large { begun(place, &key)? } else { place.store.upload(&key, &Facts::new(), unrecorded())? };
        place.store.put_new(&key, b"first")?;
        must_fail(upload.commit(), ErrorKind::Conflict, &format!("the {name} commit"))?;
        place.must_hold(&key, b"first")?;
    }
    let uploads = place.store.open_uploads(&place.folder)?;
    ensure!(uploads.is_empty(), "the refused commit left {uploads:?}");
    Ok(())
}

fn commit_race(place: &Place<'_>) -> Result<()> {
    let (key, barrier) = (place.key("object")?, std::sync::Barrier::new(10));
    let uploads = (0..10).map(|_| place.store.upload(&key, &Facts::new(), unrecorded())).collect::<Result<Vec<_>>>()?;
    let results: Vec<Result<_>> = std::thread::scope(|scope| {
        let commit = |(number, mut upload): (usize, Box<dyn Upload + Send>)| {
            let barrier = &barrier;
            scope.spawn(move || {
                let written = upload.write(&[b'0' + u8::try_from(number).unwrap_or(0); 3]);
                barrier.wait();
                written.and_then(|()| upload.commit())
            })
        };
        let writers: Vec<_> = uploads.into_iter().enumerate().map(commit).collect();
        writers.into_iter().filter_map(|writer| writer.join().ok()).collect()
    });
    let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).copied().collect();
    ensure!(won.len() == 1, "{} commits won", won.len());
    for error in results.into_iter().filter_map(Result::err) {
        must_fail(Err::<(), _>(error), ErrorKind::Conflict, "losing")?;
    }
    let found = crc32fast::hash(&place.store.read_small(&key, 3)?);
    ensure!(found == won[0].crc32, "the object is not the winner's");
    Ok(())
}

fn abort(place: &Place<'_>) -> Result<()> {
    begun(place, &place.key("large")?)?.abort()?;
    place.store.upload(&place.key("nothing written")?, &Facts::new(), unrecorded())?.abort()?;
    place.must_be_empty()
}

fn dropped(place: &Place<'_>) -> Result<()> {
    drop(begun(place, &place.key("large")?)?);
    let mut small = place.store.upload(&place.key("small")?, &Facts::new(), unrecorded())?;
    small.write(b"x")?;
    drop(small);
    place.must_be_empty()
}

fn token(place: &Place<'_>) -> Result<()> {
    let (key, seen) = (place.key("object")?, Arc::new(Mutex::new(Vec::<OpenUpload>::new())));
    let tokens = seen.clone();
    let record = move |open: &OpenUpload| {
        tokens.lock().map_err(|_| Error::failure("the lock is poisoned"))?.push(open.clone());
        Ok(())
    };
    let mut upload = place.store.upload(&key, &Facts::new(), Box::new(record))?;
    upload.write(&sample(place.part_bytes() * 2 + 10, 6))?;
    let tokens = seen.lock().map_err(|_| Error::failure("the lock is poisoned"))?.clone();
    ensure!(tokens.len() <= 1, "{} tokens for one upload", tokens.len());
    let listed = place.store.open_uploads(&format!("{}/", place.folder))?;
    ensure!(listed.len() == tokens.len(), "{} uploads are listed, {} told", listed.len(), tokens.len());
    let Some(token) = tokens.first() else { return upload.abort() };
    ensure!((&listed[0].key, &listed[0].id) == (&token.key, &token.id), "listed as {:?}, told as {token:?}", listed[0]);
    place.store.abort_upload(token)?;
    place.store.abort_upload(token)?;
    ensure!(upload.commit().is_err(), "an aborted upload was committed");
    place.must_be_empty()
}

fn unrecordable(place: &Place<'_>) -> Result<()> {
    let refuse = |_: &OpenUpload| Err(Error::failure("the record cannot be written"));
    let upload = place.store.upload(&place.key("object")?, &Facts::new(), Box::new(refuse));
    let result = upload.and_then(|mut upload| {
        upload.write(&sample(place.part_bytes() * 2 + 10, 7))?;
        upload.abort()
    });
    if let Err(error) = result {
        ensure!(error.to_string().contains("the record cannot be written"), "another error: {error}");
    }
    place.must_be_empty()
}

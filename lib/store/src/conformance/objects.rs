//! Small objects: create-only, whole, read by range, deleted.

use super::{Named, Place, ensure, must_fail, sample};
use crate::Store;
use vb_core::{Error, ErrorKind, Result};

pub(super) const CASES: &[Named] = &[
    ("an object of no bytes and of one byte", tiny),
    ("an object comes back as it was", round_trip),
    ("an object is never replaced", create_only),
    ("of ten writers at once one wins", race),
    ("what is not there is not found", missing),
    ("a range is exact or an error", ranges),
    ("ranges are read in parallel", parallel_ranges),
    ("a small read has a limit", small_reads),
    ("deleting twice is no error", delete),
    ("keys with blanks, signs and other scripts", odd_keys),
];

fn tiny(place: &Place<'_>) -> Result<()> {
    for bytes in [&b""[..], b"x"] {
        let key = place.key(&format!("{} bytes", bytes.len()))?;
        let stored = place.store.put_new(&key, bytes)?;
        ensure!(stored.size_bytes == bytes.len() as u64, "stored says {} bytes", stored.size_bytes);
        ensure!(place.store.read_small(&key, 10)? == bytes, "it reads otherwise");
        place.must_hold(&key, bytes)?;
    }
    Ok(())
}

fn round_trip(place: &Place<'_>) -> Result<()> {
    let (key, bytes) = (place.key("object")?, sample(70_000, 1));
    let stored = place.store.put_new(&key, &bytes)?;
    ensure!(stored.crc32 == crc32fast::hash(&bytes), "stored has another CRC-32");
    place.must_hold(&key, &bytes)?;
    let age = chrono::Utc::now() - place.store.head(&key)?.map_or_else(Default::default, |found| found.modified_at);
    ensure!(age.num_seconds().abs() < 120, "it was stored {age} ago");
    Ok(())
}

fn create_only(place: &Place<'_>) -> Result<()> {
    let key = place.key("object")?;
    place.store.put_new(&key, b"first")?;
    must_fail(place.store.put_new(&key, b"second"), ErrorKind::Conflict, "a second put")?;
    must_fail(place.store.put_new(&key, b"first"), ErrorKind::Conflict, "the same put again")?;
    must_fail(
        place.store.upload(&key, &crate::Facts::new(), crate::unrecorded()),
        ErrorKind::Conflict,
        "an upload over it",
    )?;
    place.must_hold(&key, b"first")
}

fn race(place: &Place<'_>) -> Result<()> {
    let (key, barrier) = (place.key("object")?, std::sync::Barrier::new(10));
    let results: Vec<(String, Result<_>)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..10)
            .map(|number| {
                let (key, barrier) = (&key, &barrier);
                scope.spawn(move || {
                    let text = format!("writer {number}");
                    barrier.wait();
                    let result = place.store.put_new(key, text.as_bytes());
                    (text, result)
                })
            })
            .collect();
        writers.into_iter().filter_map(|writer| writer.join().ok()).collect()
    });
    let mut winners = Vec::new();
    for (text, result) in results {
        match result {
            Ok(_) => winners.push(text),
            Err(error) => must_fail(Err::<(), _>(error), ErrorKind::Conflict, "losing")?,
        }
    }
    ensure!(winners.len() == 1, "{} writers won", winners.len());
    place.must_hold(&key, winners[0].as_bytes())
}

fn missing(place: &Place<'_>) -> Result<()> {
    let key = place.key("nothing")?;
    ensure!(place.store.head(&key)?.is_none(), "head found something");
    must_fail(place.store.read(&key, 0..1), ErrorKind::NotFound, "reading a range")?;
    must_fail(place.store.read_small(&key, 1), ErrorKind::NotFound, "reading it")
}

fn ranges(place: &Place<'_>) -> Result<()> {
    let (key, bytes) = (place.key("object")?, sample(1000, 2));
    place.store.put_new(&key, &bytes)?;
    for range in [0..1, 0..1000, 1..2, 500..1000, 999..1000] {
        ensure!(
            place.store.read(&key, range.clone())? == bytes[range.start as usize..range.end as usize],
            "{range:?} differs"
        );
    }
    ensure!(place.store.read(&key, 7..7)?.is_empty(), "an empty range has bytes");
    for range in [0..1001, 999..1001, 1000..1001, 5000..5001] {
        must_fail(place.store.read(&key, range.clone()), ErrorKind::Integrity, &format!("reading {range:?} of 1000"))?;
    }
    Ok(())
}

fn parallel_ranges(place: &Place<'_>) -> Result<()> {
    let (key, bytes) = (place.key("object")?, sample(64_000, 3));
    place.store.put_new(&key, &bytes)?;
    let read = |store: &dyn Store, number: u64| store.read(&key, number * 1000..(number + 1) * 1000);
    let parts: Vec<Result<Vec<u8>>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..64).map(|number| scope.spawn(move || read(place.store, number))).collect();
        readers.into_iter().filter_map(|reader| reader.join().ok()).collect()
    });
    let joined = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
    ensure!(joined == bytes, "the ranges do not join to the object");
    Ok(())
}

fn small_reads(place: &Place<'_>) -> Result<()> {
    let (key, bytes) = (place.key("object")?, sample(100, 4));
    place.store.put_new(&key, &bytes)?;
    ensure!(place.store.read_small(&key, 100)? == bytes, "it reads otherwise");
    must_fail(place.store.read_small(&key, 99), ErrorKind::Integrity, "reading 100 bytes with a limit of 99")
}

fn delete(place: &Place<'_>) -> Result<()> {
    let key = place.key("folder/object")?;
    place.store.put_new(&key, b"x")?;
    place.store.delete(&key)?;
    ensure!(place.store.head(&key)?.is_none(), "it is still there");
    place.store.delete(&key)?;
    place.store.delete(&place.key("never/was")?)?;
    place.store.put_new(&key, b"y")?;
    place.must_hold(&key, b"y")
}

fn odd_keys(place: &Place<'_>) -> Result<()> {
    let names = [
        "a b.gz",
        "naïve/ström",
        "日本/東京",
        "plus+and=signs&?#%",
        "quote'\"<>",
        "e\u{301}",
        "😀",
        "a..b",
        "~",
        "%2F",
    ];
    for (number, name) in names.iter().enumerate() {
        place.store.put_new(&place.key(name)?, number.to_string().as_bytes())?;
    }
    for (number, name) in names.iter().enumerate() {
        place.must_hold(&place.key(name)?, number.to_string().as_bytes()).map_err(|error| error.during(name))?;
    }
    let mut expected: Vec<String> = names.iter().map(|name| format!("{}/{name}", place.folder)).collect();
    expected.sort();
    let listed = place.keys(&format!("{}/", place.folder))?;
    if listed == expected { Ok(()) } else { Err(Error::failure(format!("listed as {listed:?}"))) }
}

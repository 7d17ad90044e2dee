//! A store with backups of any date, for the tests of the commands that read it.
#![allow(dead_code)] // each test file takes what it needs

use std::path::Path;
use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::label::{Kind, Label};
use vb_core::location::Location;
use vb_core::manifest::{Manifest, Proof};
use vb_core::time::Instant;
use vb_repository::{Chunk, Deposit, Journal, Place as Target};

/// Midnight of a day in November 2026, and hours after it.
pub(crate) fn at(day: u32, hour: u32) -> Instant {
    format!("2026-11-{day:02}T{hour:02}:00:00Z").parse().unwrap()
}

/// A backup made at this time; an incremental stands on the one of `base`.
pub(crate) struct Backup<'set> {
    pub(crate) set: &'set str,
    pub(crate) at: Instant,
    pub(crate) base: Option<Instant>,
    pub(crate) data: Vec<u8>,
}

impl Backup<'_> {
    /// Stores it in `backups` below the folder, where every command looks without `--store`.
    pub(crate) fn store(self, folder: &Path) -> Manifest {
        let url = format!("file://{}", folder.join("backups").display());
        self.store_at(&url, &Environment::default())
    }

    /// Stores it anywhere.
    pub(crate) fn store_at(self, url: &str, environment: &Environment) -> Manifest {
        let location = Location::parse(url).unwrap();
        let store = vb_stores::open(&location, environment, Arc::new(|_: &str| {})).unwrap();
        let target = Target::new(self.set, "jsonl", self.at);
        let mut label = Label::of_stream("table", "public.weather", self.set, "jsonl");
        label.kind = if self.base.is_some() { Kind::Incremental } else { Kind::Full };
        label.base = self.base.map(|base| vb_core::naming::id(self.set, base));
        (label.since, label.until) = (self.base, Some(self.at));
        (label.records, label.continues) = (Some(3), true);
        let mut deposit = Deposit::begin(&store, &Arc::new(Journal::unguarded()), target.clone()).unwrap();
        deposit.write(&Chunk::from(self.data)).unwrap();
        let deposited = deposit.complete().unwrap();
        let manifest = Manifest::new(&target.id, self.at, label, deposited.objects(), Proof::Sealed);
        drop(deposited.commit(&manifest).unwrap());
        manifest
    }
}

/// A full backup of the set `w`.
pub(crate) fn full(folder: &Path, at: Instant) -> Manifest {
    Backup { set: "w", at, base: None, data: format!("full {at}").into_bytes() }.store(folder)
}

/// An incremental one.
pub(crate) fn incremental(folder: &Path, at: Instant, base: Instant) -> Manifest {
    Backup { set: "w", at, base: Some(base), data: format!("incremental {at}").into_bytes() }.store(folder)
}

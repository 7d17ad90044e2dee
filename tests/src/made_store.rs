//! A store on disk whose backups were never made: manifests and objects as files, for listings of any size and age.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A backup that looks like the real one.
#[derive(Debug, Clone, Copy)]
pub struct Made<'text> {
    /// Its set.
    pub set: &'text str,
    /// `2026-11-21T03:15:00Z`.
    pub created_at: &'text str,
    /// The id of what it stands on; then it is incremental.
    pub base: Option<&'text str>,
    /// The length of its object, which is a hole.
    pub size_bytes: u64,
}

impl Made<'_> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        let time = digits(self.created_at);
        let (day, clock) = time.split_at(8);
        format!("{}_{day}_{clock}", self.set)
    }

    fn manifest(&self) -> Value {
        let (id, set) = (self.id(), self.set);
        let digest = format!("{:064x}", self.size_bytes ^ 0x5eed);
        let kind = if self.base.is_some() { "incremental" } else { "full" };
        let since = self.base.map(made_at);
        // A number that grows with the time.
        let transaction = |at: &str| -> u64 { digits(at).parse().unwrap_or_default() };
        let position = json!({
            "by": "xmin", "since_xid": since.as_deref().map(transaction), "until_xid": transaction(self.created_at), "timeline": 1,
            "started": 1_700_000_000_000_000_i64, "database_oid": 16384, "shape": format!("{:064x}", 9), "storage": "ctq",
        });
        json!({
            "format": 1, "id": id, "set": set, "kind": kind, "base": self.base, "created_at": self.created_at,
            "source": {"type": "table", "name": format!("public.{set}"), "server_version": "15.18", "system_identifier": "7300000000000000001", "database": "shop"},
            "since": since, "until": self.created_at, "continues": true, "position": position, "records": 10512, "schema_sha256": format!("{:064x}", 7),
            "objects": [{"key": format!("{set}/{id}.parquet.gz"), "size_bytes": self.size_bytes, "sha256": digest, "md5": digest[32..], "crc32": "0badcafe"}],
            "proof": "sealed",
            "stages": [
                {"command": "vb-export", "event": "done", "at": self.created_at, "source": "table", "table": format!("public.{set}"), "kind": kind, "records_exported": 10512, "size_bytes": 234_567, "sha256": digest, "duration_seconds": 3.9},
                {"command": "vb-compress", "event": "done", "at": self.created_at, "size_bytes": self.size_bytes, "sha256": digest, "duration_seconds": 3.9},
            ],
            "complete": true,
        })
    }

    /// Writes it below this folder.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write(&self, store: &Path) -> Result<()> {
        let (folder, id) = (store.join(self.set), self.id());
        fs::create_dir_all(&folder).context("making the set's folder")?;
        let object = fs::File::create(folder.join(format!("{id}.parquet.gz"))).context("making an object")?;
        object.set_len(self.size_bytes).context("writing an object")?;
        let manifest = format!("{}\n", self.manifest());
        fs::write(folder.join(format!("{id}_metadata.json")), manifest).context("writing a manifest")
    }
}

const SETS: [&str; 4] = ["customers", "orders", "verification", "weather.stations"];

/// Writes so many: four sets, a backup of each every ten minutes, every twentieth a full one.
///
/// # Errors
/// When the files cannot be written.
pub fn write_many(store: &Path, count: u32) -> Result<()> {
    let mut bases: [Option<String>; 4] = [const { None }; 4];
    for number in 0..count {
        let (turn, set) = (number / 4, (number % 4) as usize);
        let base = bases[set].take().filter(|_| turn % 20 > 0);
        let (created_at, size_bytes) = (time(turn * 10), u64::from(number) * 1000);
        let made = Made { set: SETS[set], created_at: &created_at, base: base.as_deref(), size_bytes };
        made.write(store)?;
        bases[set] = Some(made.id());
    }
    Ok(())
}

/// So many minutes into 2020, whose months all have 28 days here: what matters is that no two are the same.
fn time(minutes: u32) -> String {
    let (days, minute) = (minutes / 1440, minutes % 1440);
    let (months, day) = (days / 28, days % 28 + 1);
    let (year, month) = (2020 + months / 12, months % 12 + 1);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// `2026-11-21T03:15:00Z` of `verification_20261121_031500`.
fn made_at(id: &str) -> String {
    let time = digits(&id[id.len() - "20261121_031500".len()..]);
    let part = |from: usize, to: usize| &time[from..to];
    format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14))
}

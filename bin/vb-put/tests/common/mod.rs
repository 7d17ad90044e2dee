//! What the tests of this command share: a pipe whose writer they play, and what lies in the store afterwards.
#![allow(dead_code)] // each test file takes what it needs

use std::fs::File;
use std::io::{PipeWriter, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use vb_core::key::Key;
use vb_core::label::{Kind, Label};
use vb_core::manifest::{Manifest, Object, Proof};
use vb_pipe::digest::Digest;
use vb_pipe::record::{Announcement, PipeId};
use vb_tests::command::Run;
use vb_tests::place::Place;

/// A program upstream that announces itself, as every vb command does.
pub(crate) struct Upstream {
    pub(crate) pipe: PipeWriter,
    announcement: Announcement,
    digest: Digest,
}

impl Upstream {
    /// The program, and what it writes to.
    pub(crate) fn new(place: &Place) -> (Self, Stdio) {
        let (reader, pipe) = std::io::pipe().unwrap();
        let announcement = Announcement::open(&place.run_dir(), PipeId::of(&pipe).unwrap(), "vb-export").unwrap();
        (Self { pipe, announcement, digest: Digest::default() }, reader.into())
    }

    pub(crate) fn promise(&mut self, label: &Label) {
        self.announcement.promise(label.clone()).unwrap();
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.pipe.write_all(bytes).unwrap();
    }

    pub(crate) fn seal(self, label: Label) {
        self.announcement.seal(&self.digest, label).unwrap();
    }
}

/// An export of a table.
pub(crate) fn label(records: u64) -> Label {
    let mut label = Label::of_stream("table", "public.weather", "weather", "jsonl");
    label.records = Some(records);
    label.until = Some("2026-11-21T03:15:00.25Z".parse().unwrap());
    label.continues = true;
    label.proof = Proof::Sealed;
    label
}

/// The manifest of the export on which [`incremental`] ones stand.
pub(crate) const BASE: &str = "weather/weather_20261120_031500_metadata.json";

/// Its data.
pub(crate) const BASE_DATA: &str = "weather/weather_20261120_031500.jsonl";

/// The manifest of a backup with this one object of one byte.
pub(crate) fn base(key: &str) -> Vec<u8> {
    let (id, _) = key.rsplit_once('/').and_then(|(_, name)| name.split_once('.')).unwrap();
    let (key, hash) = (Key::parse(key).unwrap(), String::new());
    let object = Object { key, size_bytes: 1, sha256: hash.clone(), md5: hash, crc32: None };
    let mut label = label(1);
    label.set = id.trim_end_matches("_20261120_031500").to_owned();
    label.until = Some("2026-11-20T03:15:00Z".parse().unwrap());
    let at = "2026-11-20T03:15:00Z".parse().unwrap();
    Manifest::new(id, at, label, vec![object], Proof::Sealed).to_bytes().unwrap()
}

/// What changed since an earlier export.
pub(crate) fn incremental(records: u64) -> Label {
    let mut label = label(records);
    label.kind = Kind::Incremental;
    label.base = Some("weather_20261120_031500".to_owned());
    label.since = Some("2026-11-20T03:15:00Z".parse().unwrap());
    label
}

/// `vb-put` with this standard input, not yet ended.
pub(crate) fn spawn(place: &Place, arguments: &[&str], stdin: Stdio) -> Child {
    let path = env!("CARGO_BIN_EXE_vb-put");
    let mut command = std::process::Command::new(path);
    command.env_clear().env("VB_RUN_DIR", place.run_dir()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.args(arguments).current_dir(place.work()).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The same, with the variables of a server.
pub(crate) fn spawn_with(
    place: &Place,
    variables: &std::collections::BTreeMap<String, String>,
    arguments: &[&str],
    stdin: Stdio,
) -> Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vb-put"));
    command.env_clear().envs(variables).env("VB_RUN_DIR", place.run_dir()).args(arguments);
    command.current_dir(place.work()).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Exit code, and everything that it said.
pub(crate) fn ended(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let code =
        std::os::unix::process::ExitStatusExt::signal(&output.status).map_or(output.status.code(), |n| Some(128 + n));
    (code.unwrap(), String::from_utf8(said).unwrap())
}

/// A status line of the command's end.
pub(crate) fn done(run: &Run) -> serde_json::Value {
    run.event("vb-put", "done").unwrap()
}

/// Every file below the store's folder, by its path in there, temporary files too.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// The guard of this process, as soon as there is one.
pub(crate) fn guard_of(child: &Child) -> u32 {
    let path = format!("/proc/{0}/task/{0}/children", child.id());
    until("the guard", || std::fs::read_to_string(&path).ok()?.split_whitespace().next()?.parse().ok())
}

/// Whether a process has ended, be it that nobody has waited for it.
pub(crate) fn has_ended(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}

/// Waits for it with a deadline.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A file in the working folder.
pub(crate) fn file(place: &Place, name: &str, bytes: &[u8]) {
    File::create(place.path(name)).unwrap().write_all(bytes).unwrap();
}

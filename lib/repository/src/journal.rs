//! What a running upload would leave behind, told to its guard line by line. See [`crate::guard`].
//!
//! An entry is noted before or as soon as the thing exists, and settled when it is undone or has become part of a
//! backup. Whatever is not settled when the journal ends, the guard undoes.

use crate::guard::{ARGUMENT, Line};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use vb_core::environment::{self, Environment};
use vb_core::key::Key;
use vb_core::location::Location;
use vb_core::{Error, Result};
use vb_store::OpenUpload;

/// This very program, even if its file has been replaced since.
const PROGRAM: &str = "/proc/self/exe";

/// What the guard is called in a list of processes: not as the command, so that it outlives a `pkill` of that.
const GUARD_NAME: &str = "vb-guard";

/// An entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry(u64);

/// The open end of the journal. Its methods never fail: a guard that died is no reason to lose a backup.
#[derive(Debug, Default)]
pub struct Journal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    guard: Option<(Child, ChildStdin)>,
    /// Whether the store may hold uploads that outlive their process.
    remote: bool,
    open: BTreeSet<u64>,
    noted: u64,
}

impl Journal {
    /// Starts the guard: this program again, which must begin with [`serve`](crate::guard::serve).
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(location: &Location, environment: &Environment) -> Result<Self> {
        let step = "starting the guard process";
        let mut child = Command::new(PROGRAM)
            .arg0(GUARD_NAME)
            .arg(ARGUMENT)
            // Away from the terminal's and the pipe's process group: a signal to that is not for the guard.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|cause| Error::io(step, cause))?;
        let pipe = child.stdin.take().ok_or_else(|| Error::failure(format!("{step}: it has no input")))?;
        let journal = Self::default();
        {
            let mut state = journal.state();
            state.guard = Some((child, pipe));
            state.remote = location.scheme != "file";
        }
        let values = environment::ALL
            .iter()
            .filter_map(|variable| Some((variable.name.to_owned(), environment.get(*variable)?.to_owned())));
        journal.say(&Line::Store { url: location.to_string(), environment: values.collect::<BTreeMap<_, _>>() });
        Ok(journal)
    }

    /// A journal without a guard: for tests, and where none can be started.
    #[must_use]
    pub fn unguarded() -> Self {
        Self::default()
    }

    /// A number for something that may come into being.
    pub(crate) fn entry(&self) -> Entry {
        let mut state = self.state();
        state.noted += 1;
        Entry(state.noted)
    }

    /// From now on there may be an upload to this key that nobody knows by name. On a disk there never is.
    pub(crate) fn opening(&self, entry: Entry, key: &Key) {
        if self.state().remote {
            self.note(entry, &Line::Opening { number: entry.0, key: key.clone() });
        }
    }

    /// This process group must end with the command.
    pub fn process(&self, leader: u32) -> Entry {
        let entry = self.entry();
        self.note(entry, &Line::Process { number: entry.0, leader });
        entry
    }

    /// The upload has begun, under this name.
    pub(crate) fn opened(&self, entry: Entry, upload: &OpenUpload) {
        self.note(entry, &Line::Upload { number: entry.0, upload: upload.clone() });
    }

    /// The object is complete, but no manifest names it yet.
    pub(crate) fn complete(&self, entry: Entry, key: &Key) {
        self.note(entry, &Line::Object { number: entry.0, key: key.clone() });
    }

    /// The manifest is about to be sent: from now on no object may be deleted, and until the entry is settled there may be
    /// a temporary file of the manifest.
    pub(crate) fn committing(&self, manifest: &Key) -> Entry {
        let entry = self.entry();
        self.opening(entry, manifest);
        self.say(&Line::Committing);
        entry
    }

    /// There is nothing of the entry: it was undone, or is part of a backup, or never came into being.
    pub fn settle(&self, entry: Entry) {
        if self.state().open.remove(&entry.0) {
            self.say(&Line::Settled { number: entry.0 });
        }
    }

    /// Lets the guard end. It is waited for, so that no zombie stays, unless there is work for it.
    pub fn finish(&self) {
        let mut state = self.state();
        if let Some((mut child, pipe)) = state.guard.take() {
            drop(pipe);
            if state.open.is_empty() {
                let _ended_either_way = child.wait();
            }
        }
    }

    fn note(&self, entry: Entry, line: &Line) {
        self.state().open.insert(entry.0);
        self.say(line);
    }

    fn say(&self, line: &Line) {
        if let Some((_, pipe)) = &mut self.state().guard
            && let Ok(mut text) = serde_json::to_vec(line)
        {
            text.push(b'\n');
            let _a_dead_guard_is_no_failure = pipe.write_all(&text);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.finish();
    }
}

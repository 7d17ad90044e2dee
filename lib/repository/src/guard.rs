//! The guard of an upload: a process that undoes what a command left behind when it was killed with SIGKILL.
//!
//! It reads the [journal](crate::journal) until its end and then undoes what is not settled: open uploads are aborted,
//! complete objects are deleted. But once `committing` was said, a manifest may be on its way, and that must never lose
//! its object: then objects stay, and `vb-prune` sweeps them if no manifest came.
//!
//! It holds nothing of its parent's: no end of a pipe, no terminal. It opens the store only if there is work.

use crate::{process, removal};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use vb_core::Result;
use vb_core::environment::Environment;
use vb_core::key::Key;
use vb_core::location::Location;
use vb_store::{LOOKS, OpenUpload, Store};

/// The only argument of a program when it runs as the guard of another run's upload.
pub(crate) const ARGUMENT: &str = "--as-the-guard-of-an-upload";

/// A line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    /// Where everything else is. A pipe between two processes of one user is as private as their memory.
    Store { url: String, environment: BTreeMap<String, String> },
    /// A program that must not outlive the command: the leader of a process group.
    Process { number: u64, leader: u32 },
    /// An upload to this key begins now.
    Opening { number: u64, key: Key },
    /// It has begun, under this name.
    Upload { number: u64, upload: OpenUpload },
    /// A complete object without a manifest.
    Object { number: u64, key: Key },
    /// Nothing is to be done about this number any more.
    Settled { number: u64 },
    /// The manifest is being sent.
    Committing,
}

/// Something to undo.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    /// Find the upload to this key and abort it.
    AbortTo(Key),
    /// Abort this upload.
    Abort(OpenUpload),
    /// Delete this object.
    Delete(Key),
}

/// What the journal says so far.
#[derive(Debug, Default)]
struct Left {
    store: Option<(String, BTreeMap<String, String>)>,
    tasks: BTreeMap<u64, Task>,
    leaders: BTreeMap<u64, u32>,
    committing: bool,
}

impl Left {
    fn take(&mut self, line: Line) {
        match line {
            Line::Store { url, environment } => self.store = Some((url, environment)),
            Line::Opening { number, key } => drop(self.tasks.insert(number, Task::AbortTo(key))),
            Line::Upload { number, upload } => drop(self.tasks.insert(number, Task::Abort(upload))),
            Line::Object { number, key } => drop(self.tasks.insert(number, Task::Delete(key))),
            Line::Process { number, leader } => drop(self.leaders.insert(number, leader)),
            Line::Settled { number } => {
                self.tasks.remove(&number);
                self.leaders.remove(&number);
            }
            Line::Committing => self.committing = true,
        }
    }

    fn tasks(self) -> Vec<Task> {
        let allowed = |task: &Task| !(self.committing && matches!(task, Task::Delete(_)));
        self.tasks.into_values().filter(allowed).collect()
    }
}

/// The main of a program that was started as a guard; none if it was not.
#[must_use]
pub fn serve() -> Option<ExitCode> {
    std::env::args_os().nth(1).filter(|first| first == ARGUMENT)?;
    let open = |location: &_, environment: &_| vb_stores::open(location, environment, vb_store::no_warning());
    let result = run(std::io::stdin().lock(), open);
    Some(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The guard's work: `journal` is its standard input, `open` opens a store.
///
/// # Errors
/// If something could not be undone; nobody hears of it.
pub fn run(journal: impl BufRead, open: impl FnOnce(&Location, &Environment) -> Result<Arc<dyn Store>>) -> Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        // A handler that does nothing: the guard ends when its journal does.
        let _default_action_remains = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let mut left = Left::default();
    // A line that is cut off was being written when the command died: what it announces had not begun.
    for line in journal.split(b'\n').map_while(std::result::Result::ok) {
        if let Ok(line) = serde_json::from_slice(&line) {
            left.take(line);
        }
    }
    left.leaders.values().for_each(|leader| process::end_group(*leader));
    let Some((url, environment)) = left.store.take() else { return Ok(()) };
    let tasks = left.tasks();
    if tasks.is_empty() {
        return Ok(());
    }
    let store = open(&Location::parse(&url)?, &Environment::new(environment))?;
    let mut result = Ok(());
    for task in tasks {
        result = result.and(undo(&*store, &task));
    }
    result
}

fn undo(store: &dyn Store, task: &Task) -> Result<()> {
    match task {
        Task::Delete(key) => removal::delete_unnamed(store, key).map(drop),
        Task::Abort(upload) => store.abort_upload(upload),
        Task::AbortTo(key) => LOOKS.iter().try_for_each(|pause| {
            std::thread::sleep(*pause);
            let uploads = store.open_uploads(key.as_str())?;
            uploads.iter().filter(|upload| upload.key == *key).try_for_each(|upload| store.abort_upload(upload))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_store::{Facts, MemoryStore, unrecorded};

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn guard(store: &MemoryStore, lines: &[Line], cut: usize) {
        let mut journal =
            vec![serde_json::to_vec(&Line::Store { url: "file:///x".to_owned(), environment: BTreeMap::new() })];
        journal.extend(lines.iter().map(serde_json::to_vec));
        let mut journal: Vec<u8> =
            journal.into_iter().flat_map(|line| [line.unwrap(), b"\n".to_vec()].concat()).collect();
        journal.truncate(journal.len() - cut);
        let store: Arc<dyn Store> = Arc::new(store.clone());
        run(&journal[..], |_, _| Ok(store)).unwrap();
    }

    fn names(store: &MemoryStore) -> Vec<String> {
        let mut names = Vec::new();
        store
            .list("", &mut |found| {
                names.push(found.key.to_string());
                Ok(())
            })
            .unwrap();
        names
    }

    #[test]
    fn what_is_not_settled_is_undone() {
        let store = MemoryStore::new();
        store.put_new(&key("w/done"), b"1").unwrap();
        store.put_new(&key("w/left"), b"1").unwrap();
        let lines = [
            Line::Object { number: 1, key: key("w/done") },
            Line::Object { number: 2, key: key("w/left") },
            Line::Settled { number: 1 },
        ];
        guard(&store, &lines, 0);
        assert_eq!(names(&store), ["w/done"]);
    }

    #[test]
    fn a_manifest_under_way_keeps_its_object() {
        let store = MemoryStore::new();
        store.put_new(&key("w/left"), b"1").unwrap();
        guard(&store, &[Line::Object { number: 1, key: key("w/left") }, Line::Committing], 0);
        assert_eq!(names(&store), ["w/left"]);
        // Said half only: the manifest had not been sent.
        guard(&store, &[Line::Object { number: 1, key: key("w/left") }, Line::Committing], 5);
        assert_eq!(names(&store), [""; 0]);
    }

    #[test]
    fn uploads_are_aborted_by_name_or_found_by_their_key() {
        let store = MemoryStore::new();
        let begin = |name: &str| store.upload(&key(name), &Facts::new(), unrecorded()).unwrap();
        let (_one, _two, _three) = (begin("w/one"), begin("w/two"), begin("w/two.2"));
        let one = store.open_uploads("w/one").unwrap().remove(0);
        let lines = [
            Line::Opening { number: 1, key: key("w/one") },
            Line::Upload { number: 1, upload: one },
            Line::Opening { number: 2, key: key("w/two") },
        ];
        guard(&store, &lines, 0);
        let left: Vec<String> = store.open_uploads("").unwrap().iter().map(|upload| upload.key.to_string()).collect();
        assert_eq!(left, ["w/two.2"]);
    }

    #[test]
    fn without_work_the_store_is_not_opened() {
        let line = Line::Store { url: "file:///x".to_owned(), environment: BTreeMap::new() };
        let journal = serde_json::to_vec(&line).unwrap();
        run(&journal[..], |_, _| panic!("opened")).unwrap();
    }
}

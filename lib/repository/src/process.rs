//! Ending a program that was started for its output, with everything that it started itself.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid};
use std::time::{Duration, Instant};

/// How long it has to clean up before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Asks a process group to end, and kills it if its leader does not.
pub fn end_group(leader: u32) {
    let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw) else { return };
    if kill_process_group(leader, Signal::TERM).is_err() {
        return;
    }
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if has_ended(leader) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _gone_meanwhile = kill_process_group(leader, Signal::KILL);
}

/// Waits until our child has ended, and leaves it to be waited for: until then nobody else gets its number.
pub fn wait_without_reaping(child: u32) {
    let Some(child) = i32::try_from(child).ok().and_then(Pid::from_raw) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(child), options), Err(Errno::INTR)) {}
}

fn has_ended(leader: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    match waitid(WaitId::Pid(leader), options) {
        Ok(status) => status.is_some(),
        // Not ours: the guard knows only whether there is anybody in the group.
        Err(_) => test_kill_process_group(leader).is_err(),
    }
}

//! A child process that does not outlive the test.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often a waiting test looks again.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// The operating system's number of a child.
fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Waits until `child` ends, at most `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child that this process started can be waited for") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Asks `child` to end and insists after `patience`. A child that ended already is fine.
pub(crate) fn stop(child: &mut Child, patience: Duration) {
    if wait(child, Duration::ZERO).is_some() {
        return;
    }
    terminate(child);
    if wait(child, patience).is_none() {
        kill(child);
    }
}

/// Asks `child` to end. It may have ended a moment ago; then there is nobody to ask, and that is what we want.
pub(crate) fn terminate(child: &Child) {
    let _ = kill_process(pid(child), Signal::TERM);
}

/// Ends `child` at once, as `kill -9` does, and collects it.
pub(crate) fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Ends `child`, which leads a process group, and everything in the group.
pub(crate) fn kill_group(child: &mut Child) {
    let _ = kill_process_group(pid(child), Signal::KILL);
    let _ = child.wait();
}

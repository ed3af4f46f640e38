//! What a test leaves behind when it is killed: a shell that waits for the end of the test binary, then kills the
//! process groups and removes the directories that were still in use.
//!
//! `Drop` cleans up after tests that pass or panic. It does not run when the test binary gets a signal (Ctrl-C, a
//! time limit) nor for statics; brokers would then stay for ever.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
declare -A groups directories
while IFS= read -r line; do
    case $line in
    'group '*) groups[${line#group }]=1 ;;
    'ended '*) unset "groups[${line#ended }]" ;;
    'directory '*) directories[${line#directory }]=1 ;;
    'keep '*) unset "directories[${line#keep }]" ;;
    esac
done
for group in "${!groups[@]}"; do kill -KILL -- "-$group" 2>/dev/null; done
for directory in "${!directories[@]}"; do rm -rf -- "$directory"; done
"#;

#[allow(clippy::zombie_processes, reason = "it outlives who starts it")]
fn tell(line: &str) {
    static REAPER: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let shell = Command::new("bash")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("bash, which cleans up after a test that is killed, did not start");
        Mutex::new(shell.stdin.unwrap())
    });
    let mut pipe = reaper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A reaper that somebody killed is no reason to fail: what is dropped is cleaned up without it.
    let _ignored = writeln!(pipe, "{line}");
}

/// The process group is to be killed when the test binary ends.
pub(crate) fn watch(group: u32) {
    tell(&format!("group {group}"));
}

/// The process group is gone; its number may be given to another.
pub(crate) fn forget(group: u32) {
    tell(&format!("ended {group}"));
}

/// The directory is to be removed when the test binary ends.
pub(crate) fn watch_directory(path: &Path) {
    tell(&format!("directory {}", path.display()));
}

/// The directory stays, or is gone already.
pub(crate) fn keep_directory(path: &Path) {
    tell(&format!("keep {}", path.display()));
}

//! Threads and processes on cores of their own, by `taskset`.

use std::{
    ffi::OsStr,
    io,
    process::{Command, Stdio},
};

use turn_client::load::thread_ids;

/// A command that runs on one core.
pub fn pinned(core: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Moves the threads of this process whose name is liked to a core, and says
/// whether each is there.
///
/// # Errors
/// `/proc` or `taskset` cannot be had.
pub fn pin(core: u32, is_liked: impl Fn(&str) -> bool) -> io::Result<bool> {
    let mut all = true;
    for id in thread_ids(std::process::id(), is_liked)? {
        let mut taskset = Command::new("taskset");
        taskset.args(["-cp", &core.to_string(), &id.to_string()]);
        taskset.stdout(Stdio::null()).stderr(Stdio::null());
        all &= taskset.status()?.success();
    }
    Ok(all)
}

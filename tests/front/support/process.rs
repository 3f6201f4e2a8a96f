//! A process as the kernel sees it: signals, threads, time and memory.

use std::fs::DirEntry;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::PATIENCE;

/// Sends a process a signal.
pub fn signal(pid: u32, signal: libc::c_int) {
    let signal = Signal::from_named_raw(signal).expect("a signal");
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("a process that is there");
}

/// Stops a process and waits until each of its threads has: the signal alone returns before that.
pub fn stop(pid: u32) {
    signal(pid, libc::SIGSTOP);
    let has_stopped = |task: io::Result<DirEntry>| {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        io::Result::Ok(
            stat.rsplit_once(") ")
                .is_some_and(|(_, fields)| fields.starts_with('T')),
        )
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        if tasks.all(|task| has_stopped(task).unwrap_or(false)) {
            return;
        }
        assert!(Instant::now() < deadline, "it does not stop");
        thread::yield_now();
    }
}

/// Processor time used so far, as the kernel counts it: in hundredths of a second.
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let (_, fields) = stat.rsplit_once(") ").expect("the name of the process");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// The names of the threads that it has now.
pub fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    // One may end meanwhile.
    let name = |task: io::Result<DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).collect()
}

/// Bytes of memory in use, as the kernel counts them.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .expect("a number of kB");
    kib * 1024
}

//! One process after the other: by the pid file, or by a socket that outlives both.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::free_address;
use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::load;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

/// Settings of processes that follow one another at this address.
fn settings(scripted: &Scripted, listen: SocketAddr, pid_file: &Path, more: &str) -> String {
    format!(
        "backend = \"tyrant://{}\"\nlisten = [\"{listen}\"]\nworkers = 1\ntakeover = true\npid_file = \"{}\"\n{more}",
        scripted.address(),
        pid_file.display()
    )
}

fn launch(settings: &str) -> Guarded {
    Guarded::launch(settings, &["--admin", "127.0.0.1:0"], |_| {})
}

#[test]
fn a_rolling_restart_under_load_loses_nothing_and_lets_nothing_stale_in() {
    let scripted = Scripted::start();
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, pid_file) = (free_address(), folder.path().join("pid"));
    let settings = settings(&scripted, listen, &pid_file, "pairing.request_timeout = \"20s\"");
    let mut running = launch(&settings);
    let seen = load::under_load(listen, |seen| {
        for _ in 0..3 {
            seen.wait_for(500);
            let next = launch(&settings);
            let before = std::mem::replace(&mut running, next);
            assert_eq!(before.ended().code(), Some(0));
            running.expect_log("the process before has ended");
        }
        seen.wait_for(500);
    });
    let (answered, resets) = (
        seen.answered.load(Ordering::Relaxed),
        seen.resets.load(Ordering::Relaxed),
    );
    println!("{answered} requests were answered, {resets} of them on a second connection");
    assert_eq!(
        std::fs::read_to_string(&pid_file).expect("the file"),
        format!("{}\n", running.pid())
    );
    assert_eq!(running.terminate().code(), Some(0));
    assert_eq!(std::fs::read_to_string(&pid_file).expect("the file"), "");
    scripted.expect_whole_requests();
}

#[test]
fn the_next_process_reads_at_once_and_writes_only_when_the_one_before_is_done() {
    let scripted = Scripted::start();
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, pid_file) = (free_address(), folder.path().join("pid"));
    let more = "pairing.request_timeout = \"20s\"\npairing.start_hold = \"0s\"\ndrain_timeout = \"30s\"";
    let settings = settings(&scripted, listen, &pid_file, more);
    let clock = Clock::start();
    let before = launch(&settings);
    assert_eq!(Client::connect(listen).put("k", &clock.value(-9)), 0);
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldRequest(gate)));
    let mut old_client = Client::connect(listen);
    old_client.send(&frame::store(frame::PUT, "k", &clock.value(0)));
    scripted.wait_reached(gate);
    let next = launch(&settings);
    wait_for_one_listener(listen);
    let mut new_client = next.client();
    assert_eq!(new_client.text("k"), Some(clock.text(-9)), "reads are not held");
    new_client.send(&frame::store(frame::PUT, "k", &clock.value(-1)));
    scripted.open(gate);
    assert_eq!(old_client.recv(1), [0], "what was asked is answered");
    assert_eq!(before.ended().code(), Some(0));
    assert_eq!(new_client.recv(1), [2], "stale by what the old one has just stored");
    assert_eq!(scripted.text("k"), Some(clock.text(0)));
}

/// Waits until only one process listens at this address of the two that shared it.
fn wait_for_one_listener(address: SocketAddr) {
    let local = format!(":{:04X} 00000000:0000 0A", address.port());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's sockets");
        if sockets.matches(&local).count() == 1 {
            return;
        }
        assert!(Instant::now() < deadline, "two processes still listen");
        std::thread::yield_now();
    }
}

#[test]
fn who_cannot_reach_the_backend_leaves_everything_as_it_was() {
    let scripted = Scripted::start();
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, pid_file) = (free_address(), folder.path().join("pid"));
    let settings = settings(&scripted, listen, &pid_file, "pairing.connect_timeout = \"20ms\"");
    let before = launch(&settings);
    let file = folder.path().join("next.toml");
    let nowhere = settings.replace(&scripted.address().to_string(), &free_address().to_string());
    std::fs::write(&file, format!("admin = \"127.0.0.1:0\"\n{nowhere}")).expect("settings");
    let next = Command::new(env!("CARGO_BIN_EXE_ttguard"))
        .args(["serve", "--config"])
        .arg(&file)
        .output()
        .expect("ttguard");
    assert_eq!(next.status.code(), Some(1));
    let text = String::from_utf8_lossy(&next.stderr).into_owned();
    assert!(
        text.contains("the backend cannot be reached: the process that runs goes on"),
        "{text}"
    );
    assert_eq!(Client::connect(listen).get("k"), None, "it is still served");
    assert_eq!(before.terminate().code(), Some(0));
}

/// The time that an orderly end may take is 5 s and a bit with these.
const SHORT: &str = "drain_timeout = \"100ms\"\npairing.fence_timeout = \"100ms\"\npairing.start_hold = \"0s\"\n";

#[test]
fn a_process_that_is_stopped_is_not_waited_for_in_silence() {
    let scripted = Scripted::start();
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, pid_file) = (free_address(), folder.path().join("pid"));
    let settings = settings(&scripted, listen, &pid_file, SHORT);
    let before = launch(&settings);
    before.signal(libc::SIGSTOP);
    let next = launch(&settings);
    next.expect_metric("ttguard_predecessor_overdue", &[], 1.0);
    next.expect_log("has not ended in");
    let (status, why) = next.page("/readyz");
    assert_eq!(status, 503);
    assert!(
        why.contains(&format!("the process before, {} (stopped)", before.pid())),
        "{why}"
    );
    // It goes on, and with it everything that was owed.
    before.signal(libc::SIGCONT);
    assert_eq!(before.ended().code(), Some(0));
    next.expect_log("the process before has ended");
    next.expect_ready();
    assert_eq!(next.scrape("ttguard_predecessor_overdue", &[]), 0.0);
    assert_eq!(next.client().put("k", &Clock::start().value(0)), 0);
}

#[test]
fn a_process_that_is_stopped_is_killed_where_that_is_allowed() {
    use std::os::unix::process::ExitStatusExt;
    let scripted = Scripted::start();
    let folder = tempfile::tempdir().expect("a folder");
    let (listen, pid_file) = (free_address(), folder.path().join("pid"));
    let settings = settings(&scripted, listen, &pid_file, &format!("takeover_kill = true\n{SHORT}"));
    let before = launch(&settings);
    before.signal(libc::SIGSTOP);
    let next = launch(&settings);
    assert_eq!(before.ended().signal(), Some(libc::SIGKILL));
    next.expect_log("the process before was killed, as takeover_kill says");
    next.expect_log("the process before has ended");
    next.expect_ready();
    assert_eq!(next.client().put("k", &Clock::start().value(0)), 0);
}

#[test]
fn without_takeover_the_pid_file_is_for_one_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = format!("pid_file = \"{}\"", folder.path().join("pid").display());
    let guarded = Guarded::memory(&pid_file);
    let file = folder.path().join("second.toml");
    std::fs::write(&file, format!("listen = [\"127.0.0.1:0\"]\nadmin = \"\"\n{pid_file}")).expect("settings");
    let second = Command::new(env!("CARGO_BIN_EXE_ttguard"))
        .args(["serve", "--config"])
        .arg(&file)
        .output();
    let second = second.expect("ttguard");
    assert_eq!(second.status.code(), Some(2));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        text.contains(&format!("is held by process {};", guarded.pid())),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_socket_that_is_handed_over_keeps_clients_waiting_between_two_processes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let listen = listener.local_addr().expect("its address");
    let scripted = Scripted::start();
    let settings = format!(
        "backend = \"tyrant://{}\"\nlisten = [\"{listen}\"]\nworkers = 1\npairing.start_hold = \"0s\"",
        scripted.address()
    );
    let activated = || {
        let descriptor = listener.as_raw_fd();
        Guarded::launch(&settings, &["--admin", "127.0.0.1:0"], |command| {
            activate(command, descriptor)
        })
    };
    let clock = Clock::start();
    let first = activated();
    assert_eq!(first.addresses(), [listen]);
    assert_eq!(Client::connect(listen).put("k", &clock.value(0)), 0);
    assert_eq!(first.terminate().code(), Some(0));
    // Nobody serves, and still nobody is refused.
    let mut waiting = Client::connect(listen);
    waiting.send(&frame::store(frame::PUT, "k", &clock.value(-1)));
    let second = activated();
    assert_eq!(waiting.recv(1), [2]);
    assert_eq!(second.terminate().code(), Some(0));
    waiting.expect_reset(PATIENCE);
}

#[test]
fn a_socket_that_no_setting_names_is_a_mistake() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttguard"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", ""]);
    activate(&mut command, listener.as_raw_fd());
    let output = command.output().expect("ttguard");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let address = listener.local_addr().expect("its address");
    assert!(
        text.contains(&format!("LISTEN_FDS: a socket was handed over for {address}")),
        "{text}"
    );
}

/// Hands a socket over as systemd does: as descriptor 3, with the number of the process in a variable.
fn activate(command: &mut Command, descriptor: i32) {
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let script = format!("exec 3<&{descriptor}; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).arg(program).args(arguments);
    shell.stdin(std::process::Stdio::null());
    shell
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    use std::os::unix::process::CommandExt;
    // SAFETY: fcntl is safe to call between fork and exec.
    unsafe {
        shell.pre_exec(move || {
            libc::fcntl(descriptor, libc::F_SETFD, 0);
            Ok(())
        });
    }
    *command = shell;
}

//! What the service manager is told, by a socket of ours in its place.

use std::os::unix::net::UnixDatagram;

use crate::support::client::PATIENCE;
use crate::support::guarded::Guarded;

/// Waits for a message with this line.
fn wait_for(socket: &UnixDatagram, line: &str) -> String {
    let mut buffer = [0; 1024];
    loop {
        let size = socket
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("no {line}: {error}"));
        let message = String::from_utf8_lossy(&buffer[..size]).into_owned();
        if message.lines().any(|one| one == line) {
            return message;
        }
    }
}

#[test]
fn systemd_is_told_of_every_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let guarded = Guarded::launch("workers = 2", &flags, |command| {
        // The shortest with which two signs of life are sure to come in between.
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "4000000");
    });
    wait_for(&socket, "READY=1");
    wait_for(&socket, "WATCHDOG=1");
    guarded.signal(libc::SIGHUP);
    let message = wait_for(&socket, "RELOADING=1");
    assert!(message.contains("MONOTONIC_USEC="), "{message}");
    wait_for(&socket, "READY=1");
    guarded.signal(libc::SIGTERM);
    wait_for(&socket, "STOPPING=1");
    assert_eq!(guarded.ended().code(), Some(0));
}

//! `stunnel4`, which speaks TLS for a server that does not.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use tempfile::TempDir;

use super::authority::Signed;
use super::client::PATIENCE;
use super::process;

/// What it says when it has taken up its settings.
const CONFIGURED: &str = "Configuration successful";

pub struct Stunnel {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    log: Receiver<String>,
}

impl Stunnel {
    /// In front of this server, to whose clients it shows this certificate. `options` are lines of its settings.
    pub fn before(server: SocketAddr, shown: &Signed, options: &str) -> Self {
        // A free port may be gone again before it is taken: then another one is tried.
        let started = (0..5).find_map(|_| Self::start(server, shown, options));
        started.expect("stunnel4, which tests/run installs")
    }

    fn start(server: SocketAddr, shown: &Signed, options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let settings = format!(
            "foreground = yes\npid =\ndebug = 5\n[tyrant]\naccept = {address}\nconnect = {server}\n\
             cert = {0}/cert.pem\nkey = {0}/key.pem\nTIMEOUTclose = 60\n{options}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("stunnel.conf"), settings).expect("write");
        copy(shown, &folder);
        let mut child = Command::new("stunnel4")
            .arg(folder.path().join("stunnel.conf"))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("stunnel4, which tests/run installs");
        let lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let (sender, log) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut started = Self {
            child,
            address,
            folder,
            log,
        };
        if started.has_said(CONFIGURED) {
            return Some(started);
        }
        let _ = started.child.wait();
        None
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows this certificate to those who connect from now on.
    pub fn show(&self, shown: &Signed) {
        copy(shown, &self.folder);
        self.read_again();
    }

    /// Reads its files again.
    pub fn read_again(&self) {
        process::signal(self.child.id(), libc::SIGHUP);
        assert!(self.has_said(CONFIGURED), "it has ended");
    }

    /// Waits until it says this; false when it ends before.
    fn has_said(&self, text: &str) -> bool {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill it");
        self.child.wait().expect("its end");
    }
}

impl Drop for Stunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy((cert, key): &Signed, folder: &TempDir) {
    std::fs::copy(cert, folder.path().join("cert.pem")).expect("copy the certificate");
    std::fs::copy(key, folder.path().join("key.pem")).expect("copy the key");
}

//! The built binary under test, started on free ports and ended with the test.

mod admin;

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use self::admin::sample;
use crate::support::client::{Client, PATIENCE};
use crate::support::process;
use crate::support::ready::{parse_ready, ready_line};

pub const BINARY: &str = env!("CARGO_BIN_EXE_ttguard");

/// Settings with a store in the file at `path`.
pub fn on_file(path: &Path, settings: &str) -> String {
    format!("backend = \"file:{}\"\n{settings}", path.display())
}

pub struct Guarded {
    child: Child,
    addresses: Vec<SocketAddr>,
    admin: SocketAddr,
    log: Arc<Mutex<Vec<u8>>>,
    folder: TempDir,
}

impl Guarded {
    /// In front of the embedded store.
    pub fn memory(settings: &str) -> Self {
        Self::start(&format!("backend = \"memory:\"\n{settings}"))
    }

    /// With a store in the file at `path`.
    pub fn file(path: &Path, settings: &str) -> Self {
        Self::start(&on_file(path, settings))
    }

    /// In front of a Tyrant server.
    pub fn before(backend: SocketAddr, settings: &str) -> Self {
        Self::start(&format!("backend = \"tyrant://{backend}\"\n{settings}"))
    }

    /// An edge of this guard.
    pub fn edge_of(guard: &Self, settings: &str) -> Self {
        Self::start(&format!("edge_of = [\"tyrant://{}\"]\n{settings}", guard.address()))
    }

    /// With these settings. Addresses come from the command line, which has precedence over the file.
    pub fn start(settings: &str) -> Self {
        Self::start_by(Command::new(BINARY), settings)
    }

    /// With these settings, which say where clients connect.
    pub fn listening(settings: &str) -> Self {
        Self::launch(settings, &["--admin", "127.0.0.1:0"], |_| {})
    }

    /// With a first listener that shows everything, and another one for each of these lines of settings.
    pub fn beside_everything(backend: &str, settings: &str, listeners: &[&str]) -> Self {
        let mut text = format!("backend = \"{backend}\"\nlisten = [\"127.0.0.1:0\"]\n{settings}\n");
        for listener in listeners {
            text += &format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{listener}\n");
        }
        Self::listening(&text)
    }

    /// As [`Self::start`], by a command that ends in running ttguard with the arguments that it is given.
    pub fn start_by(command: Command, settings: &str) -> Self {
        Self::run(
            command,
            settings,
            &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
            |_| {},
        )
    }

    /// With these settings, these flags and whatever else is prepared.
    pub fn launch(settings: &str, flags: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        Self::run(Command::new(BINARY), settings, flags, prepare)
    }

    fn run(mut command: Command, settings: &str, flags: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the settings");
        let file = folder.path().join("ttguard.toml");
        std::fs::write(&file, settings).expect("write the settings");
        command
            .arg("serve")
            .args(flags)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What scripted servers are asked is counted: where a test does not speak of the claim, there is none.
        if !settings.contains("claim") {
            command.env("TTGUARD_CLAIM", "false");
        }
        prepare(&mut command);
        let mut child = command.spawn().expect("start ttguard");
        let log = keep_log(&mut child);
        let Some(ready) = ready_line(&mut child) else {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "ttguard did not become ready ({status:?}) with:\n{settings}\n{}",
                text(&log)
            );
        };
        let (addresses, admin) = parse_ready(&ready);
        Self {
            child,
            addresses,
            admin,
            log,
            folder,
        }
    }

    /// Changes the settings file, of which nothing is known until a reload.
    pub fn rewrite(&self, settings: &str) {
        std::fs::write(self.folder.path().join("ttguard.toml"), settings).expect("write the settings");
    }

    /// Has something else made in the place of the settings file.
    pub fn replace_settings(&self, make: impl FnOnce(&Path)) {
        let path = self.folder.path().join("ttguard.toml");
        std::fs::remove_file(&path).expect("no settings any more");
        make(&path);
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where the listener of this number listens.
    pub fn address_of(&self, listener: usize) -> SocketAddr {
        self.addresses[listener]
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// A client of the listener of this number.
    pub fn client_of(&self, listener: usize) -> Client {
        Client::connect(self.address_of(listener))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill ttguard");
        self.child.wait().expect("its end");
    }

    /// Every address where clients connect, as the ready line said.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Processor time used so far.
    pub fn processor_time(&self) -> Duration {
        process::processor_time(self.pid())
    }

    /// The names of the threads that it has now.
    pub fn threads(&self) -> Vec<String> {
        process::threads(self.pid())
    }

    /// Bytes of memory in use.
    pub fn resident_bytes(&self) -> u64 {
        process::resident_bytes(self.pid())
    }

    pub fn log(&self) -> String {
        text(&self.log)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the log says this; how often it does.
    #[track_caller]
    pub fn expect_log(&self, text: &str) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.contains(text) {
                return log.matches(text).count();
            }
            assert!(Instant::now() < deadline, "no {text:?} in:\n{log}");
            thread::yield_now();
        }
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: libc::c_int) {
        process::signal(self.pid(), signal);
    }

    /// Asks the process to end, as an operator does, and waits for it.
    pub fn terminate(self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.ended()
    }

    /// Waits until the process has ended.
    pub fn ended(mut self) -> ExitStatus {
        let (sender, receiver) = mpsc::channel();
        let mut stdout = self.child.stdout.take().expect("stdout");
        thread::spawn(move || {
            // Its end of the pipe closes with the process: that is the condition to wait for.
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
            let _ = sender.send(());
        });
        if receiver.recv_timeout(PATIENCE).is_err() {
            panic!("ttguard did not end after SIGTERM:\n{}", self.log());
        }
        self.child.wait().expect("its exit status")
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("--- log of ttguard ---\n{}", self.log());
        }
    }
}

fn text(log: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&log.lock().expect("the log")).into_owned()
}

/// Reads stderr as it comes, so that the process never waits for a full pipe.
fn keep_log(child: &mut Child) -> Arc<Mutex<Vec<u8>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut stderr = child.stderr.take().expect("stderr");
    let kept = Arc::clone(&log);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            kept.lock().expect("the log").extend_from_slice(&buffer[..count]);
        }
    });
    log
}

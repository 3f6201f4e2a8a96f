//! A real, unmodified `ttserver`, where the environment says in `TTSERVER` which binary it is.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::support::client::Client;

pub struct Real {
    child: Child,
    address: SocketAddr,
    binary: PathBuf,
    options: Vec<&'static str>,
    database: String,
}

impl Real {
    /// Starts one on an empty database; says loudly which test is skipped where there is none.
    pub fn start(database: &str, test: &str) -> Option<Self> {
        Self::start_with(&[], database, test)
    }

    /// The same with options of the server's own.
    pub fn start_with(options: &[&'static str], database: &str, test: &str) -> Option<Self> {
        let Some(binary) = std::env::var_os("TTSERVER").map(PathBuf::from) else {
            // Not `eprintln!`: the test runner would keep that to itself.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED: TTSERVER is not set: {test}");
            return None;
        };
        // A free port may be gone again before the server takes it: then another one is tried.
        (0..5).find_map(|_| {
            let port = free_port();
            let child = run(&binary, port, options, database)?;
            Some(Self {
                child,
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                binary: binary.clone(),
                options: options.to_vec(),
                database: database.to_owned(),
            })
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server's own tool, which stands beside it, prints for these arguments and this server.
    pub fn tcrmgr(&self, arguments: &[&str]) -> Vec<u8> {
        self.tcrmgr_at(self.address, arguments)
    }

    /// Runs `tcrmgr` on whoever listens there, and gives what it says.
    pub fn tcrmgr_at(&self, address: SocketAddr, arguments: &[&str]) -> Vec<u8> {
        let folder = self.binary.parent().expect("the folder of the server");
        let output = Command::new(folder.join("tcrmgr"))
            .args(arguments)
            .args(["-port", &address.port().to_string(), "127.0.0.1"])
            .env("LD_LIBRARY_PATH", folder)
            .output()
            .expect("run tcrmgr");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("its end");
    }

    /// Starts it again where it was; the on-memory database is empty then.
    pub fn start_again(&mut self) {
        self.child = run(&self.binary, self.address.port(), &self.options, &self.database).expect("the same port");
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Gives the process once it says that it listens; nothing if it ended before.
fn run(binary: &Path, port: u16, options: &[&str], database: &str) -> Option<Child> {
    let libraries = binary.parent().expect("the folder of the server");
    // A limit of its files' size, which a test may set, is to fail its writes and not to end it.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(binary)
        .args(["-host", "127.0.0.1", "-port", &port.to_string()])
        .args(options)
        .arg(database)
        .env("LD_LIBRARY_PATH", libraries)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the server that TTSERVER names");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let listens = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains("listening started"));
    if !listens {
        let _ = child.wait();
        return None;
    }
    // Read on, so that the server never waits for a full pipe.
    thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(child)
}

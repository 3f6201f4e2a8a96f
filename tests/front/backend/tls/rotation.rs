//! Another authority takes the place of the one before, under traffic, in the order in which nobody is ever shown a
//! certificate that he does not trust: the new authority beside the old one, then certificates of the new one, then the old
//! one away.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tempfile::TempDir;

use crate::support::authority::{Authority, Signed};
use crate::support::client::{Client, PATIENCE};
use crate::support::guarded::Guarded;
use crate::support::scripted::{End, Scripted};
use crate::support::stamped;
use crate::support::stunnel::Stunnel;

/// Writes and reads without a pause, each of which has to be answered as if nothing happened.
struct Traffic {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(address: SocketAddr) -> Self {
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |number: usize| {
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            thread::spawn(move || {
                let (key, mut client) = (format!("k{number}"), Client::connect(address));
                while !stop.load(Ordering::Relaxed) {
                    let value = format!("{:013}", stamped::now());
                    assert_eq!(client.put(&key, value.as_bytes()), 0);
                    assert_eq!(client.text(&key), Some(value));
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..4).map(client).collect();
        Self {
            answered,
            stop,
            clients,
        }
    }

    /// Waits until each client has most probably been answered several times more.
    #[track_caller]
    fn goes_on(&self) {
        let (enough, deadline) = (self.answered.load(Ordering::Relaxed) + 100, Instant::now() + PATIENCE);
        while self.answered.load(Ordering::Relaxed) < enough {
            assert!(
                self.clients.iter().all(|client| !client.is_finished()),
                "a request has failed"
            );
            assert!(Instant::now() < deadline, "nothing is answered any more");
            thread::yield_now();
        }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no request has failed");
        }
    }
}

/// The files that both sides are told of, and who uses them.
struct Fleet {
    folder: TempDir,
    scripted: Scripted,
    stunnel: Stunnel,
    guarded: Guarded,
    /// Whether ttguard is told of new files, and does not find them by itself.
    told: bool,
}

impl Fleet {
    fn of(authority: &Authority, told: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
        fs::copy(authority.cert(), path("ca.pem")).expect("copy");
        own_certificate(&folder, &authority.signed("guard"));
        let scripted = Scripted::start();
        let asking = format!("verifyChain = yes\nCAfile = {}", path("ca.pem"));
        let stunnel = Stunnel::before(scripted.address(), &authority.signed("localhost"), &asking);
        let guarded = Guarded::start(&format!(
            "backend = \"tyrants://{}\"\nworkers = 1\n[pairing]\nrequest_timeout = \"30s\"\nfail_fast_after = \"30s\"\n\
             [backend_tls]\nserver_name = \"localhost\"\nca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n",
            stunnel.address(),
            path("ca.pem"),
            path("guard.pem"),
            path("guard.key")
        ));
        Self {
            folder,
            scripted,
            stunnel,
            guarded,
            told,
        }
    }

    /// Both sides trust these authorities from now on.
    fn trust(&self, authorities: &[&Authority]) {
        let before = self.renewals();
        let texts = authorities.iter().map(|one| fs::read(one.cert()).expect("read"));
        fs::write(self.folder.path().join("ca.pem"), texts.collect::<Vec<_>>().concat()).expect("write");
        self.stunnel.read_again();
        self.taken_up(before);
    }

    /// ttguard shows this certificate from now on.
    fn show(&self, signed: &Signed) {
        let before = self.renewals();
        own_certificate(&self.folder, signed);
        self.taken_up(before);
    }

    /// Times that files were taken up without a word.
    fn renewals(&self) -> f64 {
        self.guarded
            .scrape("ttguard_certificate_reloads_total", &[("outcome", "applied")])
    }

    /// Waits until what was written is taken up.
    fn taken_up(&self, before: f64) {
        if self.told {
            let (status, body) = self.guarded.ask_admin("POST", "/api/reload", "");
            assert_eq!(status, 200, "{body}");
        } else {
            let applied = [("outcome", "applied")];
            self.guarded
                .expect_metric("ttguard_certificate_reloads_total", &applied, before + 1.0);
        }
    }

    /// Has all connections opened anew.
    fn connect_again(&self) {
        let outcome = [("outcome", "up")];
        let lanes = self.guarded.scrape("ttguard_lanes", &[]);
        let before = self.guarded.scrape("ttguard_lane_connects_total", &outcome);
        self.scripted.end_connections(End::Fin);
        self.guarded
            .expect_metric("ttguard_lane_connects_total", &outcome, before + lanes);
        self.guarded.expect_metric("ttguard_lanes", &[], lanes);
    }
}

fn own_certificate(folder: &TempDir, (cert, key): &Signed) {
    fs::copy(key, folder.path().join("guard.key")).expect("copy");
    fs::copy(cert, folder.path().join("guard.pem")).expect("copy");
}

#[test]
fn an_authority_is_replaced_and_no_request_fails() {
    rotate(true);
}

#[test]
fn an_authority_is_replaced_by_files_alone() {
    rotate(false);
}

fn rotate(told: bool) {
    let (old, new) = (Authority::new(), Authority::new());
    let fleet = Fleet::of(&old, told);
    fleet.guarded.expect_ready();
    let traffic = Traffic::start(fleet.guarded.address());
    let step = || {
        fleet.connect_again();
        traffic.goes_on();
    };
    step();
    fleet.trust(&[&old, &new]);
    step();
    fleet.stunnel.show(&new.signed("localhost"));
    step();
    fleet.show(&new.signed("guard"));
    step();
    fleet.trust(&[&new]);
    step();
    traffic.end();
    let refused = [("outcome", "tls")];
    assert_eq!(fleet.guarded.scrape("ttguard_lane_connects_total", &refused), 0.0);
    // The old one is away: its certificates are refused.
    fleet.stunnel.show(&old.signed("localhost"));
    fleet.scripted.end_connections(End::Fin);
    fleet
        .guarded
        .expect_metric("ttguard_lane_connects_total", &refused, 1.0);
    fleet
        .guarded
        .expect_log("its certificate is of an authority that is not trusted here");
}

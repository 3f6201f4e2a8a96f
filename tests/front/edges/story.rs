//! The story of PB, PC and PA through three edges: one guard judges, whichever edge a packet comes by.

use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::guarded::{Guarded, on_file};
use crate::support::load::Tongue;
use crate::support::real::Real;
use crate::support::stamped::Clock;

/// How often the story is told to each store.
const ROUNDS: usize = 1_000;

/// The offsets of PA, PB and PC.
const PACKETS: [i64; 3] = [-60_000, -59_000, 0];

/// Tells the story so many times, each time in another order and on other keys, by whatever the edges' clients speak. PC is
/// what is stored, and of what came behind something newer each was refused as stale.
fn tell(guard: &Guarded, edges: &[Guarded], rounds: usize) {
    let clock = Clock::start();
    let mut random = fastrand::Rng::with_seed(17);
    let mut clients: Vec<Vec<Client>> = edges
        .iter()
        .map(|edge| Tongue::ALL.iter().map(|_| edge.client()).collect())
        .collect();
    let mut reader = guard.client();
    for round in 0..rounds {
        let key = format!("packet-{round}");
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        let (mut newest, mut told, mut due) = (i64::MIN, Vec::new(), Vec::new());
        for (edge, packet) in order.into_iter().enumerate() {
            let spoken = random.usize(..Tongue::ALL.len());
            let client = &mut clients[edge][spoken];
            let tongue = Tongue::ALL[spoken];
            tongue
                .ask_put(client, &key, &clock.text(PACKETS[packet]))
                .expect("asked");
            told.push(tongue.told(client).expect("an answer"));
            due.push(if PACKETS[packet] > newest { 0 } else { 2 });
            newest = newest.max(PACKETS[packet]);
        }
        assert_eq!(told, due, "{key} in the order {order:?}");
        assert_eq!(reader.text(&key), Some(clock.text(0)), "{key} in the order {order:?}");
    }
}

fn three(guard: &Guarded) -> Vec<Guarded> {
    (0..3).map(|_| Guarded::edge_of(guard, "workers = 1\n")).collect()
}

#[test]
fn pc_stays_in_front_of_a_store_in_memory() {
    let guard = Guarded::memory("");
    tell(&guard, &three(&guard), ROUNDS);
}

#[test]
fn pc_stays_in_front_of_a_store_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let guard = Guarded::start(&on_file(&folder.path().join("store"), "[store]\nsync = \"os\"\n"));
    tell(&guard, &three(&guard), ROUNDS);
}

#[test]
fn pc_stays_in_front_of_a_real_server() {
    let Some(real) = Real::start("*", "pc_stays_in_front_of_a_real_server") else {
        return;
    };
    let guard = Guarded::before(real.address(), "claim = true\n");
    guard.expect_ready();
    tell(&guard, &three(&guard), ROUNDS);
}

#[test]
fn pc_stays_where_edges_are_known_by_their_certificates() {
    let authority = Authority::new();
    let (cert, key) = authority.signed_as("guard", "IP:127.0.0.1");
    let ca = authority.cert();
    let guard = Guarded::listening(&format!(
        "backend = \"memory:\"\nlisten = [\"127.0.0.1:0\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"{cert}\", key = \"{key}\", client_ca = \"{ca}\", allow_san = [\"edge.example\"] }}\n"
    ));
    let (cert, key) = authority.signed("edge.example");
    let edge = || {
        Guarded::start(&format!(
            "edge_of = [\"tyrants://{}\"]\nworkers = 1\n\
             [backend_tls]\nca = \"{ca}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n",
            guard.address_of(1)
        ))
    };
    tell(&guard, &[edge(), edge(), edge()], ROUNDS);
}

//! Two forms of the binary protocol in front of one store, in raw bytes; PyTyrant itself is run by `tests/run`.

use std::time::Duration;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::Scripted;

const BOTH: &str = "listen = [\"127.0.0.1:0\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\ndialect = \"pytyrant\"\n\
                    allow = [\"setmst\", \"restore\", \"copy\"]\n";

const OLD_VANISH: [u8; 2] = [0xC8, 0x71];

fn old_copy(path: &str) -> Vec<u8> {
    [&[0xC8, 0x72][..], &frame::size(path.len()), path.as_bytes()].concat()
}

/// As PyTyrant sends it: the number of copy, and a timestamp between size and path.
fn old_restore(path: &str) -> Vec<u8> {
    let timestamp = 1_795_000_000_000u64.to_be_bytes();
    [&[0xC8, 0x72][..], &frame::size(path.len()), &timestamp, path.as_bytes()].concat()
}

fn old_setmst(host: &str, port: u32) -> Vec<u8> {
    [
        &[0xC8, 0x78][..],
        &frame::size(host.len()),
        &port.to_be_bytes(),
        host.as_bytes(),
    ]
    .concat()
}

fn three_records(client: &mut Client) {
    for key in ["a", "b", "c"] {
        assert_eq!(client.put(key, b"v"), 0);
    }
}

/// What a listener of each dialect makes of PyTyrant's commands, in front of any store.
fn tell(guarded: &Guarded, copied: Option<&std::path::Path>) {
    let client = |listener| guarded.client_of(listener);
    let (mut modern, mut old) = (client(0), client(1));
    three_records(&mut modern);

    // copy copies, or fails, and never empties.
    let path = copied.map_or("/nowhere/at/all", |path| path.to_str().expect("text"));
    let code = old.ask_code(&old_copy(path));
    assert_eq!(code, u8::from(copied.is_none()));
    assert!(copied.is_none_or(std::path::Path::exists));
    assert_eq!(old.rnum(), 3);

    // restore is refused, whatever is allowed, and the connection stays in step.
    assert_eq!(old.ask_code(&old_restore("/backup/log")), 5);
    assert_eq!(old.rnum(), 3);
    guarded.expect_log("a restore of PyTyrant was refused");

    // A failed misc is its code alone.
    assert_eq!(old.ask_code(&frame::misc("nosuch", &[])), 1);
    assert_eq!(old.text("a").as_deref(), Some("v"));
    assert_eq!(old.misc("getlist", &[b"a"]), (0, vec![b"a".to_vec(), b"v".to_vec()]));
    assert_eq!(modern.misc("nosuch", &[]), (1, vec![]));

    assert_eq!(old.ask_code(&old_setmst("other", 1978)), 0);
    assert!(
        modern.stat().contains("\nmhost\tother\nmport\t1978\n"),
        "{}",
        modern.stat()
    );
    assert_eq!(old.ask_code(&old_setmst("", 0)), 0);

    // In the other dialect the same bytes are refused, with a hint, and delete nothing.
    for _ in 0..2 {
        let mut client = client(0);
        let _ = client.try_send(&old_copy(path));
        client.expect_reset(PATIENCE);
    }
    assert_eq!(modern.rnum(), 3);
    assert_eq!(guarded.expect_log("this is how PyTyrant 1.1.17 sends a copy"), 1);

    // clear empties.
    assert_eq!(old.ask_code(&OLD_VANISH), 0);
    assert_eq!(modern.rnum(), 0);
    assert_eq!(old.ask_code(&frame::bare(frame::SYNC)), 0);
}

#[test]
fn pytyrants_commands_mean_what_it_means_by_them() {
    tell(&Guarded::listening(&format!("backend = \"memory:\"\n{BOTH}")), None);
}

#[test]
fn pytyrants_commands_mean_what_it_means_by_them_in_front_of_a_real_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("casket.tch");
    let database = database.to_str().expect("text");
    let test = "pytyrants_commands_mean_what_it_means_by_them_in_front_of_a_real_server";
    if let Some(real) = Real::start(database, test) {
        let settings = format!("backend = \"tyrant://{}\"\n{BOTH}", real.address());
        tell(&Guarded::listening(&settings), Some(&folder.path().join("copy")));
    }
}

/// The same bytes without a guard in between.
#[test]
fn on_the_server_itself_a_copy_empties_and_a_clear_is_never_answered() {
    let test = "on_the_server_itself_a_copy_empties_and_a_clear_is_never_answered";
    let Some(real) = Real::start("*", test) else { return };
    let mut client = real.client();
    three_records(&mut client);
    assert_eq!(client.ask_code(&old_copy("/backup")), 0, "success");
    assert_eq!(real.client().rnum(), 0, "and everything is gone");
    let mut client = real.client();
    three_records(&mut client);
    client.send(&OLD_VANISH);
    client.expect_quiet(Duration::from_millis(300));
    assert_eq!(real.client().rnum(), 3);
    // A failed misc leaves four bytes that the next answer is taken from.
    let mut client = real.client();
    assert_eq!(client.ask_code(&frame::misc("nosuch", &[])), 1);
    assert_eq!(client.text("a").as_deref(), Some(""), "the record is not empty");
}

#[test]
fn a_second_request_while_an_answer_is_owed_ends_a_session_of_pytyrant_only() {
    let guarded = Guarded::listening(&format!("backend = \"memory:\"\n{BOTH}"));
    let both = [frame::bare(frame::RNUM), frame::bare(frame::RNUM)].concat();
    let mut modern = guarded.client_of(0);
    modern.send(&both);
    assert_eq!(modern.recv(18), [0; 18]);
    let mut old = guarded.client_of(1);
    old.send(&both);
    old.expect_reset(PATIENCE);
}

#[test]
fn pytyrant_is_reset_even_when_ttguard_is_killed() {
    let scripted = Scripted::start();
    let settings = format!("backend = \"tyrant://{}\"\n{BOTH}", scripted.address());
    let mut guarded = Guarded::listening(&settings);
    let clients = [0, 1].map(|listener| {
        let mut client = guarded.client_of(listener);
        assert_eq!(client.put("k", b"v"), 0);
        client
    });
    guarded.kill();
    let endings = clients.map(|mut client| client.ending(PATIENCE));
    assert_eq!(endings, [Ending::Finished, Ending::Reset]);
}

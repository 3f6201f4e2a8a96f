//! Every write is ordered: what is made of what is stored, deletes, lists. And nobody's clock harms anybody else.

use super::GIVEN;
use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::memcached::store;
use crate::support::real::Real;
use crate::support::stamped;

const STALE: u8 = 2;

/// The value that the store itself holds, stamp and all.
fn stored(real: &Real, key: &str) -> String {
    real.client().text(key).expect("a record")
}

fn stamp_of(value: &str) -> u64 {
    value[..16].parse().expect("16 digits")
}

/// A value with a stamp so many seconds from now, as it is stored.
fn from_now(seconds: i64, value: &str) -> String {
    format!("{:016}\x1e{value}", (stamped::now() + seconds * 1000) * 1000)
}

#[test]
fn what_is_made_of_what_is_stored_is_stamped_anew_each_time() {
    let Some(real) = Real::start("*", "what_is_made_of_what_is_stored_is_stamped_anew_each_time") else {
        return;
    };
    let guard = Guarded::before(real.address(), GIVEN);
    let edge = Guarded::edge_of(&guard, "");
    let mut client = edge.client();
    assert_eq!(client.put("k", b"a"), 0);
    let mut before = stamp_of(&stored(&real, "k"));
    let append = store("append", "k", "e");
    let changes: [(&[u8], &str); 4] = [
        (&frame::store(frame::PUTCAT, "k", b"b"), "ab"),
        (&frame::putshl("k", b"c", 2), "bc"),
        (&frame::misc("putcat", &[b"k", b"d"]), "bcd"),
        (append.as_bytes(), "bcde"),
    ];
    for (change, value) in changes {
        client.send(change);
        match change {
            [0xC8, 0x90, ..] => assert_eq!(client.recv(5), [0; 5]),
            [0xC8, ..] => assert_eq!(client.recv(1), [0]),
            _ => assert_eq!(client.recv(8), b"STORED\r\n"),
        }
        let found = stored(&real, "k");
        assert_eq!(&found[17..], value);
        assert_eq!(client.text("k").as_deref(), Some(value));
        assert!(stamp_of(&found) > before, "{found}");
        before = stamp_of(&found);
    }
    assert_eq!(guard.scrape("ttguard_verdicts_total", &[("verdict", "unordered")]), 0.0);
}

#[test]
fn parts_and_sizes_are_those_of_the_clients_own_bytes() {
    let test = "parts_and_sizes_are_those_of_the_clients_own_bytes";
    for options in [&[][..], &["-mask", "misc"]] {
        let Some(real) = Real::start_with(options, "*", test) else {
            return;
        };
        let mut old = real.client();
        assert_eq!(old.put("old", b"old data"), 0);
        assert_eq!(old.put("empty", b""), 0);
        let guard = Guarded::before(real.address(), GIVEN);
        let mut client = guard.client();
        assert_eq!(client.put("new", b"new data"), 0);
        assert_eq!(client.put("none", b""), 0);
        for (key, value) in [("old", "old data"), ("new", "new data"), ("empty", ""), ("none", "")] {
            assert_eq!(client.ask_code(&frame::keyed(frame::VSIZ, key)), 0);
            assert_eq!(client.recv(4), (value.len() as u32).to_be_bytes(), "{key}");
            if !options.is_empty() {
                // Of a server that denies misc nobody is told a part.
                continue;
            }
            let parts: [(&[&str], Option<&str>); 5] = [
                (&["4", "2"], value.get(4..6)),
                (&["-3", "3"], value.get(..3)),
                (&["4", "-1"], value.get(4..)),
                (&["4"], value.get(4..)),
                (&["8", "1"], None),
            ];
            for (arguments, part) in parts {
                let all: Vec<&[u8]> = [key].iter().chain(arguments).map(|text| text.as_bytes()).collect();
                let due = match part {
                    Some(part) => (0, vec![part.as_bytes().to_vec()]),
                    None => (1, Vec::new()),
                };
                assert_eq!(client.misc("getpart", &all), due, "{key} {arguments:?}");
            }
        }
        assert_eq!(client.ask_code(&frame::keyed(frame::VSIZ, "nothing")), 1);
        if options.is_empty() {
            assert_eq!(client.misc("getpart", &[b"nothing", b"0", b"1"]), (1, Vec::new()));
        }
    }
}

#[test]
fn behind_a_mask_that_denies_mget_nothing_takes_the_place_of_what_there_is() {
    let test = "behind_a_mask_that_denies_mget_nothing_takes_the_place_of_what_there_is";
    let Some(real) = Real::start_with(&["-mask", "mget"], "*", test) else {
        return;
    };
    let guard = Guarded::before(real.address(), GIVEN);
    let mut client = guard.client();
    assert_eq!(real.client().put("old", b"old"), 0);
    assert_eq!(client.put("new", b"new"), 0);
    for key in ["old", "new"] {
        assert_eq!(client.ask_code(&frame::store(frame::PUTKEEP, key, b"-")), 1, "{key}");
        assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, key, b"+")), 0, "{key}");
        assert_eq!(client.text(key), Some(format!("{key}+")));
    }
    assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "none", b"+")), 0);
    assert_eq!(client.text("none").as_deref(), Some("+"));
}

#[test]
fn a_row_of_a_table_is_stamped_anew_with_each_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("casket.tct");
    let test = "a_row_of_a_table_is_stamped_anew_with_each_change";
    let Some(real) = Real::start(path.to_str().expect("a path of text"), test) else {
        return;
    };
    let guard = Guarded::before(real.address(), &format!("claim = true\n{GIVEN}"));
    guard.expect_ready();
    let mut client = guard.client();
    let texts = |strings: Vec<Vec<u8>>| {
        let texts = strings
            .into_iter()
            .map(|string| String::from_utf8(string).expect("text"));
        texts.collect::<Vec<_>>()
    };
    let mut before = 0;
    let mut expect = |client: &mut Client, row: &[&str]| {
        assert_eq!(texts(client.misc("get", &[b"k"]).1), row);
        let stored = texts(real.client().misc("get", &[b"k"]).1);
        let at = stored
            .iter()
            .position(|name| name == "_stamp")
            .expect("a column of its own");
        let stamp: u64 = stored[at + 1].parse().expect("16 digits");
        assert!(stamp > before, "{stored:?}");
        before = stamp;
    };
    assert_eq!(client.misc("put", &[b"k", b"a", b"1"]).0, 0);
    expect(&mut client, &["a", "1"]);
    assert_eq!(client.misc("putcat", &[b"k", b"a", b"2", b"b", b"3"]).0, 0);
    expect(&mut client, &["a", "1", "b", "3"]);
    assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "k", b"c\x004")), 0);
    expect(&mut client, &["a", "1", "b", "3", "c", "4"]);
    assert_eq!(client.ask_code(&frame::addint("k", 5)), 0);
    assert_eq!(client.recv(4), 5i32.to_be_bytes());
    expect(&mut client, &["a", "1", "b", "3", "c", "4", "_num", "5"]);
    assert_eq!(client.misc("putkeep", &[b"k", b"a", b"6"]).0, 1);
    assert_eq!(client.misc("putkeep", &[b"other", b"a", b"6"]).0, 0);
    // Neither the column nor the records of the claim are found.
    let (_, found) = client.misc("search", &[b"addcond\0\x000\0other"]);
    assert_eq!(texts(found), ["other"]);
    let mut all = texts(client.misc("search", &[]).1);
    all.sort();
    assert_eq!(all, ["k", "other"]);
    let (_, rows) = client.misc("search", &[b"addcond\0\x000\0other", b"get"]);
    assert_eq!(texts(rows), ["\0other\0a\x006"]);
    assert_eq!(guard.scrape("ttguard_alarms_total", &[]), 0.0);
}

#[test]
fn a_delete_that_was_sent_before_what_is_stored_is_stale() {
    let Some(real) = Real::start("*", "a_delete_that_was_sent_before_what_is_stored_is_stale") else {
        return;
    };
    let guard = Guarded::before(real.address(), GIVEN);
    // A write of an edge that was sent later than anything that is asked here, and came before.
    assert_eq!(real.client().put("k", from_now(1, "later").as_bytes()), 0);
    let mut client = guard.client();
    assert_eq!(client.ask_code(&frame::keyed(frame::OUT, "k")), STALE);
    assert_eq!(client.text("k").as_deref(), Some("later"));
    // What was read, or was the reason of a refusal, is older than what is written then.
    assert_eq!(client.ask_code(&frame::keyed(frame::OUT, "k")), 0);
    assert_eq!(client.text("k"), None);
}

#[test]
fn who_has_read_a_value_is_never_refused_for_its_own_clock() {
    let Some(real) = Real::start("*", "who_has_read_a_value_is_never_refused_for_its_own_clock") else {
        return;
    };
    let guard = Guarded::before(real.address(), GIVEN);
    let edge = Guarded::edge_of(&guard, "");
    for (at, read) in [
        frame::keyed(frame::GET, "k"),
        frame::mget(&["k"]),
        frame::misc("getlist", &[b"k"]),
        frame::misc("getpart", &[b"k", b"0", b"1"]),
        b"get k\r\n".to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        let ahead = 10 * (at as i64 + 1);
        assert_eq!(real.client().put("k", from_now(ahead, "ahead").as_bytes()), 0);
        let mut client = edge.client();
        client.send(&read);
        client.expect_behind("k");
        assert_eq!(client.put("k", b"mine"), 0, "behind {read:?}");
        assert_eq!(client.text("k").as_deref(), Some("mine"));
    }
}

#[test]
fn a_stamp_of_the_far_future_does_not_spread() {
    let Some(real) = Real::start("*", "a_stamp_of_the_far_future_does_not_spread") else {
        return;
    };
    let guard = Guarded::before(real.address(), GIVEN);
    let edge = Guarded::edge_of(&guard, "");
    assert_eq!(real.client().put("wrong", from_now(3600, "wrong").as_bytes()), 0);
    let mut client = edge.client();
    assert_eq!(client.text("wrong").as_deref(), Some("wrong"));
    assert_eq!(client.put("k", b"v"), 0);
    let (found, now) = (stamp_of(&stored(&real, "k")), stamped::now() as u64 * 1000);
    assert!(found < now + 60_000_000, "{found} is far ahead of {now}");
    // It binds nobody either.
    assert_eq!(client.put("wrong", b"right"), 0);
}

#[test]
fn of_a_key_that_a_list_names_twice_the_last_value_stays_whatever_the_rule_for_ties() {
    for tie in ["last", "first", "greater"] {
        let guard = Guarded::memory(&format!("{GIVEN}[guard]\ntie = \"{tie}\"\n"));
        let mut client = guard.client();
        let list: [&[u8]; 6] = [b"a", b"2", b"b", b"1", b"a", b"1"];
        assert_eq!(client.misc("putlist", &list).0, 0);
        assert_eq!(client.text("a").as_deref(), Some("1"), "{tie}");
    }
}

#[test]
fn in_observe_mode_nothing_that_is_stored_is_changed() {
    let Some(real) = Real::start("*", "in_observe_mode_nothing_that_is_stored_is_changed") else {
        return;
    };
    let guard = Guarded::before(real.address(), &format!("{GIVEN}[guard]\nmode = \"observe\"\n"));
    let edge = Guarded::edge_of(&guard, "");
    for client in [&mut guard.client(), &mut edge.client()] {
        assert_eq!(client.put("k", b"v"), 0);
        assert_eq!(stored(&real, "k"), "v");
        assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "k", b"w")), 0);
        assert_eq!(stored(&real, "k"), "vw");
        // What has a stamp is read without it all the same.
        assert_eq!(real.client().put("stamped", from_now(-1, "s").as_bytes()), 0);
        assert_eq!(client.text("stamped").as_deref(), Some("s"));
    }
}

#[test]
fn large_values_and_long_lists_are_stamped_as_small_ones_are() {
    let guard = Guarded::memory(GIVEN);
    let edge = Guarded::edge_of(&guard, "");
    for client in [&mut guard.client(), &mut edge.client()] {
        let large = vec![b'l'; 9 << 20];
        assert_eq!(client.put("large", &large), 0);
        assert_eq!(client.get("large"), Some(large.clone()));
        assert_eq!(client.ask_code(&frame::keyed(frame::VSIZ, "large")), 0);
        assert_eq!(client.recv(4), (9u32 << 20).to_be_bytes());
        assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "large", b"+")), 0);
        assert_eq!(client.get("large").map(|value| value.len()), Some(large.len() + 1));
        let texts: Vec<_> = (0..10_000).map(|at| format!("key-{at}")).collect();
        let list: Vec<&[u8]> = texts
            .iter()
            .flat_map(|text| [text.as_bytes(), text.as_bytes()])
            .collect();
        assert_eq!(client.misc("putlist", &list).0, 0);
        let keys: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = client.mget(&keys);
        assert_eq!(found.len(), keys.len());
        assert!(found.iter().all(|(key, value)| key == value));
    }
}

#[test]
fn an_edge_that_is_told_otherwise_than_its_guard_does_not_start() {
    let (given, of_clients) = (Guarded::memory(GIVEN), Guarded::memory(""));
    for (guard, source, line) in [
        (
            &given,
            "client",
            "stamps are given by ttguard there, and stamp.source here says client",
        ),
        (
            &of_clients,
            "edge",
            "stamps are given by clients there, and stamp.source here says edge",
        ),
    ] {
        let edge_of = format!("tyrant://{}", guard.address());
        let output = std::process::Command::new(crate::support::guarded::BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "", "--edge-of", &edge_of])
            .args(["--stamp-source", source])
            .output()
            .expect("an edge");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(line), "{said}");
    }
    for (guard, source) in [(&given, "edge"), (&of_clients, "client"), (&given, "auto")] {
        let edge = Guarded::edge_of(guard, &format!("stamp.source = \"{source}\"\n"));
        assert_eq!(edge.client().put("k", b"v"), 0);
    }
}

impl Client {
    /// Reads whatever the answer to a read of one record is, up to that of a question which is asked behind it.
    fn expect_behind(&mut self, key: &str) {
        self.send(format!("get {key}-none\r\nversion\r\n").as_bytes());
        self.recv_until(b"END\r\nVERSION 1.1.41\r\n");
    }
}

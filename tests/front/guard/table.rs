//! A table whose rows carry their stamp in a column.

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::stamped::Clock;

const STALE: u8 = 2;
const SETTINGS: &str = "[stamp]\ncolumn = \"ts\"\n";

fn database(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("casket.tct");
    path.to_str().expect("a path of text").to_owned()
}

/// Columns by `misc`: what the answer's code is.
fn columns(client: &mut Client, function: &str, key: &str, stamp: &str, text: &str) -> u8 {
    let arguments = [key, "text", text, "ts", stamp].map(str::as_bytes);
    client.misc(function, &arguments).0
}

fn row(client: &mut Client, key: &str) -> Vec<String> {
    let (_, strings) = client.misc("get", &[key.as_bytes()]);
    strings.iter().map(|one| one.escape_ascii().to_string()).collect()
}

#[test]
fn pb_pc_pa_leaves_pc_in_a_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(real) = Real::start(&database(&folder), "pb_pc_pa_leaves_pc_in_a_table") else {
        return;
    };
    let clock = Clock::start();
    let guarded = Guarded::before(real.address(), SETTINGS);
    let stamps = [-60_000, -59_000, 0].map(|offset| clock.digits(offset));
    let [pa, pb, pc] = stamps.each_ref().map(String::as_str);
    let mut client = guarded.client();
    let codes = [(pb, "PB"), (pc, "PC"), (pa, "PA")].map(|(stamp, text)| columns(&mut client, "put", "k", stamp, text));
    assert_eq!(codes, [0, 0, STALE]);
    let wanted = ["text", "PC", "ts", pc];
    assert_eq!(row(&mut client, "k"), wanted);

    // By every other way in.
    assert_eq!(columns(&mut client, "putkeep", "k", pa, "PA"), STALE);
    assert_eq!(columns(&mut client, "putcat", "k", pa, "PA"), STALE);
    let value = format!("text\0PA\0ts\0{pa}");
    assert_eq!(client.put("k", value.as_bytes()), STALE);
    assert_eq!(
        client.ask_code(&frame::store(frame::PUTCAT, "k", value.as_bytes())),
        STALE
    );
    assert_eq!(client.misc("putlist", &[b"k", value.as_bytes()]).0, STALE);
    client.putnr("k", value.as_bytes());
    assert_eq!(row(&mut real.client(), "k"), wanted);

    let mut memcached = guarded.client();
    for command in ["set", "replace"] {
        memcached.expect(
            &crate::support::memcached::store(command, "k", &value),
            "NOT_STORED\r\n",
        );
    }
    assert_eq!(row(&mut real.client(), "k"), wanted);
    let later = clock.digits(1_000);
    let value = format!("text\0PD\0ts\0{later}");
    memcached.expect(&crate::support::memcached::store("replace", "k", &value), "STORED\r\n");
    assert_eq!(row(&mut client, "k"), ["text", "PD", "ts", &later]);

    // A delete leaves a tombstone as long as this guard lives.
    assert_eq!(client.misc("out", &[b"k"]).0, 0);
    assert_eq!(columns(&mut client, "put", "k", pb, "PB"), STALE);
    assert_eq!(row(&mut client, "k"), [""; 0]);
}

#[test]
fn the_row_itself_tells_the_next_guard_its_stamp() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(real) = Real::start(&database(&folder), "the_row_itself_tells_the_next_guard_its_stamp") else {
        return;
    };
    let clock = Clock::start();
    let [old, new, newer] = [-60_000, 0, 1_000].map(|offset| clock.digits(offset));
    {
        let guarded = Guarded::before(real.address(), SETTINGS);
        assert_eq!(columns(&mut guarded.client(), "put", "k", &new, "new"), 0);
        // A value that holds NUL reads, in one string, as if there were a column more.
        let spoof = format!("x\0ts\0{newer}");
        let arguments = [b"s", &b"text"[..], spoof.as_bytes(), b"ts", old.as_bytes()];
        assert_eq!(guarded.client().misc("put", &arguments).0, 0);
    }
    let guarded = Guarded::before(real.address(), SETTINGS);
    let mut client = guarded.client();
    assert_eq!(columns(&mut client, "put", "k", &old, "old"), STALE);
    assert_eq!(columns(&mut client, "put", "k", &newer, "newer"), 0);
    assert_eq!(columns(&mut client, "put", "s", &new, "after the spoof"), 0);
    assert!(guarded.scrape("ttguard_lookups_total", &[]) >= 2.0);
}

#[test]
fn a_row_without_a_stamp_and_a_tie_follow_their_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(real) = Real::start(&database(&folder), "a_row_without_a_stamp_and_a_tie_follow_their_rules") else {
        return;
    };
    let clock = Clock::start();
    let stamp = clock.digits(0);
    let rules = "[guard]\ntie = \"first\"\nunstamped = \"refuse\"\n";
    let guarded = Guarded::before(real.address(), &format!("{SETTINGS}{rules}"));
    let mut client = guarded.client();
    assert_eq!(columns(&mut client, "put", "k", &stamp, "first"), 0);
    assert_eq!(columns(&mut client, "put", "k", &stamp, "second"), STALE);
    assert_eq!(columns(&mut client, "put", "k", &stamp, "first"), 0, "the same bytes");
    assert_eq!(columns(&mut client, "put", "k", "no stamp", "x"), 4);
    assert_eq!(client.misc("put", &[b"k", b"text", b"x"]).0, 4);
    assert_eq!(client.misc("put", &[b"k"]).0, 4);
    assert_eq!(row(&mut client, "k"), ["text", "first", "ts", &stamp]);
}

#[test]
fn a_search_that_deletes_is_counted_and_everything_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let test = "a_search_that_deletes_is_counted_and_everything_is_read_again";
    let Some(real) = Real::start(&database(&folder), test) else {
        return;
    };
    let clock = Clock::start();
    let guarded = Guarded::before(real.address(), SETTINGS);
    let mut client = guarded.client();
    let unguarded = |count| {
        guarded.expect_metric("ttguard_verdicts_total", &[("verdict", "unguarded")], count);
    };
    for (word, count) in [("out", 1.0), ("remove", 2.0)] {
        assert_eq!(columns(&mut client, "put", "k", &clock.digits(0), "x"), 0);
        assert_eq!(
            client.misc("search", &[b"addcond\0text\0STREQ\0x", word.as_bytes()]).0,
            0
        );
        unguarded(count);
        assert_eq!(row(&mut client, "k"), [""; 0]);
        let before = guarded.scrape("ttguard_lookups_total", &[]);
        assert_eq!(
            columns(&mut client, "put", "k", &clock.digits(-1_000), "older"),
            0,
            "it was not a delete of a key"
        );
        assert!(guarded.scrape("ttguard_lookups_total", &[]) > before);
    }
    let refusing = Guarded::before(
        real.address(),
        &format!("{SETTINGS}[guard.commands]\nmisc = \"refuse\"\n"),
    );
    assert_eq!(refusing.client().misc("search", &[b"remove"]).0, 5);
    assert_eq!(row(&mut real.client(), "k").len(), 4);
}

#[test]
fn a_search_neither_shows_nor_deletes_hidden_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(real) = Real::start(&database(&folder), "a_search_neither_shows_nor_deletes_hidden_records") else {
        return;
    };
    let guarded = Guarded::before(real.address(), "claim = true\n");
    guarded.expect_ready();
    let (mut client, mut direct) = (guarded.client(), real.client());
    for key in ["a", "b", "c"] {
        assert_eq!(client.misc("put", &[key.as_bytes(), b"text", key.as_bytes()]).0, 0);
    }
    let mut found = |function: &str, words: &[&[u8]]| -> Vec<String> {
        let (code, strings) = client.misc(function, words);
        assert_eq!(code, 0);
        strings.iter().map(|one| one.escape_ascii().to_string()).collect()
    };
    let all = |direct: &mut Client| direct.misc("search", &[]).1.len();
    assert_eq!(all(&mut direct), 5, "the claim has two records");
    let order: &[u8] = b"setorder\0text\x001";
    assert_eq!(found("search", &[order]), ["c", "b", "a"]);
    assert_eq!(found("search", &[b"count"]), ["3"]);
    assert_eq!(found("search", &[order, b"setlimit\x002\x001"]), ["b", "a"]);
    assert_eq!(
        found("search", &[order, b"setlimit\x001\x000", b"get"]),
        ["\\x00c\\x00text\\x00c"]
    );
    let union: &[&[u8]] = &[b"addcond\0text\0STREQ\0a", b"next", order, b"mstype\x000"];
    assert_eq!(found("metasearch", union), ["a", "c", "b"]);
    found("search", &[b"out"]);
    assert_eq!(found("search", &[]), [""; 0]);
    assert_eq!(all(&mut direct), 2, "the claim is as it was");
}

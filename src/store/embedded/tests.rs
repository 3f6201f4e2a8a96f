//! What both kinds of store have to answer alike.

use bytes::Bytes;
use tempfile::TempDir;

use super::answering::FAILED;
use super::*;

pub(super) const NOW: Duration = Duration::from_secs(1_795_000_000);

/// A store of either kind, each empty.
pub(super) fn each(test: impl Fn(&Embedded)) {
    test(&Embedded::new());
    let (_folder, store) = in_a_file();
    test(&store);
}

/// A store in a file of its own, and the folder that must outlive it.
pub(super) fn in_a_file() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("store"), &StoreSettings::default()).unwrap();
    (folder, store)
}

/// What the store answers, where it can.
pub(super) fn ask(store: &Embedded, command: &Command) -> Reply {
    store.execute(command, NOW).unwrap()
}

pub(super) fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn put(store: &Embedded, key: &'static str, value: &'static str) {
    let (key, value) = (bytes(key), bytes(value));
    assert_eq!(ask(store, &Command::Put { key, value }), Reply::OK);
}

/// The strings that `misc` answers; none on failure.
pub(super) fn misc(store: &Embedded, function: &'static str, arguments: &[&'static str]) -> Option<Vec<Bytes>> {
    let command = Command::Misc {
        function: bytes(function),
        options: 0,
        arguments: arguments.iter().copied().map(bytes).collect(),
    };
    match ask(store, &command) {
        Reply::Strings { code: 0, strings } => Some(strings),
        Reply::Strings { code: 1, strings } if strings.is_empty() => None,
        other => panic!("{other:?}"),
    }
}

fn iternext(store: &Embedded) -> Option<Bytes> {
    match ask(store, &Command::IterNext) {
        Reply::Value(key) => Some(key),
        reply => {
            assert_eq!(reply, FAILED);
            None
        }
    }
}

#[test]
fn misc_minds_the_number_of_arguments_as_the_server_does() {
    each(|store| {
        for (function, arguments, success) in [
            ("put", &[][..], false),
            ("put", &["x"], false),
            ("putkeep", &["x"], false),
            ("putcat", &["x"], false),
            ("out", &[], false),
            ("get", &[], false),
            ("getpart", &[], false),
            ("regex", &[], false),
            ("putlist", &[], true),
            ("putlist", &["x"], true),
            ("outlist", &[], true),
            ("getlist", &[], true),
            ("", &[], false),
            ("PUT", &["a", "b"], false),
            ("put\0zz", &["q", "1", "extra"], true),
            ("sync", &["x"], true),
            ("optimize", &[], true),
            ("optimize", &["bnum=3"], true),
        ] {
            assert_eq!(
                misc(store, function, arguments).is_some(),
                success,
                "{function} {arguments:?}"
            );
        }
        assert_eq!(store.len().unwrap(), 1);
    });
}

#[test]
fn parts_of_a_value_are_those_of_the_server() {
    each(|store| {
        put(store, "p", "0123456789");
        put(store, "e", "");
        for (arguments, part) in [
            (&["p"][..], Some("0123456789")),
            (&["p", "3"], Some("3456789")),
            (&["p", "3", "2"], Some("34")),
            (&["p", "-4", "2"], Some("01")),
            (&["p", "9", "5"], Some("9")),
            (&["p", "3", "0"], Some("")),
            (&["p", "x", "y"], Some("")),
            (&["p", " +2", "-1"], Some("23456789")),
            (&["p", "4294967298", "3"], Some("234")),
            (&["p", "1", "4294967297"], Some("1")),
            (&["p", "10"], None),
            (&["p", "2147483647"], None),
            (&["e"], None),
            (&["none"], None),
        ] {
            let answer = misc(store, "getpart", arguments);
            assert_eq!(answer, part.map(|part| vec![bytes(part)]), "{arguments:?}");
        }
    });
}

#[test]
fn all_clients_share_one_iterator_and_regex_moves_it() {
    each(|store| {
        for key in ["a", "b", "c"] {
            put(store, key, "");
        }
        assert_eq!(iternext(store), None);
        ask(store, &Command::IterInit);
        assert!(iternext(store).is_some());
        assert_eq!(misc(store, "regex", &["("]), None);
        assert_eq!(misc(store, "regex", &["b"]), Some(vec![bytes("b"), bytes("")]));
        assert_eq!(iternext(store), None);
        assert_eq!(misc(store, "regex", &[".", "1"]).unwrap().len(), 2);
        assert!(iternext(store).is_some() && iternext(store).is_some());
        assert_eq!(iternext(store), None);

        assert!(misc(store, "iterinit", &["missing"]).is_some());
        assert_eq!(misc(store, "iternext", &[]), None);
        assert!(misc(store, "iterinit", &["b"]).is_some());
        assert_eq!(misc(store, "iternext", &[]).unwrap()[0], "b");

        ask(store, &Command::IterInit);
        ask(store, &Command::Vanish);
        put(store, "late", "");
        assert_eq!(iternext(store), None);
    });
}

#[test]
fn what_was_not_done_is_not_acknowledged() {
    each(|store| {
        put(store, "k", "v");
        let optimize = |parameters| Command::Optimize {
            parameters: bytes(parameters),
        };
        let refused = [
            Command::Copy {
                path: bytes("@/bin/true"),
            },
            Command::Restore {
                path: bytes("/"),
                timestamp: 0,
                options: 0,
            },
            Command::Repl {
                timestamp: 0,
                server_id: 1,
            },
            optimize("capnum=10"),
            optimize("bnum=5#CAPSIZ=1m"),
        ];
        for command in refused {
            assert_eq!(ask(store, &command), FAILED, "{command:?}");
        }
        for parameters in ["", "nonsense", "bnum=5#opts=zz", "capnum=0", "capnum=-5"] {
            assert_eq!(ask(store, &optimize(parameters)), Reply::OK);
        }
        assert_eq!(store.len().unwrap(), 1);
    });
}

#[test]
fn memory_is_never_copied() {
    let path = bytes("copy.tch");
    assert_eq!(ask(&Embedded::new(), &Command::Copy { path }), FAILED);
}

#[test]
fn stat_counts_records_and_names_the_master() {
    each(|store| {
        let lines = |store: &Embedded| match ask(store, &Command::Stat) {
            Reply::Value(lines) => String::from_utf8(lines.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        put(store, "k", "v");
        assert!(lines(store).contains("\nrnum\t1\n"));
        let master = |host| Command::SetMst {
            host: bytes(host),
            port: 1978,
            timestamp: 5,
            options: 0,
        };
        assert_eq!(ask(store, &master("h\0x")), Reply::OK);
        assert!(lines(store).contains("\nmhost\th\nmport\t1978\nrts\t5\ndelay\t"));
        assert_eq!(ask(store, &master("")), Reply::OK);
        assert!(!lines(store).contains("mhost"));
    });
}

#[test]
fn an_answer_on_its_way_keeps_its_bytes() {
    each(|store| {
        put(store, "k", "v1");
        let get = Command::Get { key: bytes("k") };
        let before = ask(store, &get);
        let (key, value) = (bytes("k"), bytes("+"));
        assert_eq!(ask(store, &Command::PutCat { key, value }), Reply::OK);
        assert_eq!(before, Reply::Value(bytes("v1")));
        assert_eq!(ask(store, &get), Reply::Value(bytes("v1+")));
    });
}

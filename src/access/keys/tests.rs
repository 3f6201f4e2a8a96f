use super::*;

fn access(allow: &[&'static str], deny: &[&'static str]) -> KeyAccess {
    let prefixes = |texts: &[&'static str]| texts.iter().map(|text| Bytes::from(*text)).collect();
    KeyAccess {
        allow: prefixes(allow),
        deny: prefixes(deny),
        prefix: Bytes::new(),
    }
}

fn within(prefix: &'static str) -> KeyAccess {
    KeyAccess {
        prefix: prefix.into(),
        ..access(&[], &[])
    }
}

fn admits(access: &KeyAccess, command: &mut Command) -> bool {
    access.enter(command, &Limits::REQUEST)
}

fn misc(function: &'static str, arguments: &[&'static str]) -> Command {
    Command::Misc {
        function: function.into(),
        options: 0,
        arguments: arguments.iter().map(|argument| (*argument).into()).collect(),
    }
}

#[test]
fn of_all_that_a_key_begins_with_the_longest_counts() {
    let some = access(&["a:", "b:x:open"], &["a:secret:", "b:x:"]);
    for key in ["a:", "a:1", "a:secret", "b:x:open1"] {
        assert!(some.allows(key.as_bytes()), "{key}");
    }
    for key in [
        "",
        "b",
        "b:",
        "a:secret:1",
        "b:x:1",
        "c",
        "timestamp.c",
        "timestamp.a:1",
    ] {
        assert!(!some.allows(key.as_bytes()), "{key}");
    }
    let all_but = access(&[], &["secret:"]);
    assert!(all_but.allows(b"") && all_but.allows(b"timestamp.a"));
    assert!(!all_but.allows(b"secret:") && !all_but.allows(b"timestamp.secret:1"));
    assert!(access(&["a"], &[""]).allows(b"ab") && !access(&["a"], &[""]).allows(b"b"));
    assert!(access(&[], &[]).is_open() && access(&[], &[]).allows(b"x"));
}

#[test]
fn every_key_that_a_command_names_counts() {
    let a = access(&["a"], &[]);
    let mget = |keys: &[&'static str]| Command::Mget {
        keys: keys.iter().map(|key| (*key).into()).collect(),
    };
    for mut command in [
        mget(&["a1", "a2"]),
        mget(&[]),
        misc("put", &["a", "b"]),
        misc("putlist", &["a", "b", "a2", "b"]),
        misc("outlist", &["a", "a2"]),
        misc("getlist\0x", &["a", "a2"]),
        misc("getpart", &["a", "0"]),
        misc("get", &[]),
        misc("sync", &[]),
        misc("error", &[]),
        Command::Rnum,
    ] {
        assert!(admits(&a, &mut command), "{command:?}");
    }
    for mut command in [
        mget(&["a1", "b"]),
        Command::Get { key: "b".into() },
        misc("putlist", &["a", "a", "b"]),
        misc("outlist", &["a", "b"]),
        misc("getlist", &["b"]),
        misc("putdupback", &["b", "a"]),
        misc("search", &[]),
        misc("regex", &["a"]),
        misc("vanish", &[]),
        misc("genuids", &[]),
        Command::Vanish,
        Command::IterNext,
    ] {
        assert!(!admits(&a, &mut command), "{command:?}");
    }
}

#[test]
fn every_key_of_a_request_gets_the_prefix_and_every_key_of_an_answer_loses_it() {
    let tenant = within("t:");
    for (mut command, entered) in [
        (Command::Get { key: "a".into() }, Command::Get { key: "t:a".into() }),
        (
            Command::FwmKeys {
                prefix: "".into(),
                max: 3,
            },
            Command::FwmKeys {
                prefix: "t:".into(),
                max: 3,
            },
        ),
        (
            misc("putlist", &["a", "1", "t:b", "t:"]),
            misc("putlist", &["t:a", "1", "t:t:b", "t:"]),
        ),
        (misc("outlist", &["", "b"]), misc("outlist", &["t:", "t:b"])),
        (misc("putcat", &["a", "b"]), misc("putcat", &["t:a", "b"])),
        (misc("getpart", &["a", "1"]), misc("getpart", &["t:a", "1"])),
        (misc("sync", &[]), misc("sync", &[])),
        (
            Command::Get {
                key: "timestamp.x".into(),
            },
            Command::Get {
                key: "t:timestamp.x".into(),
            },
        ),
    ] {
        assert!(admits(&tenant, &mut command));
        assert_eq!(command, entered);
    }
    for mut command in [
        misc("genuid", &[]),
        misc("error", &[]),
        misc("optimize", &[]),
        Command::Rnum,
        Command::Size,
        Command::Stat,
        Command::Vanish,
        Command::Copy { path: "/p".into() },
    ] {
        assert!(!admits(&tenant, &mut command), "{command:?}");
    }
    let list = misc("getlist", &["t:a"]);
    let strings = |texts: &[&'static str]| Reply::Strings {
        code: 0,
        strings: texts.iter().map(|text| (*text).into()).collect(),
    };
    assert_eq!(
        tenant.leave(&list, strings(&["t:a", "t:1"])),
        Some(strings(&["a", "t:1"]))
    );
    assert_eq!(tenant.leave(&list, strings(&["t:a", "1", "u:b", "2"])), None);
    let keys = |keys: &[&'static str]| Reply::Keys(keys.iter().map(|key| (*key).into()).collect());
    assert_eq!(
        tenant.leave(&Command::Rnum, keys(&["t:", "t:a"])),
        Some(keys(&["", "a"]))
    );
    assert_eq!(tenant.leave(&Command::Rnum, keys(&["t"])), None);
    assert_eq!(within("").leave(&Command::Rnum, keys(&["t"])), Some(keys(&["t"])));
}

#[test]
fn a_request_that_grows_beyond_the_limits_is_none() {
    let limits = Limits {
        argument_max: 4,
        frame_max: 10,
        ..Limits::REQUEST
    };
    let tenant = within("t:");
    let enter = |keys: &[&'static str]| {
        let mut command = Command::Mget {
            keys: keys.iter().map(|key| (*key).into()).collect(),
        };
        tenant.enter(&mut command, &limits)
    };
    assert!(enter(&["ab"]) && enter(&["ab", "ab", ""]));
    assert!(!enter(&["abc"]) && !enter(&["ab", "ab", "a"]));
}

#[test]
fn prefixes_that_could_show_the_same_record_are_known() {
    let overlap = |one, other| within(one).overlaps(&within(other));
    assert!(overlap("a", "ab") && overlap("ab", "a"));
    assert!(!overlap("a:", "ab:") && !overlap("a", "a") && !overlap("", "a") && !overlap("a", ""));
    assert!(within("time").reaches_records() && within("timestamp.a").reaches_records());
    assert!(!within("").reaches_records() && !within("tenant:").reaches_records());
}

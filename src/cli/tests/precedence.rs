//! Which layer wins.

use super::*;

/// One flag, its key in a file, and three values that differ: for the file, the variable and the flag.
struct Case {
    flag: &'static str,
    file: &'static str,
    values: [&'static str; 2],
}

const CASES: [Case; 38] = [
    Case {
        flag: "edge-of",
        file: "edge_of = [\"tyrant://a:1\"]",
        values: ["tyrant:/b, tyrant://c:3", "tyrant:/d"],
    },
    Case {
        flag: "claim",
        file: "claim = false",
        values: ["true", "false"],
    },
    Case {
        flag: "standby",
        file: "standby = true",
        values: ["false", "true"],
    },
    Case {
        flag: "listen",
        file: "listen = [\"a:1\"]",
        values: ["b:2, unix:/c", "d:4"],
    },
    Case {
        flag: "dialect",
        file: "dialect = \"pytyrant\"",
        values: ["tyrant", "pytyrant"],
    },
    Case {
        flag: "protocols",
        file: "protocols = [\"binary\"]",
        values: ["binary, http", "memcached,http"],
    },
    Case {
        flag: "allow",
        file: "allow = [\"repl\"]",
        values: ["setmst, restore", "all"],
    },
    Case {
        flag: "deny",
        file: "deny = [\"put\"]",
        values: ["allwrite, ext", "all"],
    },
    Case {
        flag: "allow-keys",
        file: "allow_keys = [\"a:\"]",
        values: ["b:, c:", "d:"],
    },
    Case {
        flag: "deny-keys",
        file: "deny_keys = [\"a:\"]",
        values: ["b:, c:", "d:"],
    },
    Case {
        flag: "prefix",
        file: "prefix = \"a:\"",
        values: ["b:", "c, d:"],
    },
    Case {
        flag: "networks",
        file: "networks = [\"10.0.0.0/8\"]",
        values: ["192.0.2.7, fd00::/8", "::1"],
    },
    Case {
        flag: "backend",
        file: "backend = \"tyrant://a:1\"",
        values: ["tyrant://b:2", "tyrant:/c.sock"],
    },
    Case {
        flag: "backend-tls-ca",
        file: "backend_tls.ca = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "backend-tls-cert",
        file: "backend_tls.cert = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "backend-tls-key",
        file: "backend_tls.key = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "backend-tls-server-name",
        file: "backend_tls.server_name = \"a\"",
        values: ["b", "::1"],
    },
    Case {
        flag: "admin",
        file: "admin = \"a:1\"",
        values: ["b:2", ""],
    },
    Case {
        flag: "admin-token-file",
        file: "admin_token_file = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "pid-file",
        file: "pid_file = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "drain-delay",
        file: "drain_delay = \"1s\"",
        values: ["2s", "3s"],
    },
    Case {
        flag: "drain-timeout",
        file: "drain_timeout = \"1s\"",
        values: ["2s", "3s"],
    },
    Case {
        flag: "log-file",
        file: "log.file = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "stamp-digits",
        file: "stamp.digits = 10",
        values: ["16", "19"],
    },
    Case {
        flag: "stamp-unit",
        file: "stamp.unit = \"s\"",
        values: ["us", "opaque"],
    },
    Case {
        flag: "mode",
        file: "guard.mode = \"observe\"",
        values: ["enforce", "observe"],
    },
    Case {
        flag: "ledger",
        file: "guard.ledger = \"record\"",
        values: ["inline", "record"],
    },
    Case {
        flag: "workers",
        file: "workers = 201",
        values: ["202", "203"],
    },
    Case {
        flag: "lanes",
        file: "lanes = 2",
        values: ["3", "4"],
    },
    Case {
        flag: "primed-lanes",
        file: "primed_lanes = 1",
        values: ["0", "2"],
    },
    Case {
        flag: "shared-puts",
        file: "shared_puts = \"off\"",
        values: ["hash", "all"],
    },
    Case {
        flag: "busy-poll",
        file: "busy_poll = \"100us\"",
        values: ["1ms", "2ms"],
    },
    Case {
        flag: "request-timeout",
        file: "pairing.request_timeout = \"3s\"",
        values: ["4s", "5s"],
    },
    Case {
        flag: "sync",
        file: "store.sync = \"interval\"",
        values: ["os", "interval"],
    },
    Case {
        flag: "copy-dir",
        file: "store.copy_dir = \"/a\"",
        values: ["/b", "/c"],
    },
    Case {
        flag: "log",
        file: "log.level = \"warn\"",
        values: ["debug", "trace"],
    },
    Case {
        flag: "stamp-source",
        file: "stamp.source = \"edge\"",
        values: ["client", "auto"],
    },
    Case {
        flag: "log-format",
        file: "log.format = \"json\"",
        values: ["text", "json"],
    },
];

/// What a flag cannot do without, in the file.
fn base(flag: &str) -> &'static str {
    match flag {
        "backend-tls-ca" => "backend = \"tyrants://h:1\"\n",
        "backend-tls-cert" => "backend = \"tyrants://h:1\"\nbackend_tls.ca = \"/\"\nbackend_tls.key = \"/\"\n",
        "backend-tls-key" => "backend = \"tyrants://h:1\"\nbackend_tls.ca = \"/\"\nbackend_tls.cert = \"/\"\n",
        "backend-tls-server-name" => "backend = \"tyrants://h:1\"\nbackend_tls.ca = \"/\"\n",
        _ => "",
    }
}

#[test]
fn a_flag_goes_before_its_variable_that_before_the_file_that_before_the_default() {
    for Case {
        flag,
        file,
        values: [variable_value, flag_value],
    } in CASES
    {
        let (flag_value, name) = (format!("--{flag}={flag_value}"), variable(flag));
        let (flags, env): (&[&str], &[_]) = (&[&flag_value], &[(name.as_str(), variable_value)]);
        let (base, file) = (base(flag), &format!("{}{file}", base(flag)));
        let by_file = settings(&[], &[], file);
        let by_variable = settings(&[], env, base);
        let by_flag = settings(flags, &[], base);
        assert_ne!(by_file, Settings::default(), "{flag}");
        assert_ne!(by_file, by_variable, "{flag}");
        assert_ne!(by_variable, by_flag, "{flag}");
        assert_eq!(settings(&[], env, file), by_variable, "{flag}");
        assert_eq!(settings(flags, env, file), by_flag, "{flag}");
        assert_eq!(settings(flags, &[], file), by_flag, "{flag}");
    }
}

#[test]
fn every_flag_of_serve_has_been_tried_and_is_explained() {
    let Ok(Invocation::Print { text }) = run(&["serve", "--help"], &[]) else {
        panic!("help")
    };
    let flags = text.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let mut flags: Vec<_> = flags.filter_map(|line| line.split(['[', ' ']).next()).collect();
    flags.sort_unstable();
    let mut tried: Vec<_> = CASES.iter().map(|case| case.flag).chain(["config"]).collect();
    tried.sort_unstable();
    assert_eq!(flags, tried);
    for flag in tried {
        assert!(text.contains(&variable(flag)), "{flag}");
    }
}

#[test]
fn a_switch_needs_no_value() {
    assert!(settings(&["--standby"], &[], "").standby);
    assert!(!settings(&["--claim=false"], &[], "").claim);
    let mistaken = run(&["serve", "--standby=perhaps"], &[]).expect_err("no value of it");
    assert!(mistaken.to_string().contains("allowed: true, false"), "{mistaken}");
}

#[test]
fn defaults_need_no_flag_and_the_file_may_be_named_by_a_variable() {
    assert_eq!(run(&["serve"], &[]), Ok(Invocation::Serve(Box::default())));
    let (one, two) = (written("lanes = 2"), written("lanes = 3"));
    let (one, two) = (
        one.path().to_str().expect("a path"),
        two.path().to_str().expect("a path"),
    );
    let lanes = |args: &[&str]| match run(args, &[("TTGUARD_CONFIG", one)]) {
        Ok(Invocation::Serve(settings)) => settings.lanes,
        other => panic!("{other:?}"),
    };
    assert_eq!(lanes(&["serve"]), 2);
    assert_eq!(lanes(&["serve", "--config", two]), 3);
}

#[test]
fn listen_as_a_flag_stands_in_for_every_listener_of_the_file() {
    let file = "listen = [\"a:1\"]\n[[listener]]\naddress = \"b:2\"\ndialect = \"pytyrant\"";
    assert_eq!(settings(&[], &[], file).listeners.len(), 2);
    assert_eq!(
        settings(&["--listen", "c:3"], &[], file),
        settings(&[], &[], "listen = [\"c:3\"]")
    );
}

mod generated;
mod mistakes;
mod pages;

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::guard::rules::{ExtMeaning, Mode, Policy};
use crate::guard::stamp::Unit;
use crate::protocol::Protocol;
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::tyrant::limits::Limits;

fn load(text: &str) -> Result<Settings, UsageError> {
    Settings::from_toml("t.toml", text)
}

/// The stamp's digits and unit that a file gives.
fn stamp(text: &str) -> (u8, Unit) {
    let stamp = load(text).expect(text).rules.stamp;
    (stamp.digits(), stamp.unit())
}

#[test]
fn every_shipped_file_loads_and_the_annotated_one_is_the_default() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut annotated = None;
    let listed = |folder| {
        fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
    };
    let (folders, files): (Vec<_>, Vec<_>) = listed(folder).partition(|path| path.is_dir());
    for path in folders.into_iter().flat_map(listed).chain(files) {
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).expect("a file");
            let settings = Settings::from_toml(&path.display().to_string(), &text).expect("valid settings");
            if path.ends_with("config/ttguard.toml") {
                annotated = Some((text, settings));
            }
        }
    }
    let (text, settings) = annotated.expect("config/ttguard.toml");
    assert_eq!(settings, Settings::default());
    let workers = format!("\nworkers = {}\n", settings.workers);
    assert_eq!(settings.to_toml().replace(&workers, "\n#workers = 1\n"), text);
}

#[test]
fn an_empty_file_is_the_default() {
    let settings = load("").expect("settings");
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.limits.request, Limits::REQUEST);
    assert!(settings.workers >= 1);
}

#[test]
fn the_digits_say_the_unit_and_the_unit_the_digits() {
    assert_eq!(stamp("[stamp]\ndigits = 10"), (10, Unit::Seconds));
    assert_eq!(stamp("[stamp]\ndigits = 16"), (16, Unit::Microseconds));
    assert_eq!(stamp("[stamp]\ndigits = 19"), (19, Unit::Nanoseconds));
    assert_eq!(stamp("[stamp]\nunit = \"us\""), (16, Unit::Microseconds));
    assert_eq!(stamp("[stamp]\nunit = \"opaque\""), (13, Unit::Opaque));
    assert_eq!(stamp("[stamp]\ndigits = 4\nunit = \"opaque\""), (4, Unit::Opaque));
    assert_eq!(stamp("[stamp]\ndigits = 14\nunit = \"ms\""), (14, Unit::Milliseconds));
    assert_eq!(stamp("[stamp]\ndigits = 13\nunit = \"s\""), (13, Unit::Seconds));
}

#[test]
fn every_key_is_read_and_printed() {
    let text = r#"
        listen = ["[::1]:1", "h:0", "h:0"]
        dialect = "pytyrant"
        protocols = ["http", "memcached"]
        allow = ["repl"]
        deny = ["allmc", "copy"]
        allow_keys = ["a:\u0000\"", "b:"]
        deny_keys = ["a:\u00e4"]
        prefix = "tenant \"A\":"
        networks = ["10.0.0.0/8", "fd00::/8"]
        edges = "any"
        http_hosts = ["tyrant.example"]
        backend = "tyrants://[::1]:7"
        backend_tls = { ca = "/b", cert = "/b.cert", key = "/b.key", server_name = "store.example" }
        admin = ""
        admin_keys = "hashed"
        admin_hosts = ["guard.example", "Guard-2"]
        admin_token_file = "/t.token"
        pid_file = "/t.pid"
        drain_delay = "1s"
        drain_timeout = "11s"
        workers = 3
        lanes = 64
        bulk_lanes = 3
        bulk_size = "7KiB"
        primed_lanes = 5
        shared_puts = "all"
        busy_poll = "9ms"
        tls = { cert = "/c", key = "/k", client_ca = "/a", allow_san = ["a.example", "*.example"] }
        claim = false
        claim_timeout = "3s"
        standby = true
        stamp = { digits = 16, unit = "us", source = "edge", mark = "|:", max_offset = "1s", column = "t\"s" }
        [[listener]]
        address = "unix:/run/a \"b\\c.sock"
        allow = ["setmst"]
        deny = ["get"]
        tls = { cert = "" }
        [[listener]]
        address = "[::1]:6"
        protocols = ["memcached"]
        allow = ["allmc", "restore"]
        deny = ["get", "repl"]
        allow_keys = ["c:"]
        deny_keys = ["a:b"]
        prefix = "B:"
        tls = { cert = "/c2", key = "/k2", client_ca = "" }
        networks = ["::1"]
        edges = "none"
        http_hosts = ["a", "b-2"]
        [guard]
        mode = "observe"
        ledger = "record"
        ledger_memory = 1048577
        tie = "greater"
        future_tolerance = "1h 30m"
        delete_tolerance = "1ns"
        unstamped = "refuse"
        stale_reply = "ok"
        verify_reads = false
        commands = { putcat = "refuse", putshl = "refuse", addint = "refuse", adddouble = "refuse", ext = "refuse", misc = "refuse" }
        ext = { put_ts = "put", "a.b\" '=#" = "putkeep", x = "out" }
        [pairing]
        pipelining = "forbid"
        request_timeout = "3s"
        slow_timeout = "4s"
        fence_timeout = "6s"
        start_hold = "0s"
        frame_timeout = "7s"
        frame_deadline = "11s"
        fail_fast_after = "12s"
        connect_timeout = "8s"
        [limits]
        argument = "1KiB"
        key = 100
        value = "200B"
        arguments = 2
        request = "4KiB"
        reply = "5KiB"
        sessions = 3
        sessions_per_client = 2
        session_rate = 8
        idle_timeout = "13s"
        pipeline = 4
        lane_queue = 5
        session_backlog = "6KiB"
        buffer_memory = "64KiB"
        heavy_rate = "7KiB"
        slow_connections = 7
        [store]
        sync = "os"
        sync_interval = "9s"
        copy_dir = "/backups"
        [log]
        level = "trace"
        format = "json"
        file = "/var/log/t.log"
    "#;
    let read = load(text).expect("settings");
    assert_eq!(load(&read.to_toml()), Ok(read.clone()));

    // The keys that do not go with all others.
    let alone = load("pid_file = \"/t.pid\"\ntakeover = true\ntakeover_kill = true").expect("settings");
    assert!(alone.takeover && alone.takeover_kill && load(&alone.to_toml()) == Ok(alone));

    let edge = load("edge_of = [\"tyrant://a:1\", \"tyrant:/b \\\"c\"]").expect("settings");
    assert!(edge.edge_of.len() == 2 && load(&edge.to_toml()) == Ok(edge));

    // Each key must have changed something, or it was not read.
    let (written, default) = (read.to_toml(), Settings::default().to_toml());
    let values = |text: &str| -> Vec<String> {
        let value = |line: &&str| {
            let alone = ["# ", "takeover", "edge_of"]
                .iter()
                .any(|begin| line.starts_with(begin));
            !alone && line.contains(" = ") && !line.contains("put_ts")
        };
        text.lines().filter(value).map(str::to_owned).collect()
    };
    let defaults = values(&default);
    for line in values(&written) {
        assert!(!defaults.contains(&line), "{line}");
    }

    assert_eq!(read.admin, None);
    assert_eq!(read.rules.mode, Mode::Observe);
    assert_eq!(read.rules.unordered.misc, Policy::Refuse);
    assert_eq!(read.rules.ext.get("a.b\" '=#"), Some(&ExtMeaning::PutKeep));
    assert_eq!(read.rules.future_tolerance, Duration::from_secs(5400));
    assert_eq!(read.limits.reply.argument_max, 5 << 10);
    assert_eq!(read.limits.request.arguments_max, 2);
    assert_eq!((read.limits.request.key_max, read.limits.request.value_max), (100, 200));
}

#[test]
fn keys_and_values_may_be_as_large_as_any_argument_unless_it_is_said() {
    let request = |text| load(text).expect(text).limits.request;
    let limits = request("limits.argument = \"1MiB\"");
    assert_eq!((limits.key_max, limits.value_max), (1 << 20, 1 << 20));
    let limits = request("[limits]\nargument = \"1MiB\"\nkey = \"1KiB\"");
    assert_eq!((limits.key_max, limits.value_max), (1 << 10, 1 << 20));
    assert_eq!(request(""), Limits::REQUEST);
}

#[test]
fn tables_stand_beside_listen_and_inherit_what_they_do_not_say() {
    let served = |text: &str| -> Vec<(String, Dialect, bool)> {
        let settings = load(text).expect(text);
        assert_eq!(load(&settings.to_toml()), Ok(settings.clone()));
        let one = |listener: &ListenerSettings| {
            (
                listener.address.to_string(),
                listener.dialect,
                listener.protocols.serve(Protocol::Http),
            )
        };
        settings.listeners.iter().map(one).collect()
    };
    let table = "[[listener]]\naddress = \"h:1\"\nprotocols = [\"binary\"]";
    let at = |address: &str, dialect, http| (address.to_owned(), dialect, http);
    assert_eq!(served(table), [at("h:1", Dialect::Tyrant, false)]);
    assert_eq!(
        served(&format!(
            "listen = [\"h:2\"]\ndialect = \"pytyrant\"\n{table}\ndialect = \"tyrant\""
        )),
        [at("h:2", Dialect::PyTyrant, true), at("h:1", Dialect::Tyrant, false)]
    );
    assert_eq!(
        served(&format!(
            "{table}\n[[listener]]\naddress = \"h:0\"\n[[listener]]\naddress = \"h:0\""
        )),
        [
            at("h:1", Dialect::Tyrant, false),
            at("h:0", Dialect::Tyrant, true),
            at("h:0", Dialect::Tyrant, true)
        ]
    );
    assert_eq!(served("listener = []"), [at("127.0.0.1:1978", Dialect::Tyrant, true)]);
}

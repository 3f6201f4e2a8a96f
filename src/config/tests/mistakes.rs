//! What is said about each kind of mistake.

use super::load;

/// A file with a mistake, and what the message must contain.
const MISTAKES: &[(&str, &[&str])] = &[
    ("lisen = []", &["t.toml:1: unknown key `lisen`", "`listen`", "`log`"]),
    (
        "\n[stamp]\nwidth = 1",
        &[
            "t.toml:3: unknown key `width`",
            "allowed: `digits`, `unit`, `source`, `mark`, `max_offset`, `column`",
        ],
    ),
    ("[guards]", &["t.toml:1: unknown key `guards`", "`guard`"]),
    (
        "[guard.commands]\nput = \"pass\"",
        &["t.toml:2: unknown key `put`", "`putcat`"],
    ),
    ("[guard]\ncommands.put = \"pass\"", &["t.toml:2: unknown key `put`"]),
    ("workers 4", &["t.toml:1: ", "allowed: "]),
    ("\n\nworkers = ", &["t.toml:3: ", "allowed: "]),
    ("a = \"\"\"x\n\n", &["t.toml:", "allowed: "]),
    ("lanes = 1\nlanes = 2", &["t.toml:2: duplicate key", "each key once"]),
    (
        "stamp = 13",
        &["t.toml:1: ", "integer `13`", "allowed: a table of keys"],
    ),
    ("[guard]\next = 1", &["t.toml:2: ", "allowed: a table of keys"]),
    (
        "listen = \"h:1\"",
        &[
            "t.toml:1: listen is \"h:1\"",
            "a list of at least one HOST:PORT or unix:/path",
        ],
    ),
    ("stamp = [13]", &["t.toml:1: ", "sequence", "allowed: a table of keys"]),
    ("\n[[log]]", &["t.toml:2: ", "sequence", "allowed: a table of keys"]),
    (
        "edge_of = \"tyrant://a:1\"",
        &[
            "t.toml:1: edge_of is \"tyrant://a:1\"",
            "allowed: a list of tyrant://HOST:PORT",
        ],
    ),
    (
        "edge_of = [\n7]",
        &["t.toml:2: edge_of is 7; allowed: tyrant://HOST:PORT, tyrants://"],
    ),
    (
        "edge_of = [\"tyrant://a:1\",\n\"memory:\"]",
        &[
            "t.toml:2: edge_of is \"memory:\", a store and no guard",
            "allowed: tyrant://HOST:PORT, tyrants://HOST:PORT or tyrant:/path/to.sock",
        ],
    ),
    (
        "edge_of = [\"file:/s\"]",
        &[
            "t.toml:1: edge_of is \"file:/s\", a store and no guard",
            "allowed: tyrant://",
        ],
    ),
    (
        "edge_of = [\"tyrant://a\"]",
        &[
            "t.toml:1: edge_of \"tyrant://a\" has no port",
            "allowed: tyrant://HOST:PORT",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\",\n\"tyrant://a:1\"]",
        &["t.toml:2: edge_of names tyrant://a:1 twice", "allowed: each guard once"],
    ),
    (
        "backend = \"tyrant://b:1\"\nedge_of = [\"tyrant://a:1\"]",
        &[
            "t.toml:2: edge_of and backend both say where requests go",
            "allowed: one of them",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\"]\nstandby = true",
        &[
            "t.toml:2: standby does nothing where edge_of",
            "in the settings of the guard",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\"]\nstamp.column = \"ts\"",
        &[
            "t.toml:2: stamp.column does nothing where edge_of",
            "in the settings of the guard",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\"]\n[guard]\nmode = \"observe\"",
        &[
            "t.toml:3: guard.mode does nothing where edge_of",
            "in the settings of the guard",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\"]\n[guard.commands]\nputcat = \"refuse\"",
        &[
            "t.toml:3: guard.commands.putcat does nothing where edge_of",
            "without edge_of",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\",\n\"tyrants://b:1\"]",
        &[
            "t.toml:1: edge_of is spoken to by TLS, and no authority is trusted",
            "allowed: backend_tls.ca with it",
        ],
    ),
    (
        "edge_of = [\"tyrant://a:1\"]\nbackend_tls.ca = \"/a\"",
        &[
            "t.toml:2: backend_tls.ca is for guards that are spoken to by TLS",
            "allowed: with edge_of = [\"tyrants://HOST:PORT\"]",
        ],
    ),
    (
        "edges = \"all\"",
        &["t.toml:1: edges is \"all\"", "allowed: none, known, any"],
    ),
    (
        "takeover_kill = true",
        &[
            "t.toml:1: takeover_kill has nobody to kill",
            "allowed: with takeover = true",
        ],
    ),
    (
        "takeover = true",
        &["t.toml:1: takeover needs to know whom", "allowed: with pid_file"],
    ),
    (
        "takeover = true\npid_file = \"/p\"\nbackend = \"file:/s\"",
        &[
            "t.toml:1: takeover cannot work with a store in a file",
            "or a tyrant: backend",
        ],
    ),
    (
        "admin_hosts = \"guard\"",
        &["t.toml:1: admin_hosts is \"guard\"", "a list of host names"],
    ),
    (
        "[[listener]]\naddress = \"h:0\"\nhttp_hosts = [\"a:80\"]",
        &[
            "t.toml:3: listener.http_hosts is \"a:80\"",
            "a host name, without a port",
        ],
    ),
    (
        "admin_hosts = [\"guard\",\n\"guard:9178\"]",
        &["t.toml:2: admin_hosts is \"guard:9178\"", "a host name, without a port"],
    ),
    (
        "takeover = true\npid_file = \"/p\"\ndrain_delay = \"1s\"",
        &["t.toml:3: ", "for all of drain_delay", "0s with takeover"],
    ),
    (
        "pid_file = \"p\"",
        &["t.toml:1: pid_file is \"p\"", "the absolute path of a file"],
    ),
    (
        "drain_timeout = \"0s\"",
        &["t.toml:1: drain_timeout is \"0s\"", "from 1ms to 1d"],
    ),
    ("listen = []", &["t.toml:1: listen is empty", "at least one"]),
    (
        "listen = [\n\"h:1\",\n\"h\"]",
        &["t.toml:3: listen \"h\" has no port", "HOST:PORT or unix:/path"],
    ),
    (
        "listen = [\"h:1\",\n\"h:1\"]",
        &["t.toml:2: listen names h:1 twice", "each address once"],
    ),
    (
        "dialect = \"perl\"",
        &["t.toml:1: dialect is \"perl\"", "allowed: tyrant, pytyrant"],
    ),
    (
        "protocols = []",
        &[
            "t.toml:1: protocols is a list of 0",
            "at least one of binary, memcached, http",
        ],
    ),
    (
        "protocols = \"http\"",
        &["t.toml:1: protocols is \"http\"", "a list of at least one"],
    ),
    (
        "protocols = [\n\"http\", \"gopher\"]",
        &["t.toml:2: protocols is \"gopher\"", "binary, memcached, http"],
    ),
    (
        "protocols = [\"http\", \"http\"]",
        &["t.toml:1: protocols names \"http\" twice", "each once"],
    ),
    (
        "allow = \"repl\"",
        &["t.toml:1: allow is \"repl\"", "a list of all, allorg, allmc", "repl"],
    ),
    (
        "deny = [\n\"slave\"]",
        &["t.toml:2: deny is \"slave\"", "allmanage, put, putkeep"],
    ),
    (
        "allow = [\"put\", \"get\"]\ndeny = [\"get\"]",
        &["t.toml:2: allow and deny both name get", "each name in one of them"],
    ),
    (
        "allow_keys = \"a:\"",
        &["t.toml:1: allow_keys is \"a:\"", "a list of texts that keys begin with"],
    ),
    (
        "deny_keys = [\n1]",
        &["t.toml:2: deny_keys is 1", "a list of texts that keys begin with"],
    ),
    (
        "allow_keys = [\"a\"]\ndeny_keys = [\"b\", \"a\"]",
        &[
            "t.toml:2: allow_keys and deny_keys both name \"a\"",
            "each prefix in one",
        ],
    ),
    (
        "tls = { cert = \"c\" }",
        &["t.toml:1: tls.cert is \"c\"", "the absolute path of a file"],
    ),
    (
        "\ntls.cert = \"/c\"",
        &["t.toml:2: tls.cert has no key", "allowed: tls.key with it"],
    ),
    (
        "[tls]\nkey = \"/k\"",
        &["t.toml:2: tls.key has no certificate", "allowed: tls.cert with it"],
    ),
    (
        "[[listener]]\naddress = \"h:1\"\ntls.client_ca = \"/a\"",
        &[
            "t.toml:3: listener.tls.client_ca needs TLS",
            "listener.tls.cert and listener.tls.key",
        ],
    ),
    (
        "[tls]\ncert = \"/c\"\nkey = \"/k\"\n[[listener]]\naddress = \"unix:/s\"",
        &[
            "t.toml:5: unix:/s cannot have TLS, as a Unix socket has none",
            "HOST:PORT with TLS, or a [[listener]] with tls.cert = \"\"",
        ],
    ),
    (
        "listen = [\"h:1\", \"unix:/s\"]\ntls = { cert = \"/c\", key = \"/k\" }",
        &["t.toml:1: unix:/s cannot have TLS", "a [[listener]] with"],
    ),
    (
        "[[listener]]\naddress = \"unix:/s\"\ntls = { cert = \"/c\", key = \"/k\" }",
        &["t.toml:2: unix:/s cannot have TLS", "HOST:PORT with TLS"],
    ),
    (
        "[tls]\ncert = \"/c\"\nkey = \"/k\"\nclient_ca = \"/a\"",
        &[
            "t.toml:4: tls.client_ca would let in whoever has any certificate",
            "tls.allow_san with it: names such as",
            "\"*\" alone for any",
        ],
    ),
    (
        "tls = { cert = \"/c\", key = \"/k\", client_ca = \"/a\", allow_san = [\"*\"] }\n\
         [[listener]]\naddress = \"h:1\"\ntls.allow_san = []",
        &[
            "t.toml:4: listener.tls.client_ca would let in",
            "listener.tls.allow_san with it",
        ],
    ),
    (
        "[tls]\ncert = \"/c\"\nkey = \"/k\"\nallow_san = [\"a\"]",
        &[
            "t.toml:4: tls.allow_san is about certificates that",
            "tls.client_ca with it",
        ],
    ),
    (
        "[tls]\nallow_san = [\"a\",\n\"10.0.0.1\"]",
        &["t.toml:3: tls.allow_san is \"10.0.0.1\"", "a list of names such as"],
    ),
    (
        "[tls]\nallow_san = [\"a\", \"*\"]",
        &["t.toml:2: tls.allow_san has \"*\" beside others", "alone for any"],
    ),
    (
        "[tls]\npem = \"\"",
        &["t.toml:2: unknown key `pem`", "`cert`, `key`, `client_ca`"],
    ),
    ("prefix = 1", &["t.toml:1: prefix is 1", "a text of at most 255 bytes"]),
    (
        "\nprefix = \"time\"",
        &[
            "t.toml:2: prefix could name the records timestamp.KEY",
            "a prefix that does not",
        ],
    ),
    (
        "listen = [\"h:1\"]\nprefix = \"a\"\n[[listener]]\naddress = \"h:2\"\nprefix = \"ab\"",
        &[
            "t.toml:4: prefix \"ab\" and prefix \"a\" overlap",
            "none of which begins with another",
        ],
    ),
    (
        "networks = \"10.0.0.0/8\"",
        &["t.toml:1: networks is \"10.0.0.0/8\"", "a list of networks such as"],
    ),
    (
        "networks = [\n\"10.0.0.1/8\"]",
        &["t.toml:2: networks is \"10.0.0.1/8\"", "the bits behind the prefix 0"],
    ),
    (
        "listener = 1",
        &[
            "t.toml:1: ",
            "integer `1`",
            "allowed: tables of keys, each under its own [[...]]",
        ],
    ),
    (
        "listener = [1]",
        &["t.toml:1: ", "integer `1`", "allowed: a table of keys"],
    ),
    (
        "[listener]\naddress = \"h:1\"",
        &[
            "t.toml:1: ",
            "map",
            "allowed: tables of keys, each under its own [[...]]",
        ],
    ),
    (
        "\n[[listener]]\ndialect = \"tyrant\"",
        &[
            "t.toml:2: a listener has no address",
            "address = HOST:PORT or unix:/path",
        ],
    ),
    (
        "[[listener]]\nadress = \"h:1\"",
        &["t.toml:2: unknown key `adress`", "`address`"],
    ),
    (
        "listen = [\"h:1\"]\n[[listener]]\naddress = \"h:1\"",
        &["t.toml:3: listener.address names h:1 twice", "each address once"],
    ),
    (
        "[[listener]]\naddress = \"h:1\"\ndialect = 1",
        &["t.toml:3: listener.dialect is 1", "tyrant, pytyrant"],
    ),
    ("listen = [1978]", &["t.toml:1: listen is 1978", "HOST:PORT"]),
    (
        "backend = \"redis://h:1\"",
        &[
            "t.toml:1: backend \"redis://h:1\" is no backend",
            "memory:, file:PATH, tyrant://HOST:PORT",
        ],
    ),
    (
        "backend = \"tyrants:/s\"",
        &[
            "t.toml:1: backend \"tyrants:/s\" has no // before",
            "tyrants://HOST:PORT",
        ],
    ),
    (
        "backend = \"tyrants://h:1\"",
        &[
            "t.toml:1: backend is spoken to by TLS, and no authority is trusted",
            "allowed: backend_tls.ca with it",
        ],
    ),
    (
        "backend = \"tyrant://h:1\"\n[backend_tls]\nca = \"/a\"",
        &[
            "t.toml:3: backend_tls.ca is for a backend that is spoken to by TLS",
            "with backend = \"tyrants://HOST:PORT\"",
        ],
    ),
    (
        "backend = \"tyrants://h:1\"\n[backend_tls]\nca = \"/a\"\ncert = \"/c\"",
        &["t.toml:4: backend_tls.cert has no key", "backend_tls.key with it"],
    ),
    (
        "backend = \"tyrants://h:1\"\n[backend_tls]\nca = \"/a\"\nkey = \"/k\"",
        &[
            "t.toml:4: backend_tls.key has no certificate",
            "backend_tls.cert with it",
        ],
    ),
    (
        "backend = \"tyrants://h:1\"\n[backend_tls]\nca = \"a\"",
        &["t.toml:3: backend_tls.ca is \"a\"", "the absolute path of a file"],
    ),
    (
        "backend = \"tyrants://h:1\"\n[backend_tls]\nca = \"/a\"\nserver_name = \"a b\"",
        &[
            "t.toml:4: backend_tls.server_name is \"a b\"",
            "a host name or an address",
        ],
    ),
    ("backend = true", &["t.toml:1: backend is true", "memory:"]),
    (
        "admin = \"h\"",
        &["t.toml:1: admin \"h\" has no port", "HOST:PORT, or nothing"],
    ),
    ("admin = false", &["t.toml:1: admin is false", "HOST:PORT, or nothing"]),
    (
        "workers = 0",
        &["t.toml:1: workers is 0", "a whole number from 1 to 256"],
    ),
    ("workers = -1", &["t.toml:1: workers is -1", "1 to 256"]),
    (
        "workers = 1.5",
        &["t.toml:1: workers is a number with a fraction", "1 to 256"],
    ),
    ("workers = 99999999999999999999", &["t.toml:1: ", "allowed: "]),
    ("workers = 2020-01-01", &["t.toml:1: workers is a table or a date"]),
    ("lanes = 65", &["t.toml:1: lanes is 65", "1 to 64"]),
    ("lanes = \"\"", &["t.toml:1: lanes is \"\"", "1 to 64"]),
    ("stamp.digits = 20", &["t.toml:1: stamp.digits is 20", "1 to 19"]),
    (
        "stamp.digits = 12",
        &[
            "t.toml:1: stamp.digits is 12, which means no unit",
            "13 (ms)",
            "s, ms, us, ns, opaque",
        ],
    ),
    (
        "stamp.source = \"edge\"\nstamp.digits = 13",
        &[
            "t.toml:2: stamp.digits is 13, and the stamps that ttguard gives have 16",
            "allowed: 16, or stamp.source client",
        ],
    ),
    (
        "stamp.source = \"edge\"\nstamp.unit = \"ms\"",
        &["t.toml:2: stamp.unit is ms", "allowed: us, or stamp.source client"],
    ),
    (
        "stamp.source = \"edge\"\nstamp.mark = \"123\"",
        &[
            "t.toml:2: stamp.mark is \"123\"",
            "1 to 8 bytes of text, the first of them no digit",
        ],
    ),
    (
        "stamp.mark = \"#\"",
        &[
            "t.toml:1: stamp.mark does nothing where clients give the stamps",
            "with stamp.source = \"edge\"",
        ],
    ),
    (
        "stamp.source = \"guard\"",
        &["t.toml:1: stamp.source is \"guard\"", "auto, client, edge"],
    ),
    (
        "stamp.column = \"a\\u0000b\"",
        &["t.toml:1: stamp.column is \"a\\u{0}b\"", "a column's name"],
    ),
    (
        "stamp.unit = \"min\"",
        &["t.toml:1: stamp.unit is \"min\"", "s, ms, us, ns, opaque"],
    ),
    (
        "[stamp]\nunit = \"ms\"\ndigits = 12",
        &[
            "t.toml:3: stamp.digits is 12, too few for the time in ms",
            "13 to 19, or stamp.unit opaque",
        ],
    ),
    (
        "guard.mode = \"Enforce\"",
        &["t.toml:1: guard.mode is \"Enforce\"", "allowed: enforce, observe"],
    ),
    (
        "guard.mode = [1, 2]",
        &["t.toml:1: guard.mode is a list of 2", "enforce, observe"],
    ),
    (
        "guard.ledger = \"\"",
        &["t.toml:1: guard.ledger is \"\"", "inline, record"],
    ),
    (
        "guard.ledger_memory = \"1KiB\"",
        &["guard.ledger_memory is \"1KiB\"", "from 64KiB to 1TiB"],
    ),
    (
        "guard.ledger_memory = \"12 apples\"",
        &["guard.ledger_memory is \"12 apples\"", "a size such as"],
    ),
    (
        "guard.tie = \"newest\"",
        &["guard.tie is \"newest\"", "last, first, greater"],
    ),
    (
        "guard.future_tolerance = \"366d\"",
        &["guard.future_tolerance is \"366d\"", "from 0s to 365d"],
    ),
    (
        "guard.delete_tolerance = 1",
        &["guard.delete_tolerance is 1", "a duration such as"],
    ),
    (
        "guard.unstamped = \"drop\"",
        &["guard.unstamped is \"drop\"", "pass, refuse"],
    ),
    (
        "guard.stale_reply = \"no\"",
        &["guard.stale_reply is \"no\"", "error, ok"],
    ),
    ("shared_puts = \"some\"", &["shared_puts is \"some\"", "off, hash, all"]),
    (
        "guard.verify_reads = \"yes\"",
        &["guard.verify_reads is \"yes\"", "true, false"],
    ),
    (
        "guard.ext.f = \"get\"",
        &["t.toml:1: guard.ext.\"f\" is \"get\"", "allowed: put, putkeep, out"],
    ),
    (
        "guard.ext.\"\" = \"put\"",
        &["t.toml:1: \"\" is no function's name", "1 to 1023 bytes"],
    ),
    (
        "guard.ext.\"a\\nb\" = \"put\"",
        &["t.toml:1: \"a\\nb\" is no function's name"],
    ),
    ("pairing.pipelining = 0", &["pairing.pipelining is 0", "allow, forbid"]),
    (
        "pairing.request_timeout = \"2 parsecs\"",
        &["request_timeout is \"2 parsecs\"", "from 1ms to 1d"],
    ),
    (
        "pairing.request_timeout = \"11m\"",
        &[
            "t.toml:1: ",
            "request_timeout is 11m",
            "at most pairing.slow_timeout, which is 10m",
        ],
    ),
    (
        "pairing.slow_timeout = \"1s\"",
        &[
            "t.toml:1: ",
            "slow_timeout is 1s",
            "at least pairing.request_timeout, which is 2s",
        ],
    ),
    (
        "pairing.fence_timeout = \"0s\"",
        &["pairing.fence_timeout is \"0s\"", "from 1ms to 1h"],
    ),
    (
        "pairing.start_hold = \"11m\"",
        &["pairing.start_hold is \"11m\"", "from 0s to 10m"],
    ),
    (
        "pairing.frame_timeout = \"\"",
        &["pairing.frame_timeout is \"\"", "from 1ms to 1h"],
    ),
    (
        "pairing.frame_deadline = \"0s\"",
        &["pairing.frame_deadline is \"0s\"", "from 1ms to 1d"],
    ),
    (
        "pairing.fail_fast_after = \"2h\"",
        &["pairing.fail_fast_after is \"2h\"", "from 0s to 1h"],
    ),
    (
        "pairing.connect_timeout = \"6m\"",
        &["pairing.connect_timeout is \"6m\"", "from 1ms to 5m"],
    ),
    (
        "limits.argument = \"257MiB\"",
        &["limits.argument is \"257MiB\"", "from 1KiB to 256MiB"],
    ),
    (
        "limits.argument = \"65MiB\"",
        &["limits.argument is 65MiB", "at most limits.request, which is 64MiB"],
    ),
    ("limits.key = 0", &["t.toml:1: limits.key is 0", "from 1B to 256MiB"]),
    (
        "[limits]\nargument = \"1MiB\"\nkey = \"2MiB\"",
        &["t.toml:3: limits.key is 2MiB", "at most limits.argument, which is 1MiB"],
    ),
    (
        "limits.value = \"33MiB\"",
        &["limits.value is 33MiB", "at most limits.argument, which is 32MiB"],
    ),
    (
        "limits.request = \"16MiB\"",
        &[
            "t.toml:1: limits.request is 16MiB",
            "at least limits.argument, which is 32MiB",
        ],
    ),
    (
        "limits.buffer_memory = \"1MiB\"",
        &[
            "limits.buffer_memory is 1MiB",
            "at least limits.request, which is 64MiB",
        ],
    ),
    (
        "limits.arguments = 1048577",
        &["limits.arguments is 1048577", "1 to 1048576"],
    ),
    (
        "limits.reply = \"1KiB\"",
        &["limits.reply is \"1KiB\"", "from 4KiB to 4GiB"],
    ),
    ("limits.sessions = 0", &["limits.sessions is 0", "1 to 1000000"]),
    (
        "limits.sessions_per_client = 0",
        &["limits.sessions_per_client is 0", "1 to 1000000"],
    ),
    (
        "limits.session_rate = -1",
        &["limits.session_rate is -1", "0 to 1000000"],
    ),
    (
        "limits.idle_timeout = \"8d\"",
        &["limits.idle_timeout is \"8d\"", "from 0s to 7d"],
    ),
    ("limits.pipeline = 0", &["limits.pipeline is 0", "1 to 1048576"]),
    ("limits.lane_queue = 3", &["limits.lane_queue is 3", "4 to 1048576"]),
    (
        "limits.session_backlog = 0",
        &["limits.session_backlog is 0", "from 4KiB to 4GiB"],
    ),
    (
        "limits.heavy_rate = \"5GiB\"",
        &["limits.heavy_rate is \"5GiB\"", "from 0B to 4GiB"],
    ),
    (
        "limits.slow_connections = 257",
        &["limits.slow_connections is 257", "1 to 256"],
    ),
    (
        "log.level = \"loud\"",
        &["log.level is \"loud\"", "error, warn, info, debug, trace"],
    ),
    ("log.format = \"xml\"", &["log.format is \"xml\"", "text, json"]),
];

#[test]
fn each_mistake_is_one_line_with_what_where_and_what_is_allowed() {
    for (text, expected) in MISTAKES {
        let line = load(text).expect_err(text).to_string();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with("t.toml:") && line.contains("; allowed: "), "{line}");
        for part in *expected {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }
}

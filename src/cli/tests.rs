mod precedence;

use std::collections::BTreeMap;
use std::io::Write;

use super::*;
use clap::CommandFactory;

use crate::guard::stamp::Unit;
use crate::manual::{PAGES, Page};

fn run(args: &[&str], env: &[(&str, &str)]) -> Result<Invocation, UsageError> {
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    let args = std::iter::once("ttguard")
        .chain(args.iter().copied())
        .map(OsString::from);
    parse(args, |name| env.get(name).map(|value| (*value).to_owned()))
}

/// The settings of `serve` with these flags, variables and this file.
fn settings(flags: &[&str], env: &[(&str, &str)], file: &str) -> Settings {
    let file = written(file);
    let path = file.path().to_str().expect("a path");
    let args = [&["serve", "--config", path], flags].concat();
    match run(&args, env) {
        Ok(Invocation::Serve(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("room");
    file
}

fn refused(args: &[&str], env: &[(&str, &str)]) -> String {
    let line = run(args, env).expect_err("a mistake").to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("; allowed: "), "{line}");
    line
}

#[test]
fn digits_never_fall_under_a_unit_that_was_written_for_others() {
    let file = written("[stamp]\nunit = \"ms\"");
    let path = file.path().to_str().expect("a path");
    let serve = ["serve", "--config", path, "--stamp-digits"];
    let line = refused(&[&serve[..], &["16"]].concat(), &[]);
    assert!(line.starts_with("--stamp-digits: stamp.digits is 16, but "), "{line}");
    assert!(
        line.contains(&format!("{path}:2 says stamp.unit ms")) && line.contains("allowed: 13, or"),
        "{line}"
    );
    let line = refused(&["serve", "--stamp-digits", "16"], &[("TTGUARD_STAMP_UNIT", "ms")]);
    assert!(line.contains("TTGUARD_STAMP_UNIT says stamp.unit ms"), "{line}");
    let line = refused(&["serve", "--config", path], &[("TTGUARD_STAMP_DIGITS", "10")]);
    assert!(line.starts_with("TTGUARD_STAMP_DIGITS: "), "{line}");

    let stamp = |flags: &[&str], file| {
        let stamp = settings(flags, &[], file).rules.stamp;
        (stamp.digits(), stamp.unit())
    };
    let wide = ["--stamp-digits", "16", "--stamp-unit", "ms"];
    assert_eq!(stamp(&wide, "stamp.unit = \"s\""), (16, Unit::Milliseconds));
    assert_eq!(stamp(&wide[2..], "stamp.digits = 16"), (16, Unit::Milliseconds));
    assert_eq!(stamp(&wide[..2], "stamp.unit = \"us\""), (16, Unit::Microseconds));
    assert_eq!(stamp(&wide[..2], "stamp.unit = \"opaque\""), (16, Unit::Opaque));
    assert_eq!(stamp(&wide[..2], "stamp.digits = 13"), (16, Unit::Microseconds));
}

/// Arguments, variables, and what the message must contain.
type Mistake<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn each_mistake_is_one_line_with_what_where_and_what_is_allowed() {
    let lanes = &[("TTGUARD_LANES", "0")];
    let listen = &[("TTGUARD_LISTEN", "a:1,,b:2")];
    let config = &[("TTGUARD_CONFIG", "/nowhere/at all")];
    let cases: &[Mistake] = &[
        (
            &[],
            &[],
            &[
                "ttguard: no subcommand",
                "serve, check, bench, import, export, verify, gc, stamp, unstamp, inspect, top, demo",
            ],
        ),
        (
            &["sevre"],
            &[],
            &[
                "ttguard: unknown subcommand \"sevre\"",
                "serve, check, bench, import, export, verify, gc, stamp, unstamp, inspect, top, demo",
            ],
        ),
        (
            &["--mode", "observe"],
            &[],
            &[
                "--mode: unknown flag",
                "serve, check, bench, import, export, verify, gc, stamp, unstamp, inspect, top, demo",
            ],
        ),
        (
            &["serve", "--modes", "x"],
            &[],
            &["--modes: unknown flag", "--mode, ", "--log-format"],
        ),
        (&["serve", "-x"], &[], &["-x: unknown flag", "--listen"]),
        (&["serve", "x\ny"], &[], &["\"x\\ny\": belongs to no flag", "--listen"]),
        (&["serve", "--mode"], &[], &["--mode: has no value", "--mode <MODE>"]),
        (
            &["serve", "--mode", "--lanes", "1"],
            &[],
            &["--mode: has no value", "--mode <MODE>"],
        ),
        (
            &["serve", "--lanes", "1", "--lanes", "2"],
            &[],
            &["--lanes: given more than once", "once"],
        ),
        (
            &["serve", "--lanes", "-1"],
            &[],
            &["--lanes: lanes is \"-1\"", "1 to 64"],
        ),
        (&["serve", "--lanes="], &[], &["--lanes: lanes is \"\"", "1 to 64"]),
        (
            &["serve", "--workers", "all"],
            &[],
            &["--workers: workers is \"all\"", "1 to 256"],
        ),
        (
            &["serve", "--listen", "a:1", "--listen", "b"],
            &[],
            &["--listen: listen \"b\" has no port", "HOST:PORT or unix:/path"],
        ),
        (
            &["serve", "--backend", "b:x"],
            &[],
            &[
                "--backend: backend \"b:x\" is no backend",
                "memory:, file:PATH, tyrant://HOST:PORT",
            ],
        ),
        (
            &["serve", "--stamp-unit", "m"],
            &[],
            &["--stamp-unit: stamp.unit is \"m\"", "s, ms, us, ns, opaque"],
        ),
        (
            &["serve", "--stamp-digits", "12"],
            &[],
            &["--stamp-digits: stamp.digits is 12", "13 (ms)"],
        ),
        (
            &["serve", "--mode", "off\n"],
            &[],
            &["--mode: guard.mode is \"off\\n\"", "enforce, observe"],
        ),
        (
            &["serve", "--request-timeout", "2"],
            &[],
            &["--request-timeout: ", "is \"2\"", "from 1ms to 1d"],
        ),
        (
            &["serve", "--request-timeout", "20m"],
            &[],
            &["--request-timeout: ", "at most pairing.slow_timeout, which is 10m"],
        ),
        (
            &["serve", "--log", "5"],
            &[],
            &["--log: log.level is \"5\"", "error, warn"],
        ),
        (&["serve"], lanes, &["TTGUARD_LANES: lanes is \"0\"", "1 to 64"]),
        (
            &["serve"],
            listen,
            &["TTGUARD_LISTEN: listen \"\" has no port", "HOST:PORT"],
        ),
        (
            &["serve"],
            config,
            &["TTGUARD_CONFIG: cannot read \"/nowhere/at all\"", "a readable file"],
        ),
        (
            &["serve", "--config", "/"],
            config,
            &["--config: cannot read \"/\"", "a readable file"],
        ),
        (&["check"], &[], &["--config: no file named", "--config FILE"]),
        (
            &["check", "--mode", "observe"],
            &[],
            &["--mode: unknown flag", "allowed: --config, --running, --help"],
        ),
        (
            &["bench", "--mix", "put"],
            &[],
            &["--mix: mix is \"put\"", "VERB=SHARE"],
        ),
        (
            &["bench", "--rate", "0"],
            &[],
            &["--rate: rate is \"0\"", "1 to 10000000"],
        ),
        (
            &["bench", "--target", "x"],
            &[],
            &["--target: target \"x\" has no port", "HOST:PORT or unix:/path"],
        ),
        (
            &["bench", "--compare", "tcp://h:0"],
            &[],
            &["--compare: compare h:0 has port 0", "HOST:PORT"],
        ),
        (
            &["bench", "--connections", "2", "--threads", "3"],
            &[],
            &["--threads: threads is 3", "at most connections, which is 2"],
        ),
        (&["bench", "--rounds", "3"], &[], &["--rounds: ", "with --compare"]),
        (&["bench", "--late-by", "1s"], &[], &["--late-by: ", "with --late"]),
        (
            &["bench", "--requests", "1", "--duration", "1s"],
            &[],
            &["--requests: given with --duration", "one of the two"],
        ),
        (
            &["bench", "--value-size", "31"],
            &[],
            &["--value-size: value-size is \"31\"", "from 32B to 16MiB"],
        ),
        (&["bench", "h:1"], &[], &["\"h:1\": belongs to no flag", "--target, "]),
        (&["import", "h:1"], &[], &["without <FILE>", "<URL>, <FILE>, --escape"]),
        (
            &["export", "h", "f"],
            &[],
            &["URL: \"h\" has no port", "tyrant://HOST:PORT"],
        ),
        (&["demo", "now"], &[], &["\"now\": belongs to no flag", "--help"]),
    ];
    for (args, env, expected) in cases {
        let line = refused(args, env);
        for part in *expected {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }
}

#[test]
#[cfg(unix)]
fn a_word_that_is_no_text_is_refused_in_one_line() {
    use std::os::unix::ffi::OsStringExt;
    let args = [
        "ttguard".into(),
        "serve".into(),
        "--mode".into(),
        OsString::from_vec(vec![0xff]),
    ];
    let line = parse(args, |_| None).expect_err("a mistake").to_string();
    assert_eq!(line, "the command line: a word that is no text; allowed: UTF-8");
}

#[test]
fn check_prints_what_serve_would_use() {
    let file = written("lanes = 7\nguard.mode = \"observe\"");
    let path = file.path().to_str().expect("a path");
    let env = [("TTGUARD_WORKERS", "9")];
    let (Ok(Invocation::Check(text)), Ok(Invocation::Serve(served))) = (
        run(&["check", "--config", path], &env),
        run(&["serve", "--config", path], &env),
    ) else {
        panic!("both are valid")
    };
    assert_eq!(Settings::from_toml("printed", &text), Ok(*served));
    let mistaken = written("lanes = 7\nlane = 1");
    let path = mistaken.path().to_str().expect("a path");
    let line = refused(&["check", "--config", path], &[]);
    assert!(
        line.starts_with(&format!(
            "{path}:2: unknown key `lane`, did you mean `lanes`?; allowed: "
        )),
        "{line}"
    );
}

#[test]
fn bench_takes_what_it_is_given_and_has_defaults_for_the_rest() {
    use crate::config::{Address, Comparison, End};
    let bench = |flags: &[&str]| match run(&[&["bench"], flags].concat(), &[("TTGUARD_LANES", "x")]) {
        Ok(Invocation::Bench(settings)) => *settings,
        other => panic!("{other:?}"),
    };
    let settings = bench(&[
        "--target",
        "tcp://h:1",
        "--compare",
        "unix:/t.sock",
        "--requests",
        "7",
        "--rate",
        "9",
    ]);
    assert_eq!(settings.target, Address::Tcp("h:1".to_owned()));
    let address = Address::Unix("/t.sock".into());
    assert_eq!(settings.compare, Some(Comparison { address, rounds: 5 }));
    assert_eq!((settings.load.end, settings.load.rate), (End::Requests(7), Some(9)));
    let load = bench(&[]).load;
    assert_eq!(
        load.to_string(),
        "closed loop, 8 connections on 1 thread, put=50,get=50, 100000 keys uniform, values of 32B, 10s after 1s of \
         warm-up"
    );
}

#[test]
fn check_says_what_a_reload_would_say() {
    let (running, new) = (written("lanes = 7"), written("lanes = 8\nguard.mode = \"observe\""));
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().expect("a path").to_owned();
    let (running, new) = (path(&running), path(&new));
    let line = refused(&["check", "--config", &new, "--running", &running], &[]);
    assert_eq!(
        line,
        format!(
            "{new}: cannot change while ttguard runs: lanes; allowed: a reload that leaves these as they are, or a restart"
        )
    );
    assert!(run(&["check", "--config", &new, "--running", &new], &[]).is_ok());
    let line = refused(&["check", "--config", &new, "--running", "/nowhere/at/all"], &[]);
    assert!(line.starts_with("--running: cannot read \"/nowhere/at/all\""), "{line}");
}

#[test]
fn check_says_that_admin_would_be_open_to_all() {
    let (open, guarded) = (
        written("admin = \"0.0.0.0:1\""),
        written("admin = \"0.0.0.0:1\"\nadmin_token_file = \"/t\""),
    );
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().expect("a path").to_owned();
    let (open, guarded) = (path(&open), path(&guarded));
    let line = refused(&["check", "--config", &open], &[]);
    assert!(
        line.starts_with("admin: 0.0.0.0:1 can be reached from other machines"),
        "{line}"
    );
    assert!(run(&["check", "--config", &guarded], &[]).is_ok());
    let token = [("TTGUARD_ADMIN_TOKEN", "0123456789abcdef")];
    assert!(run(&["check", "--config", &open], &token).is_ok());
}

#[test]
fn shells_and_manuals_are_told_every_command() {
    let printed = |args: &[&str]| match run(args, &[]) {
        Ok(Invocation::Print { text }) => text,
        other => panic!("{args:?}: {other:?}"),
    };
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        assert!(
            script.contains("ttguard") && script.contains("drain-timeout"),
            "{shell}"
        );
    }
    assert!(printed(&["man", "ttguard"]).contains("completions"));
    assert!(printed(&["man", "serve"]).contains("drain\\-timeout"));
    for (args, expected) in [
        (&["completions"][..], "completions: no shell named; allowed: bash, "),
        (
            &["completions", "dos"],
            "completions: \"dos\" is no shell; allowed: bash, ",
        ),
        (
            &["man", "woman"],
            "man: \"woman\" is no topic and no command; allowed: guard, clients, ",
        ),
    ] {
        let line = refused(args, &[]);
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn the_manual_is_printed_by_topic_and_lists_what_it_has() {
    let printed = |args: &[&str]| match run(args, &[]) {
        Ok(Invocation::Print { text }) => text,
        other => panic!("{args:?}: {other:?}"),
    };
    let list = printed(&["man"]);
    for page in PAGES {
        assert!(list.contains(&format!("  {} ", page.topic)), "{}", page.topic);
        assert_eq!(printed(&["man", page.topic]), page.plain());
    }
    let commands = list.lines().last().expect("the commands");
    for command in CommandLine::command().get_subcommands() {
        let name = command.get_name();
        assert!(Page::on(name).is_none(), "{name} is a topic and a command");
        assert!(commands.contains(name), "{name} is not listed");
        // What man reads begins with its macros.
        assert!(printed(&["man", name]).contains("\n.TH "), "{name}");
    }
}

/// The lines of a text that are to be typed into a shell, without their comments.
fn typed(text: &str) -> impl Iterator<Item = &str> {
    let mut in_shell = false;
    let inside = move |line: &&str| {
        if line.starts_with("```") {
            in_shell = *line == "```sh";
        }
        in_shell
    };
    text.lines()
        .filter(inside)
        .map(|line| line.split(" #").next().unwrap_or(line).trim())
}

#[test]
fn what_the_manual_has_people_type_is_understood() {
    let readme = include_str!("../../README.md");
    let mut count = 0;
    for text in PAGES.iter().map(|page| page.text).chain([readme]) {
        for line in typed(text) {
            let line = line.replace("cargo run --release --", "ttguard");
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.first() != Some(&"ttguard") {
                continue;
            }
            let parsed = CommandLine::try_parse_from(&words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().expect("a mistake"));
            count += 1;
        }
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn help_version_and_demo_are_no_mistakes() {
    for args in [&["--help"][..], &["serve", "--help"], &["help", "check"], &["-h"]] {
        assert!(
            matches!(run(args, &[]), Ok(Invocation::Print { text }) if text.contains("Usage: ttguard")),
            "{args:?}"
        );
    }
    let text = format!("ttguard {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"], &[]), Ok(Invocation::Print { text }));
    assert_eq!(run(&["demo"], &[]), Ok(Invocation::Demo));
}

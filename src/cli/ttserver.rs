//! A command line as `ttserver` has it, for those who type what they have typed for years: what it is here.

use std::ffi::OsString;

use crate::config::UsageError;

/// How many values an option of `ttserver` 1.1.41 takes, and what stands for it here.
#[derive(Clone, Copy)]
enum Meaning {
    Host,
    Port,
    /// A flag with the value.
    Flag(&'static str),
    /// These words, without a value.
    Words(&'static str),
    /// It stays with the server, or with whatever starts services; so many values.
    Elsewhere(usize),
}

const OPTIONS: [(&str, Meaning); 24] = [
    ("-host", Meaning::Host),
    ("-port", Meaning::Port),
    ("-thnum", Meaning::Flag("--workers")),
    ("-tout", Meaning::Elsewhere(1)),
    ("-dmn", Meaning::Elsewhere(0)),
    ("-pid", Meaning::Flag("--pid-file")),
    ("-kl", Meaning::Elsewhere(0)),
    ("-log", Meaning::Flag("--log-file")),
    ("-ld", Meaning::Words("--log debug")),
    ("-le", Meaning::Words("--log error")),
    ("-ulog", Meaning::Elsewhere(1)),
    ("-ulim", Meaning::Elsewhere(1)),
    ("-uas", Meaning::Elsewhere(0)),
    ("-sid", Meaning::Elsewhere(1)),
    ("-mhost", Meaning::Elsewhere(1)),
    ("-mport", Meaning::Elsewhere(1)),
    ("-rts", Meaning::Elsewhere(1)),
    ("-rcc", Meaning::Elsewhere(0)),
    ("-skel", Meaning::Elsewhere(1)),
    ("-mul", Meaning::Elsewhere(1)),
    ("-ext", Meaning::Elsewhere(1)),
    ("-extpc", Meaning::Elsewhere(2)),
    ("-mask", Meaning::Flag("--deny")),
    ("-unmask", Meaning::Flag("--allow")),
];

/// The page that has all of it.
const PAGE: &str = "ttguard man from-ttserver says what each option is here";

fn meaning(word: &str) -> Option<Meaning> {
    let found = OPTIONS.iter().find(|(option, _)| *option == word);
    found.map(|(_, meaning)| *meaning)
}

/// The mistake that a command line which would serve is written as that of `ttserver`; nothing where it is not.
pub(super) fn mistaken(args: &[OsString]) -> Option<UsageError> {
    let mut words = args
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .peekable();
    let _ = words.next_if(|word| word == "serve");
    let words: Vec<String> = words.collect();
    let first = words.iter().find(|word| meaning(word).is_some())?;
    // Another subcommand has values of its own.
    if !words[0].starts_with('-') && words[0] != *first && !is_database(&words[0]) {
        return None;
    }
    let problem = "is an option of ttserver, and not of ttguard";
    let allowed = format!("{}; {PAGE}", translated(&words));
    Some(UsageError::new(first, problem, allowed))
}

fn is_database(word: &str) -> bool {
    let name = word.split('#').next().unwrap_or_default();
    matches!(name, "*" | "+") || [".tch", ".tcb", ".tcf", ".tct"].iter().any(|end| name.ends_with(end))
}

/// The same for ttguard, as far as there is such a thing.
fn translated(words: &[String]) -> String {
    let (mut host, mut port, mut database) = (None, None, None);
    let mut others = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match meaning(word) {
            Some(Meaning::Host) => host = words.next(),
            Some(Meaning::Port) => port = words.next(),
            Some(Meaning::Flag(flag)) => others.extend(words.next().map(|value| format!("{flag} {value}"))),
            Some(Meaning::Words(text)) => others.push(text.to_owned()),
            Some(Meaning::Elsewhere(values)) => {
                for _ in 0..values {
                    let _ = words.next();
                }
            }
            None if word.starts_with("--") => others.push(word.clone()),
            None if word.starts_with('-') => {}
            None => database = Some(word),
        }
    }
    let name = database.map(|name| name.split('#').next().unwrap_or_default());
    let backend = match name {
        None | Some("*") => "memory:".to_owned(),
        // Its file is read by its own server alone.
        Some(_) => "tyrant:/run/tyrant/tt.sock".to_owned(),
    };
    let (host, port) = (host.map(String::as_str), port.map_or("1978", String::as_str));
    let listen = match host {
        Some(path) if port == "0" => format!("unix:{path}"),
        Some(host) if host.contains(':') => format!("[{host}]:{port}"),
        Some(host) => format!("{host}:{port}"),
        // It takes every address.
        None => format!("0.0.0.0:{port}"),
    };
    let all = [format!("ttguard serve --listen {listen} --backend {backend}")];
    all.into_iter().chain(others).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Option<String> {
        let args: Vec<_> = line.split(' ').map(OsString::from).collect();
        mistaken(&args).map(|mistake| mistake.to_string())
    }

    #[test]
    fn a_line_for_ttserver_is_told_as_one_for_ttguard() {
        for (line, first, same) in [
            (
                "ttguard serve -host 127.0.0.1 -port 1978 *",
                "-host",
                "ttguard serve --listen 127.0.0.1:1978 --backend memory:; ",
            ),
            (
                "ttguard -port 1979",
                "-port",
                "--listen 0.0.0.0:1979 --backend memory:; ",
            ),
            (
                "ttguard serve -host /run/tt.sock -port 0 -thnum 4 -le -pid /run/p casket.tch#bnum=5",
                "-host",
                "--listen unix:/run/tt.sock --backend tyrant:/run/tyrant/tt.sock --workers 4 --log error --pid-file /run/p; ",
            ),
            (
                "ttguard serve -extpc f 1 -mask vanish -ulog /u -dmn +",
                "-extpc",
                "--listen 0.0.0.0:1978 --backend tyrant:/run/tyrant/tt.sock --deny vanish; ",
            ),
            ("ttguard * -host ::1", "-host", "--listen [::1]:1978"),
        ] {
            let said = said(line).expect(line);
            assert!(
                said.starts_with(&format!("{first}: is an option of ttserver")),
                "{said}"
            );
            assert!(said.contains(same), "{said}");
            assert!(said.contains("man from-ttserver"), "{said}");
        }
    }

    #[test]
    fn a_line_for_ttguard_is_none_for_ttserver() {
        for line in [
            "ttguard serve --listen 127.0.0.1:1978",
            "ttguard serve --log debug",
            "ttguard",
            "ttguard man -port",
            "ttguard serve -x",
            "ttguard inspect -host",
        ] {
            assert_eq!(said(line), None, "{line}");
        }
    }
}

//! Which settings a running ttguard takes up, as the page on operating says.

use ttguard::config::Settings;

use super::{between, named, page, text_of};

/// Values of which one is another than the default for any key.
const VALUES: &[&str] = &[
    "true",
    "false",
    "1",
    "2",
    "3",
    "10",
    "14",
    "5000",
    "\"1ms\"",
    // The backend below: any other would change with the guard.
    "[\"tyrants://127.0.0.1:2\"]",
    "\"3s\"",
    "\"700ms\"",
    "\"10s\"",
    "\"1h\"",
    "\"1MiB\"",
    "\"16MiB\"",
    "\"48MiB\"",
    "\"128MiB\"",
    "\"2GiB\"",
    "\"any\"",
    "\"off\"",
    "\"os\"",
    "\"s\"",
    "\"opaque\"",
    "\"hidden\"",
    "\"debug\"",
    "\"json\"",
    "\"observe\"",
    "\"client\"",
    "\"#\"",
    "\"record\"",
    "\"first\"",
    "\"refuse\"",
    "\"ok\"",
    "\"forbid\"",
    "\"pytyrant\"",
    "[\"binary\"]",
    "[\"copy\"]",
    "[\"get\"]",
    "[\"k\"]",
    "[\"10.0.0.0/8\"]",
    "[\"127.0.0.1:1\"]",
    "[\"a.example\"]",
    "\"127.0.0.1:1\"",
    "\"tyrants://127.0.0.1:1\"",
    "\"/a\"",
    "\"/b\"",
    "\"a\"",
    "\"\"",
];

/// A file with every key, each by its name, and the line of each.
fn template() -> Vec<(String, String)> {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in text_of("config/ttguard.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
            lines.push((String::new(), line.to_owned()));
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with("# ")) {
            let key = key.trim_start_matches('#');
            lines.push((format!("{section}{key}"), format!("{key} = {value}")));
        }
    }
    lines
}

/// The file with these values instead of its own.
fn with(lines: &[(String, String)], values: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, line) in lines {
        let other = values.iter().find(|(name, _)| name == key);
        let last = key.rsplit('.').next().expect("a name");
        match other {
            Some((_, value)) => text += &format!("{last} = {value}\n"),
            None => text += &format!("{line}\n"),
        }
    }
    text
}

#[test]
fn what_a_reload_cannot_change_is_what_the_page_lists() {
    let sentence = between(page("operating"), "cannot change while it runs:", "and a\nchange from");
    let listed: Vec<&str> = named(sentence).collect();
    let lines = template();
    let load = |values: &[(&str, &str)]| Settings::from_toml("file", &with(&lines, values));
    // So that each key can change alone: some need others, some exclude one another.
    let base = |takeover, given: bool| {
        let given = [
            ("stamp.source", "\"edge\""),
            ("stamp.digits", "16"),
            ("stamp.unit", "\"us\""),
        ]
        .into_iter()
        .filter(move |_| given);
        let all = [
            ("pid_file", "\"/p\""),
            ("takeover", takeover),
            ("backend", "\"tyrants://127.0.0.1:2\""),
            ("backend_tls.ca", "\"/a\""),
            ("backend_tls.cert", "\"/c\""),
            ("backend_tls.key", "\"/k\""),
            ("tls.cert", "\"/c\""),
            ("tls.key", "\"/k\""),
            ("tls.client_ca", "\"/a\""),
            ("tls.allow_san", "[\"*\"]"),
        ];
        all.into_iter().chain(given).collect::<Vec<_>>()
    };
    let mut refused = Vec::new();
    let keys = lines.iter().map(|(key, _)| key.as_str());
    // Names of scripts' functions are no keys of ours.
    for key in keys.filter(|key| !key.is_empty() && !key.starts_with("guard.ext.")) {
        let ways = [("true", false), ("false", false), ("false", true)];
        let changed = ways.into_iter().find_map(|(takeover, given)| {
            let base = base(takeover, given);
            let before = load(&base).expect("settings");
            let others: Vec<_> = base.into_iter().filter(|(name, _)| *name != key).collect();
            VALUES.iter().find_map(|value| {
                let after = load(&[&others[..], &[(key, value)]].concat()).ok()?;
                (before.changes(&after) == [key]).then(|| (before.clone(), after))
            })
        });
        let (before, after) = changed.unwrap_or_else(|| panic!("no other value for {key}"));
        if before.reloadable(&after).is_err() {
            refused.push(key);
        }
    }
    let is_listed = |key: &&str| {
        let section = key.split('.').next().expect("a part");
        listed.contains(key) || key.contains('.') && listed.contains(&format!("[{section}]").as_str())
    };
    assert!(refused.len() >= 19, "{refused:?}");
    for key in &refused {
        assert!(is_listed(key), "{key} cannot change, and the page does not say so");
    }
    for name in listed {
        let held = refused.iter().any(|key| {
            *key == name || name.starts_with('[') && key.starts_with(&format!("{}.", name.trim_matches(['[', ']'])))
        });
        assert!(held, "{name} can change, and the page says it cannot");
    }
}

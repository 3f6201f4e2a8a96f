//! Settings inside of other files: each is valid, and the roles of one folder find each other.

use std::path::Path;

use ttguard::config::{BackendUrl, Edges, Settings};

use super::files;
use crate::manual::{between, text_of};
use crate::support::authority::Authority;
use crate::support::guarded::Guarded;
use crate::support::stamped::Clock;

/// Settings that stand in another file.
struct Inside {
    file: String,
    /// What they are called there.
    name: String,
    text: String,
}

impl Inside {
    fn settings(&self) -> Settings {
        let at = format!("{}, {}", self.file, self.name);
        Settings::from_toml(&at, &self.text).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The settings inside of a file: what is indented below `NAME.toml: |`, or below `NAME:` and `content: |`.
fn inside(file: &str) -> Vec<Inside> {
    let text = text_of(file);
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(key) = line.trim().strip_suffix(": |") else {
            continue;
        };
        let name = match key {
            "content" => lines[at - 1].trim().trim_end_matches(':'),
            _ => key,
        };
        let block: Vec<&str> = lines[at + 1..]
            .iter()
            .take_while(|inner| inner.is_empty() || indent(inner) > indent(line))
            .map(|inner| inner.trim_start())
            .collect();
        found.push(Inside {
            file: file.to_owned(),
            name: name.to_owned(),
            text: block.join("\n"),
        });
    }
    found
}

/// The one with this name.
fn named(file: &str, name: &str) -> Inside {
    let mut found = inside(file);
    found.retain(|inside| inside.name == name);
    assert_eq!(found.len(), 1, "{file}: {name}");
    found.remove(0)
}

fn kubernetes() -> (Inside, Inside) {
    (
        named("config/kubernetes/guard.yaml", "ttguard.toml"),
        named("config/kubernetes/sidecar.yaml", "ttguard.toml"),
    )
}

fn compose() -> (Inside, Inside) {
    let file = "config/docker/compose.yml";
    (named(file, "guard"), named(file, "edge"))
}

/// The one alternative name that a guard lets in.
fn edges_name(guard: &Inside) -> String {
    let settings = guard.settings();
    let tls = settings.listeners[0].tls.as_ref().expect("TLS");
    assert!(tls.client_ca.is_some(), "everybody is let in");
    let name = between(&guard.text, "allow_san = [\"", "\"]");
    assert_ne!(name, "*", "whoever has a certificate is let in");
    name.to_owned()
}

#[test]
fn settings_inside_of_other_files_are_valid_for_their_roles() {
    let found: Vec<Inside> = files()
        .iter()
        .filter(|file| !file.ends_with(".toml"))
        .flat_map(|file| inside(file))
        .collect();
    let roles: Vec<(&str, &str, bool)> = found
        .iter()
        .map(|inside| (&inside.file[..], &inside.name[..], inside.settings().is_edge()))
        .collect();
    assert_eq!(
        roles,
        [
            ("config/docker/compose.yml", "guard", false),
            ("config/docker/compose.yml", "edge", true),
            ("config/kubernetes/guard.yaml", "ttguard.toml", false),
            ("config/kubernetes/sidecar.yaml", "ttguard.toml", true),
        ]
    );
    for inside in &found {
        // Nobody is trusted for being in the network.
        let settings = inside.settings();
        assert!(settings.listeners.iter().all(|listener| listener.edges == Edges::Known));
    }
    for (file, is_edge) in [("config/plain/ttguard.toml", false), ("config/plain/edge.toml", true)] {
        let settings = Settings::from_toml(file, &text_of(file)).expect("valid settings");
        assert_eq!(settings.is_edge(), is_edge, "{file}");
    }
}

#[test]
fn a_shipped_edge_asks_where_the_shipped_guard_listens() {
    let (guard, edge) = compose();
    let listened = guard.settings().listeners[0].address.to_string();
    let asked = edge.settings().edge_of[0].to_string();
    assert_eq!(asked.strip_prefix("tyrant:"), listened.strip_prefix("unix:"));

    let (guard, edge) = kubernetes();
    let (manifest, settings) = (text_of(&guard.file), guard.settings());
    let BackendUrl::Tyrants(host_port) = &edge.settings().edge_of[0] else {
        panic!("not by TLS");
    };
    let (host, port) = host_port.rsplit_once(':').expect("a port");
    let service = host.strip_suffix(".default.svc.cluster.local").expect("a service");
    assert!(manifest.contains(&format!("kind: Service\nmetadata:\n  name: {service}\n")));
    assert!(manifest.contains(&format!("kind: StatefulSet\nmetadata:\n  name: {service}\n")));
    assert!(manifest.contains(&format!("serviceName: {service}\n")));
    assert!(manifest.contains(&format!("{{ name: tyrant, port: {port} }}")));
    assert!(manifest.contains(&format!("{{ name: tyrant, containerPort: {port} }}")));
    assert_eq!(settings.listeners[0].address.to_string(), format!("0.0.0.0:{port}"));
    // The certificates that are made by its first lines are the ones that both ask for.
    assert!(manifest.contains(&format!("#   sign ttguard-guard-tls {host}\n")));
    assert!(manifest.contains(&format!("#   sign ttguard-edge-tls {}\n", edges_name(&guard))));
}

#[test]
fn whatever_a_pods_settings_name_is_mounted_there() {
    let (guard, edge) = kubernetes();
    for inside in [guard, edge] {
        let manifest = text_of(&inside.file);
        let after = |mark: &str| -> Vec<String> {
            let ends = [',', ' ', '}', '\n'];
            let rests = manifest.split(mark).skip(1);
            rests
                .map(|rest| rest.split(ends).next().expect("a word").to_owned())
                .collect()
        };
        let mounts = after("mountPath: ");
        let mut count = 0;
        for path in inside.text.split('"').filter_map(|word| {
            let path = word.strip_prefix("tyrant:").unwrap_or(word);
            path.starts_with('/')
                .then_some(path)
                .filter(|path| !path.starts_with("//"))
        }) {
            let folder = Path::new(path).parent().expect("a folder").display().to_string();
            assert!(mounts.contains(&folder), "{}: {path} is not there", inside.file);
            count += 1;
        }
        assert!(count >= 4, "{}: {count}", inside.file);
        assert!(mounts.contains(&"/etc/ttguard".to_owned()));
        // What a secret is made by is said beside the guard.
        let secrets = after("secretName: ");
        assert_eq!(secrets.len(), 2, "{secrets:?}");
        let made = text_of("config/kubernetes/guard.yaml");
        for secret in secrets {
            let by = [format!("#   sign {secret} "), format!("secret generic {secret} ")];
            assert!(by.iter().any(|by| made.contains(by)), "nothing makes {secret}");
        }
    }
}

/// The settings without these keys, and with other words for some of theirs.
fn changed(text: &str, without: &[&str], others: &[(&str, &str)]) -> String {
    let is_kept = |line: &&str| !without.iter().any(|key| line.starts_with(&format!("{key} = ")));
    let mut text: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
    for (word, other) in others {
        assert!(text.contains(word), "there is no {word}");
        text = text.replace(word, other);
    }
    text
}

/// PC by one edge and PA by another one: PC stays.
fn tell(edges: &[Guarded; 2]) {
    let clock = Clock::start();
    assert_eq!(edges[0].client().put("packet", &clock.value(0)), 0);
    assert_eq!(edges[1].client().put("packet", &clock.value(-60_000)), 2);
    assert_eq!(edges[1].client().text("packet"), Some(clock.text(0)));
}

/// What only these files have, and a test has not.
const ADMIN: [&str; 3] = ["admin", "admin_token_file", "listen"];

#[test]
fn the_guard_for_kubernetes_lets_in_its_edges() {
    let (guard, edge) = kubernetes();
    let authority = Authority::new();
    let files = |inside: &Inside, name: &str, word: &str, other: &str| {
        let (cert, key) = authority.signed(name);
        let others = [
            ("/etc/ttguard-tls/ca.crt", &authority.cert()[..]),
            ("/etc/ttguard-tls/tls.crt", &cert),
            ("/etc/ttguard-tls/tls.key", &key),
            (word, other),
        ];
        changed(&inside.text, &ADMIN, &others)
    };
    let (settings, asked) = (guard.settings(), edge.settings().edge_of[0].clone());
    let (host, url) = (asked.host().expect("a host"), asked.to_string());
    let store = settings.backend.to_string();
    let listening = Guarded::start(&files(&guard, host, &store, "memory:"));
    let at = format!("tyrants://{}", listening.address());
    let start = || {
        let text = files(&edge, &edges_name(&guard), &url, &at);
        // It is not reached by its name here.
        let named = format!("[backend_tls]\nserver_name = \"{host}\"\n");
        Guarded::start(&text.replace("[backend_tls]\n", &named))
    };
    tell(&[start(), start()]);
    assert_eq!(listening.scrape("ttguard_edge", &[]), 0.0);
}

#[test]
fn the_guard_of_compose_lets_in_its_edges() {
    let (guard, edge) = compose();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().display().to_string();
    let data = format!("file:{socket}/");
    let text = changed(
        &guard.text,
        &["admin"],
        &[("/run/ttguard", &socket), ("file:/data/", &data)],
    );
    let _listening = Guarded::listening(&text);
    let start = || {
        let text = changed(&edge.text, &ADMIN, &[("/run/ttguard", &socket)]);
        Guarded::start(&text)
    };
    let edges = [start(), start()];
    tell(&edges);
    assert_eq!(edges[0].scrape("ttguard_edge", &[]), 1.0);
}

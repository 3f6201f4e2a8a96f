//! Screens of all sizes, read as a person reads them.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::super::figures::Figures;
use super::*;

fn document<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a document as the admin listener writes it")
}

/// A ttguard that has refused so many writes, of keys `key 0` and on, one a second.
fn figures(refused: usize) -> Box<Figures> {
    let tally = |name: &str, count: usize| json!({ name: count });
    let refusal = |number: usize| {
        json!({
            "at": 1_795_277_412.0, "key": format!("key {number}"), "client": "10.0.0.7:4711", "protocol": "http",
            "reason": "stale", "stamp": "1795277352000", "newer": "1795277412000", "off_by_seconds": 60.0,
            "enforced": number > 0,
        })
    };
    let refusals: Vec<_> = (0..refused).map(refusal).collect();
    Box::new(Figures {
        status: document(json!({
            "version": "1.2.3", "now": 7200.0, "started": 0.0, "ready": true, "why_not": null,
            "listeners": ["127.0.0.1:1978"], "sessions": { "open": 12, "max": 1000 },
            "ledger": {
                "entries": 7, "entries_max": 100, "bytes": 1 << 20, "bytes_max": 4 << 20, "evicted": 3,
                "horizon_age_seconds": -300.0, "pending_keys": 2,
            },
            "buffered_bytes": 0, "buffered_max_bytes": 1024,
            "counts": {
                "requests": tally("answered", 5000), "verdicts": tally("stale", refused), "observed": tally("stale", 0),
                "interventions": tally("late_answer", 17), "sessions_closed": tally("client", 1),
                "lanes_fenced": tally("deadline", 4), "lookups": tally("horizon", 5), "waits": tally("key_in_flight", 99),
            },
            "keys": "shown", "settings": [["guard.mode", "\"observe\""]],
        })),
        backends: document(json!([{
            "url": "tyrant://127.0.0.1:1979", "state": "up", "lanes_up": 2, "lanes_wanted": 2, "in_flight": 3,
            "lanes": [{
                "worker": 0, "link": 1, "bulk": true, "state": "up", "for_seconds": 61.0, "lane": 8, "requests": 3,
                "unsent_bytes": 0, "connected": 2, "fencing": 0, "last_fault": "reset\u{1b}[2J by peer",
            }],
        }])),
        refusals: document(refusals.into()),
        clients: document(json!([{
            "client": "10.0.0.7", "refusals": refused, "at_most_too_high": 0, "stale": refused, "future": 0,
            "latest_by_seconds": 60.0, "ahead_by_seconds": 0.0, "last": 1_795_277_412.0,
        }])),
        recent: document(json!({
            "every_seconds": 1.0, "span_seconds": 300.0, "stale_age_bounds": [], "stale_ages": [],
            "columns": {
                "at": [1.0, 2.0], "seconds": [1.0, 2.0], "requests": [10, 2468], "stale": [0, 5],
                "client_p50": [null, 0.000_25], "client_p99": [null, 0.004], "backend_p50": [null, null],
            },
        })),
    })
}

fn shown(refused: usize) -> View {
    let mut view = View::new("guard:9178".to_owned());
    view.answered(figures(refused), Instant::now());
    view
}

fn screen(view: &mut View, width: u16, height: u16, now: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| view.draw(frame, now)).expect("a frame");
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

fn lines(view: &mut View, width: u16, height: u16) -> Vec<String> {
    screen(view, width, height, Instant::now())
}

fn press(view: &mut View, codes: &[KeyCode]) {
    for code in codes {
        view.pressed(KeyEvent::new(*code, KeyModifiers::NONE));
    }
}

/// The words of the first line that begins with this one.
fn words_of<'a>(lines: &'a [String], first: &str) -> Vec<&'a str> {
    let line = lines.iter().find(|line| line.split_whitespace().next() == Some(first));
    line.unwrap_or_else(|| panic!("{first} in {lines:#?}"))
        .split_whitespace()
        .collect()
}

#[test]
fn a_tall_screen_has_the_overview_and_a_page_below_it() {
    let mut view = shown(3);
    let told = lines(&mut view, 110, 30);
    assert_eq!(
        told[0],
        "ttguard 1.2.3 at guard:9178, observe, up 2.00 h, 12 of 1000 sessions"
    );
    assert_eq!(told[1], "✓ ready");
    assert_eq!(words_of(&told, "requests")[1..3], ["1234", "5000"]);
    assert_eq!(words_of(&told, "stale")[1..3], ["2.5", "3"]);
    let all = told.join("\n");
    for text in [
        "client   250 us  4.00 ms",
        "backend       -        -",
        "1.0 MiB of 4.0 MiB (25.0 %)",
        "5.00 min ahead of the clock",
        "under way  2 keys",
        "█",
        "16:10:12  key 0  10.0.0.7:4711 (http)  stale (observed)  60.0 s    1795277352000  1795277412000",
    ] {
        assert!(all.contains(text), "{text} in\n{all}");
    }
    press(&mut view, &[KeyCode::Right]);
    assert_eq!(
        words_of(&lines(&mut view, 110, 30), "10.0.0.7")[1..5],
        ["3", "3", "60.0", "s"]
    );
    press(&mut view, &[KeyCode::Right]);
    let told = lines(&mut view, 110, 30).join("\n");
    assert!(
        told.contains("tyrant://127.0.0.1:1979  up       2 of 2          3"),
        "{told}"
    );
    assert!(told.contains("0.1 (large values)  up     61.0 s"), "{told}");
    assert!(told.contains("reset\\u{1b}[2J by peer"), "{told}");
    press(&mut view, &[KeyCode::Right]);
    let told = lines(&mut view, 110, 30).join("\n");
    assert!(
        told.contains("pairing intervention  late answer             17"),
        "{told}"
    );
    assert!(
        told.contains("wait                  key in flight           99"),
        "{told}"
    );
    press(&mut view, &[KeyCode::Right]);
    assert!(lines(&mut view, 110, 30).join("\n").contains("key 2"), "it goes round");
}

#[test]
fn a_small_screen_has_one_page_at_a_time_and_none_is_too_small() {
    let mut view = shown(3);
    lines(&mut view, 60, 16);
    press(&mut view, &[KeyCode::Left]);
    let told = lines(&mut view, 60, 16);
    assert_eq!(words_of(&told, "requests")[1..3], ["1234", "5000"]);
    assert!(!told.join("\n").contains("key 0"));
    for (width, height) in (1..90).flat_map(|width| (1..30).map(move |height| (width, height))) {
        lines(&mut view, width, height);
        press(&mut view, &[KeyCode::Right]);
    }
}

#[test]
fn a_long_page_is_scrolled_and_stops_at_its_ends() {
    let mut view = shown(100);
    let seen = |view: &mut View| {
        let told = lines(view, 100, 12);
        let keys = told
            .iter()
            .filter_map(|line| line.split("  ").nth(1)?.strip_prefix("key "));
        let keys: Vec<usize> = keys.filter_map(|number| number.parse().ok()).collect();
        (keys.first().copied(), keys.last().copied())
    };
    assert_eq!(seen(&mut view), (Some(0), Some(6)));
    press(&mut view, &[KeyCode::Down, KeyCode::Down, KeyCode::Up]);
    assert_eq!(seen(&mut view), (Some(1), Some(7)));
    press(&mut view, &[KeyCode::End]);
    assert_eq!(seen(&mut view), (Some(93), Some(99)));
    press(&mut view, &[KeyCode::Down, KeyCode::PageDown]);
    assert_eq!(seen(&mut view), (Some(93), Some(99)));
    press(&mut view, &[KeyCode::Up]);
    assert_eq!(seen(&mut view), (Some(92), Some(98)));
    press(&mut view, &[KeyCode::Home, KeyCode::Up]);
    assert_eq!(seen(&mut view), (Some(0), Some(6)));
}

#[test]
fn what_is_old_is_said_to_be_old_and_what_does_not_answer_is_said_too() {
    let begun = Instant::now();
    let mut view = View::new("guard:9178".to_owned());
    let state = |view: &mut View, seconds| screen(view, 100, 30, begun + Duration::from_secs(seconds))[1].clone();
    assert_eq!(state(&mut view, 0), "waiting for an answer");
    view.unanswered(&Unasked::new("guard:9178", "refused"));
    assert_eq!(state(&mut view, 0), "✗ no answer: http://guard:9178: refused");
    view.answered(figures(1), begun);
    assert_eq!(state(&mut view, 1), "✓ ready");
    assert_eq!(state(&mut view, 7), "▲ waiting for an answer; the figures are 7s old");
    view.unanswered(&Unasked::new("guard:9178", "refused"));
    assert_eq!(
        state(&mut view, 8),
        "✗ no answer: http://guard:9178: refused; the figures are 8s old"
    );
    view.answered(figures(1), begun + Duration::from_secs(9));
    assert_eq!(state(&mut view, 9), "✓ ready");
    let mut worse = figures(1);
    worse.backends[0].state = "degraded".into();
    view.answered(worse, begun + Duration::from_secs(9));
    assert_eq!(state(&mut view, 9), "▲ ready, but tyrant://127.0.0.1:1979 is degraded");
}

#[test]
fn a_pause_keeps_what_is_seen_and_q_ends() {
    let mut view = shown(1);
    press(&mut view, &[KeyCode::Char('p')]);
    view.answered(figures(2), Instant::now());
    let told = lines(&mut view, 100, 30);
    assert_eq!(told[1], " paused  ✓ ready");
    assert!(!told.join("\n").contains("key 1"));
    press(&mut view, &[KeyCode::Char('p')]);
    view.answered(figures(2), Instant::now());
    assert!(lines(&mut view, 100, 30).join("\n").contains("key 1"));
    assert!(!view.has_ended());
    press(&mut view, &[KeyCode::Char('q')]);
    assert!(view.has_ended());
    let mut view = shown(1);
    view.pressed(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert!(view.has_ended());
}

#[test]
fn clients_are_told_with_the_edges_that_they_come_through() {
    let mut figures = figures(1);
    let edge = json!({ "name": "process 7 on app-1", "from": "10.0.0.9", "certificate": "edge.example" });
    figures.refusals = document(json!([{
        "at": 1_795_277_412.0, "key": "key", "client": "127.0.0.1:4711", "certificate": "app.example", "edge": edge,
        "protocol": "http", "reason": "stale", "stamp": null, "newer": null, "off_by_seconds": null, "enforced": true,
    }]));
    figures.clients = document(json!([{
        "client": "127.0.0.1", "certificate": null, "edge": edge, "refusals": 3, "at_most_too_high": 0, "stale": 3,
        "future": 0, "latest_by_seconds": 60.0, "ahead_by_seconds": 0.0, "last": 1_795_277_412.0,
    }]));
    let text = sections::plain(&figures, "guard:9178");
    let through = "through process 7 on app-1 at 10.0.0.9 (edge.example)";
    for client in ["127.0.0.1:4711 (app.example)", "127.0.0.1"] {
        assert!(
            text.contains(&format!("  {client} {through}  ")) || text.contains(&format!("{client} {through} (http)")),
            "{client} in\n{text}"
        );
    }
}

#[test]
fn a_plain_frame_tells_all_of_it_and_of_long_lists_the_beginning() {
    let text = sections::plain(&figures(30), "guard:9178");
    assert!(!text.contains('\u{1b}'), "{text}");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines[1], "ready");
    assert_eq!(words_of(&lines, "stale"), ["stale", "2.5", "30"]);
    assert_eq!(words_of(&lines, "10.0.0.7")[..3], ["10.0.0.7", "30", "30"]);
    assert!(
        text.contains("\n  and 10 more\n") && text.contains("key 19") && !text.contains("key 20"),
        "{text}"
    );
    for title in [
        "Throughput",
        "Latency",
        "Ledger",
        "Backends",
        "Lanes",
        "Pairing and waits",
        "Last refusals",
        "Late clients",
    ] {
        assert!(lines.iter().any(|line| line == title), "{title} in\n{text}");
    }
    assert!(sections::plain(&figures(0), "guard:9178").contains("  nothing was refused\n"));
}

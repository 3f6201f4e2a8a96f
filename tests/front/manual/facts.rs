//! What the code says too.

use std::collections::BTreeSet;

use ttguard::command::{Reason, Reply};
use ttguard::manual::PAGES;
use ttguard::metrics::{Alarm, CloseReason, Label, RetryKind, TABLE, WaitCause};
use ttguard::service::Exit;

use super::{between, named, page, rows, text_of};
use crate::support::guarded::Guarded;

#[test]
fn every_exit_code_has_its_row() {
    let exits = [Exit::Drained, Exit::Failed, Exit::Usage, Exit::Cut, Exit::AtOnce];
    let codes: Vec<String> = exits.iter().map(|exit| exit.code().to_string()).collect();
    let table = rows(page("operating"), "| exit code");
    let told: Vec<&str> = table.iter().map(|row| row[0]).collect();
    assert_eq!(told, codes);
}

#[test]
fn every_code_of_a_refusal_has_its_row() {
    let table = rows(page("clients"), "## A refused write");
    let mut wanted: Vec<(String, String)> = (0..=u8::MAX)
        .filter_map(|code| Reason::of_code(code).map(|reason| (code.to_string(), format!("{reason:?}").to_lowercase())))
        .collect();
    wanted.push((Reply::UNAVAILABLE.to_string(), "unavailable".to_owned()));
    let told: Vec<(String, String)> = table
        .iter()
        .map(|row| {
            let word = row[1].split(':').next().expect("a word");
            (row[0].to_owned(), word.to_owned())
        })
        .collect();
    assert_eq!(told, wanted);
}

#[test]
fn every_alarm_is_explained() {
    let text = between(page("operating"), "## What must never happen", "## ");
    let told: BTreeSet<&str> = named(text).collect();
    for alarm in Alarm::ALL {
        assert!(told.contains(alarm.as_str()), "{} is not explained", alarm.as_str());
    }
}

#[test]
fn every_limit_has_its_row_and_shows_where_the_row_says() {
    let file = text_of("config/ttguard.toml");
    let section = between(&file, "\n[limits]\n", "\n[");
    let keys: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once(" = "))
        .map(|(key, _)| key)
        .filter(|key| !key.contains(' '))
        .collect();
    assert!(keys.len() >= 16, "{keys:?}");
    let table = rows(page("limits"), "# Limits");
    let told: BTreeSet<&str> = table.iter().flat_map(|row| named(row[0])).collect();
    let (others, ours): (BTreeSet<&str>, BTreeSet<&str>) = told.iter().partition(|key| key.contains('.'));
    assert_eq!(ours, keys);
    for key in others {
        let (section, key) = key.split_once('.').expect("two parts");
        let (_, rest) = file.split_once(&format!("\n[{section}]\n")).expect("the section");
        assert!(rest.contains(&format!("\n{key} = ")), "there is no {section}.{key}");
    }

    let labels = CloseReason::ALL.iter().map(|label| label.as_str());
    let labels = labels.chain(RetryKind::ALL.iter().map(|label| label.as_str()));
    let labels: BTreeSet<&str> = labels
        .chain(WaitCause::ALL.iter().map(|label| label.as_str()))
        .collect();
    let mut metrics = 0;
    for row in &table {
        let names: Vec<&str> = named(row[2]).collect();
        for name in &names {
            let is_metric = TABLE.iter().any(|row| row.name.strip_prefix("ttguard_") == Some(name));
            metrics += usize::from(is_metric);
            // The faults of requests and what became of backend requests are counted by names of their own.
            let is_apart = ["request_faults_total", "backend_requests_total"].contains(&names[0]);
            assert!(is_metric || is_apart || labels.contains(name), "{name} counts nothing");
        }
    }
    assert!(metrics >= 12, "{metrics}");
}

#[test]
fn every_metric_that_is_named_is_counted() {
    let mut count = 0;
    for page in PAGES {
        for word in page.text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            // What `stat` has is no metric.
            if !word.starts_with("ttguard_") || word == "ttguard_hidden" {
                continue;
            }
            assert!(
                TABLE.iter().any(|row| row.name == word),
                "{}: there is no {word}",
                page.topic
            );
            count += 1;
        }
    }
    assert!(count > TABLE.len(), "{count}");
}

#[test]
fn every_path_of_the_dashboard_is_answered() {
    let guarded = Guarded::memory("");
    let paths: Vec<&str> = rows(page("dashboard"), "| path")
        .iter()
        .flat_map(|row| named(row[0]))
        .collect();
    assert!(paths.len() >= 7, "{paths:?}");
    for path in paths {
        let path = path.replace("KEY", "k");
        assert_eq!(guarded.page(&path).0, 200, "{path}");
    }
}

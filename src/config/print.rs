//! The settings in effect, as an annotated file that reads back as the same settings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::listening::{LISTENER, Printed};
use super::schema::{self, FUNCTIONS};
use super::settings::Settings;

/// The one place where the keys are explained: the file that is shipped.
const TEMPLATE: &str = include_str!("../../config/ttguard.toml");

/// The comment in that file before which listeners with tables of their own are printed.
const LISTENER_EXAMPLE: &str = "# A listener that differs from the others, by way of example:";

/// Values as TOML, by key with its tables in front.
pub(super) type Texts = BTreeMap<&'static str, String>;

impl Settings {
    /// The settings as an annotated TOML file, which reads back as the same settings.
    pub fn to_toml(&self) -> String {
        let values = self.values();
        let whole = |key: &str| values.get(key).map_or("", String::as_str);
        let mut table = "";
        let mut text = String::with_capacity(TEMPLATE.len() + 256);
        for line in TEMPLATE.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = name;
            }
            if line == LISTENER_EXAMPLE {
                text.push_str(whole(LISTENER.setting.key));
            }
            text.push_str(&with_value(table, line, &values));
            text.push('\n');
            if line == "[guard.ext]" {
                text.push_str(whole(FUNCTIONS.setting.key));
            }
        }
        text
    }

    /// Every key, its tables in front, with its value in effect. What must not be told is only said to be set.
    pub fn in_force(&self) -> Vec<(String, String)> {
        let mut table = String::new();
        let mut keys = Vec::new();
        for line in self.to_toml().lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[') {
                table = format!("{}.", name.trim_matches(['[', ']']));
            } else if let Some((name, value)) = line.split_once(" = ") {
                let secret = name.ends_with("token") && value != "\"\"";
                let value = if secret { "(set)" } else { value };
                keys.push((format!("{table}{name}"), value.to_owned()));
            }
        }
        keys
    }

    /// Every value in effect. `listener` and `guard.ext` stand for all that is written in those tables.
    pub(super) fn values(&self) -> Texts {
        let rows = schema::rows().map(|row| (row.setting.key, (row.write)(self)));
        rows.chain(Printed::of(self).top).collect()
    }
}

/// A line of the template with the value in effect, whether or not it is commented out there.
fn with_value<'a>(table: &str, line: &'a str, values: &Texts) -> Cow<'a, str> {
    let Some((name, _)) = line.trim_start_matches('#').split_once(" = ") else {
        return Cow::Borrowed(line);
    };
    let key = if table.is_empty() {
        name.to_owned()
    } else {
        format!("{table}.{name}")
    };
    match values.get(key.as_str()) {
        Some(value) => Cow::Owned(format!("{name} = {value}")),
        None => Cow::Borrowed(line),
    }
}

//! What the layers say, by the schema's keys: the file, over it the environment, over that the flags.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft;
use super::error::UsageError;
use super::file::SourceFile;
use super::listening::{ADDRESS, LISTEN, LISTENER, Table};
use super::nearest::nearest;
use super::row::{Flag, Takes};
use super::schema::{FUNCTIONS, settings};
use super::value::{Place, Value, Values, variable};

/// What one layer says, or several of them laid over one another. No value has been judged yet.
#[derive(Default)]
pub(crate) struct Layer {
    pub(super) values: Values,
    /// The tables `[[listener]]`.
    pub(super) listeners: Vec<Table>,
    /// What is in `[guard.ext]`.
    pub(super) functions: BTreeMap<String, Value>,
}

impl Layer {
    /// What a file says.
    ///
    /// # Errors
    /// When it is no TOML, or has keys that do not exist.
    pub(super) fn of_file(file: &SourceFile) -> Result<Self, UsageError> {
        let document = DeTable::parse(&file.text).map_err(|error| no_toml(file, &error))?;
        let mut layer = Self::default();
        let known: Vec<_> = settings().map(|setting| setting.key).collect();
        let top = Keys {
            file,
            known: &known,
            table: "",
        };
        top.each(document.get_ref(), &mut |key, value| {
            if key == LISTENER.setting.key {
                layer.listeners = listeners(file, value)?;
            } else if key == FUNCTIONS.setting.key {
                let functions = table(file, value)?.iter();
                let functions = functions.map(|(name, value)| (name.get_ref().clone().into_owned(), value.into()));
                layer.functions = functions.collect();
            } else {
                layer.values.insert(key, value.into());
            }
            Ok(())
        })?;
        Ok(layer)
    }

    /// What flags say, of which `texts` has what was written for each.
    pub(crate) fn of_flags(texts: impl Fn(&'static str) -> Vec<String>) -> Self {
        Self::by_flag(|flag| {
            let mut texts = texts(flag.name);
            let place = Place::Flag(flag.name);
            match flag.takes {
                Takes::Repeats => (!texts.is_empty()).then(|| Value::list(texts, place)),
                Takes::Commas => texts.pop().map(|text| Value::split(&text, place)),
                Takes::One | Takes::Switch => texts.pop().map(|text| Value::text(text, place)),
            }
        })
    }

    /// What variables say, of which `env` looks up one. Only those that stand for a flag are asked for.
    pub(crate) fn of_environment(env: impl Fn(&str) -> Option<String>) -> Self {
        Self::by_flag(|flag| {
            let (text, place) = (env(&variable(flag.name))?, Place::Variable(flag.name));
            Some(match flag.takes {
                Takes::One | Takes::Switch => Value::text(text, place),
                Takes::Commas | Takes::Repeats => Value::split(&text, place),
            })
        })
    }

    fn by_flag(value: impl Fn(&'static Flag) -> Option<Value>) -> Self {
        let given = settings().filter_map(|setting| Some((setting.key, value(setting.flag.as_ref()?)?)));
        Self {
            values: given.collect(),
            ..Self::default()
        }
    }

    /// Lays a higher layer over this one.
    pub(super) fn cover(&mut self, upper: Self) {
        if upper.values.contains_key(LISTEN.setting.key) {
            // Whoever says where clients connect says all of it.
            self.listeners.clear();
        }
        self.values.extend(upper.values);
    }
}

/// The keys that one table of a file may have: of `known`, those that begin with `table`.
struct Keys<'a> {
    file: &'a SourceFile,
    known: &'a [&'static str],
    table: &'static str,
}

/// What a name in a table stands for.
enum Entry {
    /// A key of the schema.
    Key(&'static str),
    /// A table: what its keys begin with in the schema.
    Table(&'static str),
}

impl Keys<'_> {
    /// Hands each key of the schema to `take`, with its value; refuses all others.
    fn each(
        &self,
        written: &DeTable<'_>,
        take: &mut impl FnMut(&'static str, &Spanned<DeValue<'_>>) -> Result<(), UsageError>,
    ) -> Result<(), UsageError> {
        for (name, value) in written {
            match self.entry(name.get_ref()) {
                Some(Entry::Key(key)) => take(key, value)?,
                Some(Entry::Table(begin)) => Keys { table: begin, ..*self }.each(table(self.file, value)?, take)?,
                None => {
                    let meant = self.nearest(name.get_ref());
                    let meant = meant.map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
                    let problem = format_args!("unknown key `{}`{meant}", name.get_ref());
                    return Err(UsageError::new(
                        self.file.place(name.span().start),
                        problem,
                        self.names(),
                    ));
                }
            }
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        self.known.iter().find_map(|key| {
            let rest = key.strip_prefix(self.table)?;
            match rest.split_once('.') {
                None => (rest == name).then_some(Entry::Key(key)),
                // What the table's keys begin with is its name and the dot.
                Some((first, deeper)) if first == name => key.strip_suffix(deeper).map(Entry::Table),
                Some(_) => None,
            }
        })
    }

    /// The name that stands in this table and is spelt nearly so.
    fn nearest(&self, name: &str) -> Option<&str> {
        let all = self.known.iter().filter_map(|key| key.strip_prefix(self.table));
        nearest(name, all.map(|rest| rest.split('.').next().unwrap_or(rest)))
    }

    /// The names that stand in this table, each once, as they are listed in a message.
    fn names(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for rest in self.known.iter().filter_map(|key| key.strip_prefix(self.table)) {
            let name = format!("`{}`", rest.split('.').next().unwrap_or(rest));
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }
}

/// Each `[[listener]]`.
fn listeners(file: &SourceFile, value: &Spanned<DeValue<'_>>) -> Result<Vec<Table>, UsageError> {
    let DeValue::Array(tables) = value.get_ref() else {
        return Err(wrong_type(file, value, "tables of keys, each under its own [[...]]"));
    };
    let rows = draft::ROWS.iter().chain(draft::TLS_ROWS);
    let known: Vec<_> = std::iter::once(ADDRESS)
        .chain(rows.map(|row| row.setting.key))
        .collect();
    let keys = Keys {
        file,
        known: &known,
        table: "",
    };
    let read = |written: &Spanned<DeValue<'_>>| {
        let mut values = Values::new();
        keys.each(table(file, written)?, &mut |key, value| {
            values.insert(key, value.into());
            Ok(())
        })?;
        Ok((written.span().start, values))
    };
    tables.iter().map(read).collect()
}

/// A value that has to be a table.
fn table<'v, 'i>(file: &SourceFile, value: &'v Spanned<DeValue<'i>>) -> Result<&'v DeTable<'i>, UsageError> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        _ => Err(wrong_type(file, value, "a table of keys")),
    }
}

fn wrong_type(file: &SourceFile, value: &Spanned<DeValue<'_>>, allowed: &str) -> UsageError {
    let found = match value.get_ref() {
        DeValue::Array(_) => "sequence".to_owned(),
        DeValue::Table(_) | DeValue::Datetime(_) => "map".to_owned(),
        DeValue::Integer(_) => format!("integer `{}`", Value::from(value).raw),
        DeValue::Float(number) => format!("floating point `{}`", number.as_str()),
        DeValue::Boolean(truth) => format!("boolean `{truth}`"),
        DeValue::String(text) => format!("string {text:?}"),
    };
    UsageError::new(
        file.place(value.span().start),
        format_args!("invalid type: {found}"),
        allowed,
    )
}

/// The parser's words as what was found and what is allowed.
fn no_toml(file: &SourceFile, error: &toml::de::Error) -> UsageError {
    let place = file.place(error.span().map_or(0, |span| span.start));
    let (problem, allowed) = match error.message().split_once(", expected ") {
        Some((problem, allowed)) => (problem, allowed.trim_start_matches("one of ")),
        None => (error.message(), "TOML, `key = value` on a line, each key once"),
    };
    UsageError::new(place, problem, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_key_with_a_dot_is_no_key_in_a_table() {
        for text in [
            "\"log.level\" = \"info\"",
            "\"guard.commands\" = {}",
            "\"\" = 1",
            "\"log.\" = {}",
        ] {
            let (name, text) = ("t.toml".to_owned(), text.to_owned());
            let line = Layer::of_file(&SourceFile { name, text })
                .err()
                .map(|error| error.to_string());
            let line = line.expect("a mistake");
            assert!(line.starts_with("t.toml:1: unknown key `"), "{line}");
        }
    }
}

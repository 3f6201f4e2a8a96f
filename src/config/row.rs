//! What is known of a setting, as a row of a table.

use super::error::UsageError;
use super::field::{Field, Fields};

/// A setting of the type `T`, which holds its value.
pub(super) struct Row<T: 'static> {
    pub(super) setting: Setting,
    /// Puts what was written in its place.
    pub(super) read: fn(&Field<'_>, &mut T) -> Result<(), UsageError>,
    /// The value in effect, as it stands in a file.
    pub(super) write: fn(&T) -> String,
}

/// What is known of a setting but for its value.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key in a file, with its tables in front.
    pub(crate) key: &'static str,
    pub(super) change: Change,
    /// The flag, and with it the variable, that it can be given by.
    pub(crate) flag: Option<Flag>,
}

/// When a change of a setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// When the settings are read again; what a session was opened with it keeps.
    Live,
    /// In another process: threads and tables are sized by it, what the ledger remembers is read by it, or whoever
    /// started the process relies on it.
    Restart,
}

/// A flag, as the command line and its help have it.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Without its dashes in front.
    pub(crate) name: &'static str,
    /// What stands for its value in the help.
    pub(crate) value: &'static str,
    /// A sentence for people.
    pub(crate) about: &'static str,
    /// What the help says of the default, where it is not the value itself; empty where it says nothing.
    pub(super) default: Option<&'static str>,
    pub(crate) takes: Takes,
}

/// How many values a flag or its variable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// One.
    One,
    /// Several, with commas between.
    Commas,
    /// One each time that the flag is given; the variable has commas between.
    Repeats,
    /// `true` or `false`, or none, which is `true`; the flag has an `=` before it.
    Switch,
}

impl Flag {
    /// A flag that takes one value, and whose default is written as the value is.
    pub(super) const fn new(name: &'static str, value: &'static str, about: &'static str) -> Self {
        Self {
            name,
            value,
            about,
            default: None,
            takes: Takes::One,
        }
    }

    /// With these words for the default; none to say nothing of it.
    pub(super) const fn default(mut self, words: &'static str) -> Self {
        self.default = Some(words);
        self
    }

    /// With several values.
    pub(super) const fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }
}

/// The row of a key whose value is a field of what holds it: key, field, kind, when it can change, and its flag, if any.
macro_rules! row {
    ($key:literal, $($field:ident).+, $kind:expr, $change:ident $(, $flag:expr)?) => {
        Row {
            setting: Setting {
                key: $key,
                change: Change::$change,
                flag: row!(@flag $($flag)?),
            },
            read: |field, to| {
                to.$($field).+ = $kind.read(field)?;
                Ok(())
            },
            write: |of| $kind.write(&of.$($field).+),
        }
    };
    (@flag) => { None };
    (@flag $flag:expr) => { Some($flag) };
}
pub(super) use row;

impl<T: 'static> Row<T> {
    /// The row of a key that has no field of its own: it is read together with others, elsewhere.
    pub(super) const fn together(
        key: &'static str,
        change: Change,
        flag: Option<Flag>,
        write: fn(&T) -> String,
    ) -> Self {
        Self {
            setting: Setting { key, change, flag },
            read: |_, _| Ok(()),
            write,
        }
    }
}

/// Puts all that was written for these rows in its place.
pub(super) fn read<T: 'static>(
    rows: impl IntoIterator<Item = &'static Row<T>>,
    fields: &Fields<'_>,
    to: &mut T,
) -> Result<(), UsageError> {
    for row in rows {
        if let Some(field) = fields.get(row.setting.key) {
            (row.read)(&field, to)?;
        }
    }
    Ok(())
}

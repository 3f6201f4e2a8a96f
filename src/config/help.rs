//! What the help says of the flags that stand for settings.

use super::row::{Flag, Takes};
use super::schema::settings;
use super::settings::Settings;
use super::value::variable;

/// Every flag that stands for a setting, with a sentence, the default and the variable, in the order of the help.
pub(crate) fn flags() -> Vec<(&'static Flag, String)> {
    let defaults = Settings::default().values();
    let flags = settings().filter_map(|setting| Some((setting.key, setting.flag.as_ref()?)));
    let help = |(key, flag): (&str, &'static Flag)| {
        let value = defaults.get(key).map_or("", String::as_str);
        let default = match flag.default.unwrap_or(value.trim_matches(['[', ']', '"'])) {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        let separated = match flag.takes {
            Takes::Repeats => ", comma separated",
            Takes::One | Takes::Commas | Takes::Switch => "",
        };
        let variable = variable(flag.name);
        (
            flag,
            format!("{}{default} [variable: {variable}{separated}]", flag.about),
        )
    };
    flags.map(help).collect()
}

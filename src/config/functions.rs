//! `[guard.ext]`: what script functions mean. Its keys are the operator's own.

use std::collections::BTreeMap;

use super::error::{UsageError, quoted};
use super::field::Fields;
use super::kind::{is_argument, string};
use super::value::Value;
use super::words::{MEANINGS, meaning, word, words};
use crate::guard::rules::ExtMeaning;

/// What each function means, by its name.
pub(super) fn read(
    fields: &Fields<'_>,
    written: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, ExtMeaning>, UsageError> {
    let function = |(name, value): (&String, &Value)| {
        let field = fields.field("guard.ext", value);
        if !is_argument(name) {
            let problem = format_args!("{} is no function's name", quoted(name));
            return Err(field.refuse(problem, "1 to 1023 bytes, no control characters"));
        }
        let means = field.text().and_then(|word| meaning(MEANINGS, word));
        let problem = format_args!("{}.{} is {}", field.name(), quoted(name), value.raw);
        let means = means.ok_or_else(|| field.refuse(problem, words(MEANINGS)))?;
        Ok((name.clone(), means))
    };
    written.iter().map(function).collect()
}

/// The lines of the table.
pub(super) fn write(functions: &BTreeMap<String, ExtMeaning>) -> String {
    let line = |(name, meaning): (&String, _)| format!("{} = {}\n", string(name), string(word(MEANINGS, meaning)));
    functions.iter().map(line).collect()
}

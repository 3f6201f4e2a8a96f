//! The bounds that `optimize` can set, and that no store here has.

use crate::command::function::until_nul;

/// Whether the parameters of `optimize` (`name=value`, joined by `#`) bound the store by dropping records.
/// A bound of zero or below is none.
pub fn asks_for_bounds(parameters: &[u8]) -> bool {
    until_nul(parameters).split(|byte| *byte == b'#').any(|parameter| {
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        let value = parameter.get(name.len() + 1..).unwrap_or_default();
        let bounds = name.eq_ignore_ascii_case(b"capnum") || name.eq_ignore_ascii_case(b"capsiz");
        bounds && value.iter().any(|byte| (b'1'..=b'9').contains(byte)) && !value.contains(&b'-')
    })
}

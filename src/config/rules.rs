//! The guard's rules, from written to validated.

use std::collections::BTreeMap;

use super::error::{UsageError, quoted};
use super::given::Given;
use super::item::{function_name, text};
use super::names::{LEDGERS, MEANINGS, MODES, POLICIES, TIES, meaning, words};
use super::ranges;
use super::stamp;
use super::validate::Validator;
use super::written::{CommandsWritten, GuardWritten, StampWritten};
use crate::guard::rules::{ExtMeaning, Policy, Rules, UnorderedPolicies};
use crate::guard::stamp::StampFormat;

impl<'a> Validator<'a> {
    fn stamp(&self, written: &'a StampWritten) -> Result<StampFormat, UsageError> {
        let digits = self.item("stamp.digits", &written.digits);
        let unit = self.item("stamp.unit", &written.unit);
        stamp::resolve(digits, unit)
    }

    /// Nothing where it is empty.
    fn column(&self, written: &'a StampWritten) -> Result<Option<String>, UsageError> {
        let allowed = "a column's name of at most 1023 bytes without control characters, or nothing between the quotes";
        let name = self
            .item("stamp.column", &written.column)
            .parsed(String::new(), allowed, |name| {
                (name.is_empty() || function_name(name).is_ok()).then(|| name.to_owned())
            })?;
        Ok((!name.is_empty()).then_some(name))
    }

    pub(super) fn rules(&self, written: &'a GuardWritten, stamp: &'a StampWritten) -> Result<Rules, UsageError> {
        let item = |key, given| self.item(key, given);
        let default = Rules::default();
        Ok(Rules {
            stamp: self.stamp(stamp)?,
            column: self.column(stamp)?,
            mode: item("guard.mode", &written.mode).word(MODES, default.mode)?,
            ledger: item("guard.ledger", &written.ledger).word(LEDGERS, default.ledger)?,
            tie: item("guard.tie", &written.tie).word(TIES, default.tie)?,
            future_tolerance: item("guard.future_tolerance", &written.future_tolerance)
                .duration(ranges::FUTURE_TOLERANCE, default.future_tolerance)?,
            delete_tolerance: item("guard.delete_tolerance", &written.delete_tolerance)
                .duration(ranges::DELETE_TOLERANCE, default.delete_tolerance)?,
            unstamped: item("guard.unstamped", &written.unstamped).word(POLICIES, default.unstamped)?,
            unordered: self.unordered(&written.commands)?,
            ext: self.functions(&written.ext)?,
        })
    }

    fn unordered(&self, written: &'a CommandsWritten) -> Result<UnorderedPolicies, UsageError> {
        let policy = |key, given, default: Policy| self.item(key, given).word(POLICIES, default);
        let default = UnorderedPolicies::default();
        Ok(UnorderedPolicies {
            putcat: policy("guard.commands.putcat", &written.putcat, default.putcat)?,
            putshl: policy("guard.commands.putshl", &written.putshl, default.putshl)?,
            addint: policy("guard.commands.addint", &written.addint, default.addint)?,
            adddouble: policy("guard.commands.adddouble", &written.adddouble, default.adddouble)?,
            ext: policy("guard.commands.ext", &written.ext, default.ext)?,
            misc: policy("guard.commands.misc", &written.misc, default.misc)?,
        })
    }

    fn functions(&self, written: &'a BTreeMap<String, Given>) -> Result<BTreeMap<String, ExtMeaning>, UsageError> {
        let function = |(name, given): (&String, &'a Given)| {
            let item = self.item("guard.ext", &None).with(given);
            function_name(name).map_err(|problem| item.refuse(problem, "1 to 1023 bytes, no control characters"))?;
            let means = text(&given.raw).and_then(|word| meaning(MEANINGS, word));
            let means = means.ok_or_else(|| {
                item.refuse(
                    format_args!("guard.ext.{} is {}", quoted(name), given.raw),
                    words(MEANINGS),
                )
            })?;
            Ok((name.clone(), means))
        };
        written.iter().map(function).collect()
    }
}

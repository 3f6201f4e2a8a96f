//! What a reload may change.

use super::print::Texts;
use super::row::Change;
use super::schema::settings;
use super::settings::Settings;

/// Changes that need a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; allowed: {}", self.problem(), Self::ALLOWED)]
pub struct NeedsRestart {
    /// The keys, in their order in the alphabet.
    pub keys: Vec<&'static str>,
}

impl NeedsRestart {
    /// What would have been right.
    pub const ALLOWED: &str = "a reload that leaves these as they are, or a restart";

    /// What is wrong.
    pub fn problem(&self) -> String {
        format!("cannot change while ttguard runs: {}", self.keys.join(", "))
    }
}

impl Settings {
    /// The keys whose values differ, in their order in the alphabet.
    pub fn changes(&self, other: &Self) -> Vec<&'static str> {
        let (ours, theirs): (Texts, Texts) = (self.values(), other.values());
        let differ = |key: &&&'static str| ours.get(**key) != theirs.get(**key);
        let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).filter(differ).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The keys that a reload from these settings to `new` changes. It is all or nothing: a process that runs half by
    /// one file and half by another is in no file.
    ///
    /// # Errors
    /// When any of the changes needs a restart.
    pub fn reloadable(&self, new: &Self) -> Result<Vec<&'static str>, NeedsRestart> {
        let keys = self.changes(new);
        let needs_restart = |key: &&str| settings().any(|one| one.key == *key && one.change == Change::Restart);
        let mut fixed: Vec<_> = keys.iter().copied().filter(needs_restart).collect();
        // A store inside this process is no server somewhere else.
        if keys.contains(&"backend") && !(self.backend.is_server() && new.backend.is_server()) {
            fixed.insert(0, "backend");
        }
        if fixed.is_empty() {
            Ok(keys)
        } else {
            Err(NeedsRestart { keys: fixed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What needs a restart; whoever adds a key decides it in its row.
    const FIXED: [&str; 25] = [
        "admin",
        "workers",
        "lanes",
        "bulk_lanes",
        "primed_lanes",
        "busy_poll",
        "stamp.digits",
        "stamp.unit",
        "stamp.source",
        "stamp.mark",
        "stamp.column",
        "store.sync",
        "store.sync_interval",
        "store.copy_dir",
        "guard.ledger_memory",
        "limits.slow_connections",
        "log.format",
        "log.file",
        "pid_file",
        "takeover",
        "takeover_kill",
        "claim",
        "claim_timeout",
        "standby",
        "edge_of",
    ];

    fn load(text: &str) -> Settings {
        Settings::from_toml("t.toml", text).expect(text)
    }

    #[test]
    fn every_key_either_can_be_reloaded_or_needs_a_restart() {
        let mut known: Vec<_> = settings().map(|setting| setting.key).collect();
        known.sort_unstable();
        assert_eq!(known, Settings::default().values().keys().copied().collect::<Vec<_>>());
        let fixed = settings().filter(|setting| setting.change == Change::Restart);
        let mut fixed: Vec<_> = fixed.map(|setting| setting.key).collect();
        let mut expected = FIXED.to_vec();
        fixed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(fixed, expected);
    }

    #[test]
    fn a_reload_is_all_or_nothing() {
        let tyrant = load("backend = \"tyrant://a:1\"");
        let mut other = load("backend = \"tyrant://b:1\"\nlog.level = \"debug\"\n[guard]\nmode = \"observe\"");
        assert_eq!(tyrant.reloadable(&tyrant), Ok(vec![]));
        assert_eq!(
            tyrant.reloadable(&other),
            Ok(vec!["backend", "guard.mode", "log.level"])
        );
        other.workers += 1;
        let refused = tyrant.reloadable(&other).expect_err("workers are fixed").to_string();
        assert!(
            refused.starts_with("cannot change while ttguard runs: workers; allowed: "),
            "{refused}"
        );
        let refused = load("").reloadable(&tyrant).expect_err("another kind of store");
        assert_eq!(refused.keys, ["backend"]);
        let listeners =
            load("[[listener]]\naddress = \"h:1\"\n[[listener]]\naddress = \"h:2\"\ndialect = \"pytyrant\"");
        assert_eq!(load("").reloadable(&listeners), Ok(vec!["listen", "listener"]));
    }
}

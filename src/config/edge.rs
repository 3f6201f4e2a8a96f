//! An edge: what it asks, and what only its guards can be told.

use super::address::BackendUrl;
use super::error::UsageError;
use super::field::Fields;
use super::schema;
use super::settings::Settings;

/// What judges writes, or takes a claim. An edge does neither: written for one, these would do nothing. `stamp.digits`,
/// `stamp.unit` and `guard.ledger` are not among them, for `verify` and `gc` read them too.
const OF_GUARDS: [&str; 15] = [
    "standby",
    "stamp.column",
    "guard.mode",
    "guard.tie",
    "guard.future_tolerance",
    "guard.delete_tolerance",
    "guard.unstamped",
    "guard.stale_reply",
    "guard.verify_reads",
    "guard.commands.putcat",
    "guard.commands.putshl",
    "guard.commands.addint",
    "guard.commands.adddouble",
    "guard.commands.ext",
    "guard.commands.misc",
];

/// Makes the first guard what requests go to, and refuses what an edge has no use for.
pub(super) fn resolve(fields: &Fields<'_>, settings: &mut Settings) -> Result<(), UsageError> {
    let Some(first) = settings.edge_of.first().cloned() else {
        return Ok(());
    };
    // As settings are printed, they name the first guard twice.
    if fields.get("backend").is_some() && settings.backend != first {
        let problem = "edge_of and backend both say where requests go";
        return Err(fields.refuse("edge_of", problem, "one of them"));
    }
    settings.backend = first;
    let default = Settings::default();
    let rows = schema::rows().filter(|row| OF_GUARDS.contains(&row.setting.key));
    for row in rows {
        if (row.write)(settings) != (row.write)(&default) {
            let key = row.setting.key;
            let problem = format_args!("{key} does nothing where edge_of has others judge");
            return Err(fields.refuse(key, problem, "in the settings of the guard, or without edge_of"));
        }
    }
    Ok(())
}

impl Settings {
    /// Whatever requests go to: the guards of an edge, or else the one store.
    pub fn upstreams(&self) -> &[BackendUrl] {
        if self.is_edge() {
            &self.edge_of
        } else {
            std::slice::from_ref(&self.backend)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Settings {
        Settings::from_toml("t.toml", text).expect(text)
    }

    #[test]
    fn every_key_that_is_for_guards_has_a_row() {
        for key in OF_GUARDS {
            assert!(schema::rows().any(|row| row.setting.key == key), "{key}");
        }
    }

    #[test]
    fn an_edge_asks_its_guards_and_nothing_else() {
        let text = "edge_of = [\"tyrant://a:1\", \"tyrant:/b\"]";
        let edge = load(text);
        assert!(edge.is_edge() && !edge.claims());
        assert_eq!(edge.backend.to_string(), "tyrant://a:1");
        assert_eq!(edge.upstreams(), edge.edge_of);
        assert_eq!(load(&edge.to_toml()), edge);
        assert_eq!(load(&format!("{text}\nbackend = \"tyrant://a:1\"")), edge);
        let guard = load("edge_of = []\nbackend = \"tyrant://a:1\"");
        assert!(!guard.is_edge() && guard.claims());
        assert_eq!(guard.upstreams(), std::slice::from_ref(&guard.backend));
        assert_eq!(load(&guard.to_toml()), guard);
    }

    #[test]
    fn what_an_edge_has_a_use_for_is_left_to_it() {
        let text = "edge_of = [\"tyrant://a:1\"]\npid_file = \"/p\"\ntakeover = true\ntakeover_kill = true\nclaim = false\n\
            claim_timeout = \"1s\"\nstamp.digits = 16\nguard.ledger = \"record\"\nguard.ledger_memory = \"1MiB\"";
        let edge = load(text);
        assert!(edge.is_edge() && edge.takeover);
        assert_eq!(load(&edge.to_toml()), edge);
    }

    #[test]
    fn each_guard_that_is_spoken_to_by_tls_has_a_trust_of_its_own() {
        let edge = load("edge_of = [\"tyrant://a:1\", \"tyrants://b:1\"]\nbackend_tls.ca = \"/nowhere/at/all\"");
        let [plain, encrypted] = edge.upstreams() else {
            panic!("two guards")
        };
        assert_eq!(edge.trust(), Ok(None));
        assert_eq!(edge.trust_of(plain), Ok(None));
        let line = edge.trust_of(encrypted).expect_err("no such file").to_string();
        assert!(line.starts_with("backend_tls.ca: "), "{line}");
    }

    #[test]
    fn another_guard_needs_a_restart() {
        let (one, other) = ("edge_of = [\"tyrant://a:1\"]", "edge_of = [\"tyrant://b:1\"]");
        let keys = |before: &str, after| load(before).reloadable(&load(after)).map_err(|refused| refused.keys);
        assert_eq!(keys(one, one), Ok(vec![]));
        assert_eq!(keys(one, other), Err(vec!["edge_of"]));
        assert_eq!(keys("backend = \"tyrant://a:1\"", one), Err(vec!["edge_of"]));
        assert_eq!(keys("", one), Err(vec!["backend", "edge_of"]));
    }
}

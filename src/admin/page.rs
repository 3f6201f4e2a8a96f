//! The dashboard: one page that asks for nothing but the JSON of this server.

use bytes::Bytes;

const PAGE: &str = include_str!("page/dashboard.html");
const STYLE: &str = include_str!("page/dashboard.css");
const SCRIPTS: [&str; 3] = [
    include_str!("page/words.js"),
    include_str!("page/chart.js"),
    include_str!("page/dashboard.js"),
];

/// The page and the policy that goes with it: nothing runs but its own script, nothing is loaded from elsewhere.
pub fn page() -> (String, Bytes) {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let page = PAGE
        .replace("{nonce}", &nonce)
        .replace("{style}", STYLE)
        .replace("{script}", &SCRIPTS.concat());
    (policy, page.into())
}

/// A word that nobody can guess, good for one answer.
fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without the system's randomness the word is useless, but there is nothing in the page that it has to keep out.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_loads_nothing() {
        let (policy, page) = page();
        let page = String::from_utf8(page.to_vec()).expect("text");
        for placeholder in ["{nonce}", "{style}", "{script}"] {
            assert!(!page.contains(placeholder), "{placeholder}");
        }
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
        let nonce = nonce.expect("a nonce");
        assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
        // The one address is the name of SVG itself.
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("://"));
        for forbidden in [
            "src=",
            "<link",
            "@import",
            "url(",
            " style=",
            " onclick",
            "innerHTML",
            "eval(",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn two_answers_share_no_nonce() {
        assert_ne!(page().0, page().0);
    }
}

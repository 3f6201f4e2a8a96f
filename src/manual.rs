//! The manual: a page for each subject, here and by `ttguard man TOPIC`.
//!
//! The pages are in `src/manual`. Where one names another as `[limits]`, its last lines say which file that is, for those
//! who read the files; here it is the module, and in a terminal the topic.

/// A page of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// What `ttguard man` calls it.
    pub topic: &'static str,
    /// The file that it is kept in, by its place in the repository.
    pub file: &'static str,
    /// The page in Markdown; its first line is its title.
    pub text: &'static str,
}

/// Turns the table into a module for each page and into [`PAGES`]. The text is that of the module's file, and what else
/// stands in the row.
macro_rules! manual {
    ($($module:ident $topic:literal $($more:expr),*;)*) => {
        manual! { @pages { $($module $topic)* } $($module $topic $($more),*;)* }
    };
    (@pages $links:tt $($module:ident $topic:literal $($more:expr),*;)*) => {
        $(
            // Of several addresses for one name the first one holds: here that of the module.
            #[doc = manual!(@links $links)]
            #[doc = manual!(@text $module $($more),*)]
            pub mod $module {}
        )*

        /// Every page: those for users, for operators, and for those who look closer.
        pub const PAGES: &[Page] = &[$(Page {
            topic: $topic,
            file: concat!("src/manual/", stringify!($module), ".md"),
            text: manual!(@text $module $($more),*),
        }),*];
    };
    (@text $module:ident $($more:expr),*) => {
        concat!(include_str!(concat!("manual/", stringify!($module), ".md")) $(, $more)*)
    };
    (@links { $($module:ident $topic:literal)* }) => {
        concat!($("[", $topic, "]: crate::manual::", stringify!($module), "\n"),*)
    };
}

manual! {
    guard "guard";
    clients "clients";
    protocols "protocols";
    in_front_of_a_server "in-front-of-a-server";
    edges "edges";
    stamps "stamps";
    embedded_store "embedded-store";
    from_ttserver "from-ttserver";
    operating "operating";
    // The file explains itself, and a test holds it against the code.
    settings "settings" "```toml\n", include_str!("../config/ttguard.toml"), "```\n";
    limits "limits";
    security "security";
    dashboard "dashboard";
    metrics "metrics";
    maintenance "maintenance";
    performance "performance";
    differences "differences";
    contributing "contributing";
}

impl Page {
    /// The page on this topic.
    pub fn on(topic: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.topic == topic)
    }

    /// What the page is about, in a line.
    pub fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches("# ")
    }

    /// The page for a terminal: without the addresses of links and the marks around generated tables.
    pub fn plain(&self) -> String {
        let is_shown = |line: &&str| !(line.starts_with("<!--") || line.starts_with('[') && line.contains("]: "));
        let mut text: String = self
            .text
            .lines()
            .filter(is_shown)
            .flat_map(|line| [line, "\n"])
            .collect();
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// The topics, each with its title.
pub fn contents() -> String {
    let width = PAGES.iter().map(|page| page.topic.len()).max().unwrap_or_default();
    let line = |page: &Page| format!("  {:width$}  {}\n", page.topic, page.title());
    PAGES.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_a_terminal_has_its_words_and_nothing_that_only_files_need() {
        for page in PAGES {
            let plain = page.plain();
            assert!(plain.starts_with(&format!("# {}\n\n", page.title())), "{}", page.topic);
            assert!(!plain.contains(".md\n") && !plain.contains("<!--"), "{}", page.topic);
            assert!(plain.len() + 1200 > page.text.len(), "{}", page.topic);
            assert!(plain.ends_with('\n') && !plain.ends_with("\n\n"), "{}", page.topic);
        }
    }

    #[test]
    fn every_topic_is_listed_once_by_a_title_of_its_own() {
        let contents = contents();
        for page in PAGES {
            let line = format!("  {} ", page.topic);
            assert_eq!(contents.matches(&line).count(), 1, "{}", page.topic);
            let title = page.title();
            assert!(title.len() > 10 && title.len() < 100, "{title}");
            assert_eq!(Page::on(page.topic), Some(page));
        }
        assert_eq!(contents.lines().count(), PAGES.len());
        assert_eq!(Page::on("woman"), None);
    }
}

//! What was most likely meant by a name that there is not.

/// Names that differ by more letters than this are different words.
const DISTANCE: usize = 2;

/// The name among these that is spelt nearly like this one; nothing where none is, or this is one of them. Of short names
/// fewer letters may differ: anything is two letters away from `log`.
pub(crate) fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = DISTANCE.min(name.chars().count() / 3);
    let distances = among
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known));
    let (distance, known) = distances.min()?;
    (1..=most).contains(&distance).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_word() {
        let known = ["log", "lanes", "listen", "request_timeout"];
        for (name, meant) in [
            ("lisen", Some("listen")),
            ("request_timout", Some("request_timeout")),
            ("lnaes", Some("lanes")),
            ("lgo", Some("log")),
            ("lanes", None),
            ("port", None),
            ("dog2", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}

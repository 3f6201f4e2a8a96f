//! Files that nobody would write.

use proptest::prelude::*;

use super::load;

/// Words of a settings file and any others, in any order.
fn any_file() -> impl Strategy<Value = String> {
    let words = [
        "listen",
        "stamp",
        "guard.ext",
        "limits.reply",
        "log",
        "[guard]",
        "[[log]]",
        "=",
        "\"",
        "'''",
        "\n",
        "{",
        "1",
    ];
    let word = prop_oneof![
        proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        any::<String>(),
        "[ -~]{0,8}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

/// Any value that TOML has, most of them wrong.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        "[0-9]{1,22}(s|ms|d|MiB|TiB|B)?".prop_map(|text| format!("\"{text}\"")),
        any::<String>().prop_map(|text| toml::Value::String(text).to_string()),
        Just("[[], {}, 1979-05-27]".to_owned()),
    ]
}

fn any_key() -> impl Strategy<Value = String> {
    let template = include_str!("../../../config/ttguard.toml").lines();
    let mut table = String::new();
    let mut keys = Vec::new();
    for line in template {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with("# ")) {
            keys.push(format!("{table}{}", name.trim_start_matches('#')));
        }
    }
    proptest::sample::select(keys)
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in any_file()) {
        if let Err(error) = load(&text) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn any_value_for_any_key_is_taken_or_refused_in_one_line(key in any_key(), value in any_value()) {
        match load(&format!("{key} = {value}")) {
            Ok(settings) => prop_assert_eq!(load(&settings.to_toml()), Ok(settings)),
            Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
        }
    }

    #[test]
    fn what_is_printed_reads_back_the_same(
        times in proptest::array::uniform5(1_000_000u64..300_000_000_000),
        sizes in proptest::array::uniform5((1u64 << 20)..(1 << 28)),
        digits in 1u8..=19,
        name in "[^\\p{Cc}]{1,20}",
        path in "[^\\p{Cc}]{1,25}",
    ) {
        let text = format!(
            "listen = [\"unix:/a\", {}]\nstamp = {{ digits = {digits}, unit = \"opaque\" }}\n\
             guard = {{ ledger_memory = {}, future_tolerance = \"{}ns\", ext = {{ {} = \"put\" }} }}\n\
             pairing = {{ request_timeout = \"{}ns\", fence_timeout = \"{}ns\", connect_timeout = \"{}ns\", start_hold = \"{}ns\" }}\n\
             limits = {{ argument = {}, request = {}, reply = {}, session_backlog = {} }}",
            toml_string(&format!("unix:/b/{path}")), sizes[0], times[0], toml_string(&name), times[1], times[2], times[3],
            times[4], sizes[1], sizes[1] + sizes[2], sizes[3], sizes[4],
        );
        let settings = load(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(load(&settings.to_toml()), Ok(settings));
    }
}

/// A basic string, by other code than what is tested.
fn toml_string(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}

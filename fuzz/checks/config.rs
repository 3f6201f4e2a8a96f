//! What must hold of any text that is read as a settings file.

use ttguard::config::Settings;

/// Checks one input: the text of a file.
///
/// # Panics
/// When a mistake is not told in one line, or when settings are others once they are printed and read again.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match Settings::from_toml("ttguard.toml", text) {
        Ok(settings) => {
            let printed = settings.to_toml();
            assert_eq!(Settings::from_toml("printed", &printed), Ok(settings), "{printed}");
        }
        Err(mistake) => {
            let line = mistake.to_string();
            assert!(line.starts_with("ttguard.toml"), "where is it? {line}");
            assert!(line.contains("; allowed: "), "what is allowed? {line}");
            assert!(!line.contains(char::is_control), "more than a line: {line:?}");
        }
    }
}

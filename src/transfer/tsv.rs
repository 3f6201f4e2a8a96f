//! One record on one line: the key, a tab, the value.
//!
//! Plain lines are those of `tcrmgr`: every byte as it is. They cannot hold a line feed, a carriage return or a zero byte
//! anywhere, nor a tab in a key, and so such records are refused. Escaped lines hold everything, with `\t`, `\n`, `\r`,
//! `\0` and `\\` for these bytes and the backslash; `tcrmgr` does not understand these.

use bytes::Bytes;

/// How a record stands on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// With backslashes.
    Escaped,
}

/// The bytes that have letters of their own.
const LETTERS: [(u8, u8); 5] = [(b'\t', b't'), (b'\n', b'n'), (b'\r', b'r'), (0, b'0'), (b'\\', b'\\')];

impl Form {
    /// The form that `--escape` says.
    pub fn new(escape: bool) -> Self {
        if escape { Self::Escaped } else { Self::Plain }
    }

    /// What a line can be.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Plain => {
                "a key, a tab, a value; no line feed, carriage return or zero byte in either, no tab in the key, or --escape"
            }
            Self::Escaped => {
                "a key, a tab, a value, with \\t, \\n, \\r, \\0 and \\\\ for these bytes and the backslash"
            }
        }
    }

    /// Adds a record as a line.
    ///
    /// # Errors
    /// What the form cannot hold, in words; nothing has been added then.
    pub fn write(self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Plain => {
                if let Some(name) = name_of_any(key, b"\t\n\r\0") {
                    return Err(format!("the key has {name}"));
                }
                if let Some(name) = name_of_any(value, b"\n\r\0") {
                    return Err(format!("the value has {name}"));
                }
                out.extend_from_slice(key);
                out.push(b'\t');
                out.extend_from_slice(value);
            }
            Self::Escaped => {
                escape(key, out);
                out.push(b'\t');
                escape(value, out);
            }
        }
        out.push(b'\n');
        Ok(())
    }

    /// The record on a line, which comes without its line feed.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    pub fn read(self, line: &[u8]) -> Result<(Bytes, Bytes), String> {
        // Lines of a system that ends them with both.
        let line = match self {
            Self::Plain => line.strip_suffix(b"\r").unwrap_or(line),
            Self::Escaped => line,
        };
        if let Some(name) = name_of_any(line, b"\r\0") {
            return Err(format!("has {name}"));
        }
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
            return Err("has no tab between a key and a value".to_owned());
        };
        let (key, value) = (&line[..tab], &line[tab + 1..]);
        match self {
            Self::Plain => Ok((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))),
            Self::Escaped if value.contains(&b'\t') => Err("has a second tab".to_owned()),
            Self::Escaped => Ok((unescape(key)?, unescape(value)?)),
        }
    }
}

fn name_of_any(text: &[u8], bytes: &[u8]) -> Option<&'static str> {
    let found = text.iter().find(|byte| bytes.contains(byte))?;
    Some(match found {
        b'\t' => "a tab",
        b'\n' => "a line feed",
        b'\r' => "a carriage return",
        _ => "a zero byte",
    })
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match LETTERS.iter().find(|(meant, _)| meant == byte) {
            Some((_, letter)) => out.extend([b'\\', *letter]),
            None => out.push(*byte),
        }
    }
}

fn unescape(text: &[u8]) -> Result<Bytes, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let letter = bytes.next().ok_or("ends within an escape")?;
        match LETTERS.iter().find(|(_, known)| known == letter) {
            Some((meant, _)) => out.push(*meant),
            None => return Err(format!("has the unknown escape \\{}", letter.escape_ascii())),
        }
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_lines_are_those_of_tcrmgr() {
        for (line, key, value) in [
            (&b"k\tv"[..], &b"k"[..], &b"v"[..]),
            (b"k\tv\tw", b"k", b"v\tw"),
            (b"\t", b"", b""),
            (b"k\\n\tv\\", b"k\\n", b"v\\"),
            (b"k\tv\r", b"k", b"v"),
        ] {
            let record = Form::Plain.read(line).expect("a record");
            assert_eq!((&record.0[..], &record.1[..]), (key, value));
        }
    }

    #[test]
    fn what_is_no_line_is_said_in_words() {
        for (form, line, problem) in [
            (Form::Plain, &b"key"[..], "has no tab between a key and a value"),
            (Form::Plain, b"", "has no tab between a key and a value"),
            (Form::Plain, b"k\ta\rb", "has a carriage return"),
            (Form::Plain, b"k\ta\0b", "has a zero byte"),
            (Form::Escaped, b"k\tv\r", "has a carriage return"),
            (Form::Escaped, b"k\tv\tw", "has a second tab"),
            (Form::Escaped, b"k\\x\tv", "has the unknown escape \\x"),
            (Form::Escaped, b"k\tv\\", "ends within an escape"),
        ] {
            assert_eq!(form.read(line), Err(problem.to_owned()));
        }
        let mut out = Vec::new();
        for (key, value, problem) in [
            (&b"a\tb"[..], &b""[..], "the key has a tab"),
            (b"a", b"\n", "the value has a line feed"),
            (b"a", b"\r", "the value has a carriage return"),
            (b"\0", b"", "the key has a zero byte"),
        ] {
            assert_eq!(Form::Plain.write(key, value, &mut out), Err(problem.to_owned()));
        }
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn every_record_comes_back_exactly_or_is_refused(
            key in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\t'), Just(b'\\'), Just(b'\n')], 0..20),
            value in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\t'), Just(b'\\'), Just(0)], 0..20),
        ) {
            for form in [Form::Plain, Form::Escaped] {
                let mut out = Vec::new();
                match form.write(&key, &value, &mut out) {
                    Ok(()) => {
                        prop_assert_eq!(out.pop(), Some(b'\n'));
                        prop_assert!(!out.contains(&b'\n'));
                        let (key_read, value_read) = form.read(&out).expect("a record");
                        prop_assert_eq!((&key_read[..], &value_read[..]), (&key[..], &value[..]));
                    }
                    Err(_) => prop_assert_eq!(form, Form::Plain),
                }
            }
        }

        #[test]
        fn no_line_is_too_strange(line: Vec<u8>) {
            let _ = (Form::Plain.read(&line), Form::Escaped.read(&line));
        }
    }
}

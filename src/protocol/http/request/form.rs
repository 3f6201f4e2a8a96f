//! The body of a `POST` that calls a `misc` function: names and values, of which the values are the arguments.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::Fault;
use crate::command::function::Function;
use crate::protocol::http::escape;
use crate::protocol::text;
use crate::protocol::tyrant::limits::Limits;

/// The values of a body in the manner of `application/x-www-form-urlencoded`, in the order in which their names come:
/// the arguments of `function`. Values of one name are one argument, with a NUL between them.
pub(super) fn values(body: &Bytes, function: &[u8], limits: &Limits) -> Result<Vec<Bytes>, Fault> {
    let mut places = HashMap::new();
    let mut values: Vec<Bytes> = Vec::new();
    for field in body.split(|byte| matches!(byte, b'&' | b';')) {
        let start = field.iter().position(|byte| *byte > b' ');
        let Some(field) = start.map(|start| &field[start..]) else {
            continue;
        };
        let equals = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = (&field[..equals], field.get(equals + 1..).unwrap_or_default());
        let (name, value) = (decoded(body, name)?, decoded(body, value)?);
        let place = *places.entry(name).or_insert(values.len());
        match values.get_mut(place) {
            Some(first) => {
                let mut joined = BytesMut::with_capacity(first.len() + 1 + value.len());
                joined.put_slice(first);
                joined.put_u8(0);
                joined.put_slice(&value);
                *first = joined.freeze();
            }
            None => {
                text::count(values.len() + 1, limits)?;
                values.push(value);
            }
        }
    }
    let part = Function::parts(function);
    for (at, value) in values.iter().enumerate() {
        text::size(value.len() as i128, part(at), limits)?;
    }
    Ok(values)
}

/// Part of the body without its escapes.
fn decoded(body: &Bytes, part: &[u8]) -> Result<Bytes, Fault> {
    if part.contains(&0) {
        return Err(Fault::BadEscape);
    }
    // An empty part may lie behind the body's last byte.
    let part = if part.is_empty() {
        Bytes::new()
    } else {
        body.slice_ref(part)
    };
    escape::decode(part).ok_or(Fault::BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        frame_max: 100,
        ..Limits::SMALL
    };

    fn read(body: &'static str) -> Result<Vec<Bytes>, Fault> {
        values(&Bytes::from(body), b"putlist", &LIMITS)
    }

    #[test]
    fn values_are_read_as_the_server_reads_them() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("0=k1&1=v%31", &["k1", "v1"]),
            ("x=a;y=b", &["a", "b"]),
            ("&& ;", &[]),
            ("k&=v", &["", "v"]),
            (" x = a & y=b+c", &[" a ", "b c"]),
            ("a=1&b=2&%61=3", &["1\x003", "2"]),
            ("a=b=c", &["b=c"]),
        ];
        for (body, wanted) in cases {
            assert_eq!(read(body).unwrap(), wanted, "{body}");
        }
    }

    #[test]
    fn a_form_is_bounded_and_its_escapes_are_whole() {
        assert_eq!(read("a=1&b=2&c=3&d=4").unwrap_err().name(), "too_many_arguments");
        assert_eq!(read("a=%4"), Err(Fault::BadEscape));
        assert_eq!(read("a\0=1"), Err(Fault::BadEscape));
    }
}

//! The lines of a head, taken apart.

use nom::bytes::complete::{take_till, take_till1, take_while1};
use nom::character::complete::char;
use nom::combinator::all_consuming;
use nom::sequence::separated_pair;
use nom::{IResult, Parser};

/// Method, and target with version.
pub(super) type Words<'a> = IResult<&'a [u8], (&'a [u8], (&'a [u8], &'a [u8])), ()>;

/// Method, target and version, with one space between them.
pub(super) fn request(line: &[u8]) -> Words<'_> {
    let word = || take_till1(|byte: u8| byte <= b' ' || byte == 0x7F);
    let target_and_version = separated_pair(word(), char(' '), word());
    all_consuming(separated_pair(word(), char(' '), target_and_version)).parse(line)
}

/// A name, a colon right behind it, and a value. A line that goes on with the one before it has no name.
pub(super) fn header(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8]), ()> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let value = take_till(|byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7F);
    all_consuming(separated_pair(take_while1(is_name), char(':'), value)).parse(line)
}

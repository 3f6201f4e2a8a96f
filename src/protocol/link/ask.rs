//! What a client of an edge's asks.
//!
//! ```text
//! client: u32 | milliseconds left: u32 | stamp: u64 | form: u8 | edit: u8 (| by: i64) | a whole request of Tyrant's binary protocol
//! ```

use bytes::{Buf, BytesMut};
use nom::combinator::{fail, verify};
use nom::number::complete::{be_i64, be_u8, be_u32, be_u64};
use nom::{IResult, Parser};

use super::{Fault, Kind};
use crate::command::edit::Edit;
use crate::protocol::answer::Form;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::{http, memcached};

/// What is known of a request but for its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which of the edge's clients asks.
    pub client: u32,
    /// Milliseconds that are left until it is to be answered.
    pub left: u32,
    /// The stamp that the edge has given it, where edges give stamps and it is a write; nothing, which is sent as 0, where
    /// the guard is to give it.
    pub stamp: Option<u64>,
    /// How its client wants it answered: of that only what matters to who carries it out.
    pub form: Form,
    /// How it differs from its command.
    pub edit: Option<Edit>,
}

/// The greatest stamp that an edge can give: 16 digits.
const STAMP_MAX: u64 = 9_999_999_999_999_999;

/// The forms that make a difference to who carries a request out.
const FORMS: [(u8, Form); 5] = [
    (0, Form::Binary(Dialect::Tyrant)),
    (1, Form::Binary(Dialect::PyTyrant)),
    (2, Form::Memcached(text(memcached::reply::Asked::Values))),
    (3, Form::Memcached(text(memcached::reply::Asked::Version))),
    (
        4,
        Form::Http(http::reply::Form {
            asked: http::reply::Asked::Get,
            close: false,
            says_kept: false,
        }),
    ),
];

const fn text(asked: memcached::reply::Asked) -> memcached::reply::Form {
    memcached::reply::Form { asked, silent: false }
}

/// The number of the form that makes the same difference.
fn number_of(form: Form) -> u8 {
    match form {
        Form::Binary(Dialect::Tyrant) => 0,
        Form::Binary(Dialect::PyTyrant) => 1,
        Form::Memcached(_) if form.asks_for_version() => 3,
        Form::Memcached(_) => 2,
        Form::Http(_) => 4,
    }
}

impl Ask {
    /// Adds the body to `out`, but for the command, which goes behind it.
    pub fn put(&self, out: &mut Outgoing) {
        out.put_slice(&self.client.to_be_bytes());
        out.put_slice(&self.left.to_be_bytes());
        out.put_slice(&self.stamp.unwrap_or(0).to_be_bytes());
        out.put_u8(number_of(self.form));
        match self.edit {
            None => out.put_u8(0),
            Some(Edit::IfPresent) => out.put_u8(1),
            Some(Edit::Prepend) => out.put_u8(2),
            Some(Edit::Decimal(by)) => {
                out.put_u8(3);
                out.put_slice(&by.to_be_bytes());
            }
        }
    }

    /// Takes all but the command off a body.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(body: &mut BytesMut) -> Result<Self, Fault> {
        let (rest, ask) = ask(body).map_err(|_| Fault::Body(Kind::Ask))?;
        let taken = body.len() - rest.len();
        body.advance(taken);
        Ok(ask)
    }
}

fn ask(input: &[u8]) -> IResult<&[u8], Ask> {
    let form = be_u8.map_opt(|number| {
        let found = FORMS.iter().find(|(known, _)| *known == number);
        found.map(|(_, form)| *form)
    });
    let stamp = verify(be_u64, |stamp| *stamp <= STAMP_MAX).map(|stamp| Some(stamp).filter(|stamp| *stamp != 0));
    (be_u32, be_u32, stamp, form, edit)
        .map(|(client, left, stamp, form, edit)| Ask {
            client,
            left,
            stamp,
            form,
            edit,
        })
        .parse(input)
}

fn edit(input: &[u8]) -> IResult<&[u8], Option<Edit>> {
    let (input, tag) = be_u8(input)?;
    match tag {
        0 => Ok((input, None)),
        1 => Ok((input, Some(Edit::IfPresent))),
        2 => Ok((input, Some(Edit::Prepend))),
        3 => be_i64.map(|by| Some(Edit::Decimal(by))).parse(input),
        _ => fail().parse(input),
    }
}

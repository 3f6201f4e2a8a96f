//! HTTP/1.0 and 1.1, as Tokyo Tyrant 1.1.41 speaks it on its port: a record for each URI.
//!
//! `GET`, `HEAD`, `PUT` and `DELETE` read, measure, store and remove the record whose key is the URI's path, without its
//! first slash and with its escapes undone. `PUT` with `X-TT-PDMODE: 1` keeps a record that is there, with 2 it appends.
//! `POST` calls the script function `X-TT-XNAME` or the `misc` function `X-TT-MNAME` (with `X-TT-XOPTS` and
//! `X-TT-MOPTS`); `OPTIONS` tells the server's status.
//!
//! What the server reads over is refused here where two readers could understand it differently: see
//! [`request::Fault`].

pub(crate) mod escape;
pub mod host;
pub mod reply;
pub mod request;

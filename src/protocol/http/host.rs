//! By what name a request asks.
//!
//! A page that somebody opens in a browser can have its own name point to an address of this machine, and then asks there
//! as if it were at home (DNS rebinding). It cannot choose which address stands in the name's place, nor the names that
//! this machine knows.

use std::net::IpAddr;

use hyper::http::uri::Authority;

/// Whether nobody else can have made this value of `Host`, a name or an address and perhaps a port, point here: it is an
/// address, `localhost`, or one of `names`.
pub fn is_ours(host: &[u8], names: &[String]) -> bool {
    let Ok(authority) = Authority::try_from(host) else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let mut known = names.iter().map(String::as_str).chain(["localhost"]);
    address.parse::<IpAddr>().is_ok() || known.any(|known| known.eq_ignore_ascii_case(name))
}

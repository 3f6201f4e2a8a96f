//! Text requests that were never recorded: asked of a real server, and answered the same through the guard.

use std::net::SocketAddr;

use crate::support::client::Client;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::memcached::store;
use crate::support::real::Real;

/// Answered by nothing else, it marks the end of what came before.
const LAST: &str = "version\r\n";
const LAST_ANSWER: &[u8] = b"VERSION 1.1.41\r\n";

/// The name in absolute URIs is served.
/// Some cases count beyond what is a time today, which is refused where refusals are not only counted.
const SETTINGS: &str = "http_hosts = [\"h\"]\n[guard]\nmode = \"observe\"\n";

/// Each is asked of an empty database, on one connection.
fn cases() -> Vec<String> {
    let get = |path: &str| http::request("GET", path, &[], "");
    let put = |path: &str, value: &str| http::request("PUT", path, &[], value);
    let misc = |name: &str, form: &str| http::request("POST", "/", &[&format!("X-TT-MNAME: {name}")], form);
    let numbers = [
        "1a2",
        " -5",
        "+5.9",
        "",
        "x",
        "-",
        "+99999999999999999999",
        "-9223372036854775808",
        "\t7",
    ];
    let amounts = ["1", "0", "-10", "+3", "4294967296", "9000000000000000000"];
    let mut cases = Vec::new();
    for number in numbers {
        for amount in amounts {
            let start = store("set", "n", number);
            cases.push(format!("{start}incr n {amount}\r\ndecr n {amount}\r\nget n\r\n"));
        }
    }
    for verb in ["set", "add", "replace", "append", "prepend"] {
        for value in ["", "x", "\r\n", "END\r\n"] {
            let (once, there) = (store(verb, "k", value), store("set", "k", "there"));
            cases.push(format!("{once}get k\r\n"));
            cases.push(format!("{there}{once}gets k other k\r\n"));
            cases.push(format!(
                "{there}{verb} k 9 -1 {} noreply\r\n{value}\r\nget k\r\n",
                value.len()
            ));
            cases.push(format!(
                "{there}{verb}  k\tx y {} x noreply\n{value}\r\nget  k \n",
                value.len()
            ));
        }
    }
    for line in [
        "delete k",
        "delete k 0",
        "delete k noreply",
        "delete k 0 noreply",
        "delete k 0 1 noreply",
        "flush_all",
        "flush_all 10",
        "flush_all noreply",
        "flush_all 5 noreply",
        "incr k 1 noreply",
        "incr k 1 x",
        "decr none 1 noreply",
        "get none",
        "get k k k",
        "gets none k",
    ] {
        cases.push(format!("{}{line}\r\nget k\r\n", store("set", "k", "5")));
    }
    for path in [
        "/k",
        "k",
        "//k",
        "/k/",
        "/",
        "/a+b",
        "/a%20b",
        "/%41%5b%5B",
        "/?x=1&y#z",
        "/%00",
        "*",
        "http://h/k",
        "HTTP://h:1/a%2Fb",
        "http://h",
        "/%C3%A4",
        "/k%2B",
    ] {
        let (write, read) = (put(path, "value"), get(path));
        let measure = http::request("HEAD", path, &[], "");
        let remove = http::request("DELETE", path, &[], "");
        cases.push(format!("{write}{read}{remove}{measure}{read}{remove}"));
        cases.push(format!(
            "{}{read}",
            http::request("PUT", path, &["X-TT-PDMODE: 1"], "x")
        ));
        cases.push(format!(
            "{write}{}{read}",
            http::request("PUT", path, &["X-TT-PDMODE: 2"], "x")
        ));
        cases.push(format!(
            "{write}{}{read}",
            http::request("PUT", path, &["x-tt-pdmode:9"], "")
        ));
    }
    for form in [
        "",
        "0=k&1=v",
        "a=k;b=v",
        "k&=v",
        " x = a & y=b+c",
        "0=k&1=v&2",
        "%30=k&1=%76&q=k2&r=%2B",
        "a=k=l&b==",
        "&&a=k&;b=v&",
        "a=k&b=v&a=w",
        "=k&x=v",
    ] {
        let list = misc("putlist", form);
        let read = misc("getlist", "0=k&1= a &2=k=l&3=k%00w&4=");
        cases.push(format!("{list}{read}{}", misc("getlist", form)));
        cases.push(format!("{list}{}{read}", misc("outlist", form)));
    }
    for name in [
        "get", "out", "put", "putkeep", "putcat", "nofunc", "vanish", "sync", "iterinit",
    ] {
        let (list, read) = (misc("putlist", "0=k&1=v%00 /"), get("/k"));
        cases.push(format!("{list}{}{read}", misc(name, "0=k&1=w")));
        cases.push(format!("{list}{}{read}", misc(name, "0=none")));
    }
    cases.push(http::request("POST", "/k", &["X-TT-XNAME: f", "X-TT-MNAME: get"], "v"));
    cases.push("GET /k HTTP/1.1\nhost:localhost\nx-nothing:\n\n".to_owned());
    cases
}

fn answers(address: SocketAddr) -> Vec<String> {
    let mut client = Client::connect(address);
    let answer = |case: String| {
        client.expect("flush_all\r\n", "OK\r\n");
        client.send((case + LAST).as_bytes());
        String::from_utf8_lossy(&client.recv_until(LAST_ANSWER)).into_owned()
    };
    cases().into_iter().map(answer).collect()
}

pub fn expect_same(real: SocketAddr, guarded: SocketAddr) {
    let (wanted, found) = (answers(real), answers(guarded));
    for ((case, wanted), found) in cases().iter().zip(wanted).zip(found) {
        assert_eq!(found, wanted, "to\n{case}");
    }
}

#[test]
fn the_embedded_store_answers_text_as_a_real_server_does() {
    if let Some(real) = Real::start("*", "the_embedded_store_answers_text_as_a_real_server_does") {
        expect_same(real.address(), Guarded::memory(SETTINGS).address());
    }
}

#[test]
fn through_an_edge_text_is_answered_as_a_real_server_does() {
    if let Some(real) = Real::start("*", "through_an_edge_text_is_answered_as_a_real_server_does") {
        let guard = Guarded::memory(SETTINGS);
        let edge = Guarded::edge_of(&guard, "http_hosts = [\"h\"]\n");
        expect_same(real.address(), edge.address());
    }
}

#[test]
fn in_front_of_a_real_server_text_is_answered_as_without_a_guard() {
    let test = "in_front_of_a_real_server_text_is_answered_as_without_a_guard";
    if let (Some(alone), Some(real)) = (Real::start("*", test), Real::start("*", test)) {
        expect_same(alone.address(), Guarded::before(real.address(), SETTINGS).address());
    }
}

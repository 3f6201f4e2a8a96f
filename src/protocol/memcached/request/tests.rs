use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::fed;

const LIMITS: Limits = Limits {
    argument_max: 64,
    key_max: 64,
    value_max: 64,
    arguments_max: 4,
    frame_max: 100,
};

/// What comes of `bytes` when they arrive `step` at a time: the requests, and the fault or the bytes left over.
fn fed(bytes: &[u8], step: usize) -> (Vec<Incoming>, Result<usize, Fault>) {
    let mut decoder = Decoder::new(LIMITS);
    fed::fed(bytes.chunks(step), |input| decoder.decode(input))
}

fn accepted(bytes: &[u8]) -> Incoming {
    let (mut requests, end) = fed(bytes, 1);
    assert_eq!(end, Ok(0), "{}", bytes.escape_ascii());
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn refused(bytes: &[u8]) -> Fault {
    let whole = fed(bytes, bytes.len());
    assert_eq!(fed(bytes, 1), whole);
    assert_eq!(whole.0, []);
    whole.1.expect_err("a fault")
}

fn request(command: Command, edit: Option<Edit>, asked: Asked, silent: bool) -> Incoming {
    let form = Form { asked, silent };
    Incoming::Request { command, edit, form }
}

#[test]
fn every_verb_is_understood() {
    let key = || Bytes::from_static(b"k");
    let value = || Bytes::from_static(b"v\r\n");
    let put = || Command::Put {
        key: key(),
        value: value(),
    };
    let keep = Command::PutKeep {
        key: key(),
        value: value(),
    };
    let cat = || Command::PutCat {
        key: key(),
        value: value(),
    };
    let add = |number| Command::AddInt { key: key(), number };
    let cases = [
        ("set k 7 9 3\r\nv\r\n\r\n", request(put(), None, Asked::Set, false)),
        ("set k x x 3 noreply\nv\r\n\r\n", request(put(), None, Asked::Set, true)),
        (
            "set k 0 0 3 x noreply\r\nv\r\n\r\n",
            request(put(), None, Asked::Set, false),
        ),
        ("add k 0 0 3\r\nv\r\n\r\n", request(keep, None, Asked::Add, false)),
        (
            "replace k 0 0 3\r\nv\r\n\r\n",
            request(put(), Some(Edit::IfPresent), Asked::Edit, false),
        ),
        (
            "append k 0 0 3\r\nv\r\n\r\n",
            request(cat(), Some(Edit::IfPresent), Asked::Edit, false),
        ),
        (
            "prepend\tk  0 0 3 noreply \r\nv\r\n\r\n",
            request(cat(), Some(Edit::Prepend), Asked::Edit, true),
        ),
        (
            "get k k\r\n",
            request(
                Command::Mget {
                    keys: vec![key(), key()],
                },
                None,
                Asked::Values,
                false,
            ),
        ),
        (
            "gets k\n",
            request(Command::Mget { keys: vec![key()] }, None, Asked::Values, false),
        ),
        (
            "delete k 0 noreply\r\n",
            request(Command::Out { key: key() }, None, Asked::Delete, true),
        ),
        (
            "incr k 3\r\n",
            request(add(3), Some(Edit::Decimal(3)), Asked::Number, false),
        ),
        (
            "decr k 3000000000 noreply\r\n",
            request(add(i32::MIN), Some(Edit::Decimal(-3_000_000_000)), Asked::Number, true),
        ),
        ("stats\r\n", request(Command::Stat, None, Asked::Stats, false)),
        ("version\r\n", request(Command::Stat, None, Asked::Version, false)),
        (
            "flush_all 10 noreply\r\n",
            request(Command::Vanish, None, Asked::Flush, true),
        ),
        ("quit\r\n", Incoming::Quit),
    ];
    for (text, wanted) in cases {
        assert_eq!(accepted(text.as_bytes()), wanted, "{text}");
        assert_eq!(fed(text.as_bytes(), text.len()), (vec![wanted], Ok(0)), "{text}");
    }
}

#[test]
fn every_mistake_has_its_name() {
    let long_key = format!("get {}\r\n", "k".repeat(65));
    let endless = format!("get {}", "k ".repeat(60));
    let cases = [
        ("foo k 5\r\n", "unknown_verb"),
        ("ms k S5\r\nhello\r\n", "unknown_verb"),
        ("ms k\r\n", "unknown_verb"),
        ("cas k 0 0 1 5\r\nx\r\n", "unknown_verb"),
        ("abcdefghijklmnopqrstuvwxyzabcdefg", "unknown_verb"),
        ("get\0", "unknown_verb"),
        ("get a\0b\r\n", "control_byte"),
        ("get a\rb\r\n", "control_byte"),
        ("get\r\n", "missing_argument"),
        ("set foo\r\n", "missing_argument"),
        ("incr k\r\n", "missing_argument"),
        ("incr k x\r\n", "bad_number"),
        ("incr k 9223372036854775808\r\n", "bad_number"),
        ("set k 0 0 1x\r\nv\r\n", "bad_number"),
        ("set k 0 0 -1\r\n", "negative_size"),
        ("set k 0 0 65\r\n", "argument_too_large"),
        ("set k 0 0 99999999999999999999\r\n", "argument_too_large"),
        (&long_key, "argument_too_large"),
        ("set kkkkkkkkkkkkkkkkkkkkkkkkkkkkk 0 0 64\r\n", "frame_too_large"),
        ("get 1 2 3 4 5\r\n", "too_many_arguments"),
        ("set k 0 0 1\r\nvx", "unterminated_value"),
        ("set k 0 0 1\r\nv\n", "unterminated_value"),
        (&endless, "line_too_long"),
    ];
    for (text, name) in cases {
        assert_eq!(refused(text.as_bytes()).name(), name, "{text}");
    }
}

#[test]
fn a_line_of_an_unknown_verb_is_passed_over_where_no_value_can_follow() {
    for (line, silent) in [
        ("touch k 10\r\n", false),
        ("gat 10 k k2\r\n", false),
        ("verbosity 1\n", false),
        ("mg k v t s2\r\n", false),
        ("mn\r\n", false),
        ("touch k 10 noreply\r\n", true),
        ("cache_memlimit 64 noreply\r\n", true),
        ("foo\r\n", false),
        ("foo k1 v\r\n", false),
    ] {
        assert_eq!(accepted(line.as_bytes()), Incoming::Unknown { silent }, "{line}");
    }
    let endless = format!("touch {}", "k".repeat(2100));
    let mut decoder = Decoder::new(Limits::REQUEST);
    let fault = decoder.decode(&mut BytesMut::from(endless.as_bytes()));
    assert_eq!(fault, Err(Fault::LineTooLong(2048)));
}

#[test]
fn a_verb_in_capitals_is_unknown_and_no_http() {
    let taken = |text: &str| take_capitals(&mut BytesMut::from(text.as_bytes()));
    let line = |silent| Capitals::Line(Incoming::Unknown { silent });
    for text in [
        "GET k\r\n",
        "GETS k k\n",
        "STATS\r\n",
        "QUIT\r\n",
        "DELETE k\r\n",
        "FLUSH_ALL\r\n",
        "MG k\r\n",
    ] {
        assert_eq!(taken(text), line(false), "{text}");
        for end in 0..text.len() {
            assert_eq!(taken(&text[..end]), Capitals::Undecided, "{}", &text[..end]);
        }
    }
    assert_eq!(taken("DELETE k noreply\r\n"), line(true));
    for text in [
        "GET /k",
        "GET k HTTP/1.1\r\n",
        "GET a b HTTP/1.1\r\n",
        "SET k 0 0 1\r\n",
        "PUT k\r\n",
        "GET k\rx\r\n",
        "GET\0",
        &format!("GET {}", "k".repeat(2048)),
    ] {
        assert_eq!(taken(text), Capitals::Other, "{text}");
    }
}

/// Lines that come near to being right.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let words = "(set|add|get|gets|incr|delete|quit|prepend|flush_all|sett|) ?(k{0,70}|a b|\0) ?(0 0|) ?([0-9]{1,2}|-1|x) ?(noreply|)";
    let end = prop_oneof!["\r\n", "\n", "\r"];
    (words, end, vec(any::<u8>(), 0..12), "(\r\n|)")
        .prop_map(|(words, end, value, tail)| [words.as_bytes(), end.as_bytes(), &value, tail.as_bytes()].concat())
}

proptest! {
    #[test]
    fn however_it_is_cut_the_same_comes_of_it(lines in vec(lines(), 1..4), step in 1usize..20) {
        let bytes = lines.concat();
        prop_assert_eq!(fed(&bytes, step), fed(&bytes, bytes.len()));
    }

    #[test]
    fn values_come_out_as_they_went_in(value in vec(any::<u8>(), 0..60), step in 1usize..20) {
        let bytes = [format!("set k 0 0 {}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
        let command = Command::Put { key: Bytes::from_static(b"k"), value: value.into() };
        prop_assert_eq!(fed(&bytes, step), (vec![request(command, None, Asked::Set, false)], Ok(0)));
    }
}

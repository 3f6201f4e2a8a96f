use super::*;

fn subjects(names: &[&str]) -> Vec<Subject> {
    names
        .iter()
        .map(|name| Subject::named(name).expect("a name of the mask"))
        .collect()
}

fn access(allow: &[&str], deny: &[&str]) -> Access {
    Access::default().with(&subjects(allow), &subjects(deny))
}

/// The names of what is denied to clients of the binary protocol.
fn denied(access: Access) -> Vec<&'static str> {
    TABLE
        .iter()
        .filter(|row| !access.allows(Protocol::Binary, row.verb))
        .map(|row| row.name)
        .collect()
}

#[test]
fn replication_and_restoring_are_denied_unless_allowed() {
    assert_eq!(denied(Access::default()), ["restore", "setmst", "repl"]);
    assert_eq!(denied(access(&["repl", "setmst", "restore"], &[])), [""; 0]);
    assert_eq!(denied(access(&["all"], &[])), [""; 0]);
    assert_eq!(denied(access(&["repl"], &["vanish"])), ["vanish", "restore", "setmst"]);
}

#[test]
fn the_groups_are_those_of_the_server() {
    let open = |deny: &[&str]| denied(Access::OPEN.with(&[], &subjects(deny)));
    assert_eq!(
        open(&["allread"]),
        [
            "get", "mget", "vsiz", "iterinit", "iternext", "fwmkeys", "rnum", "size", "stat"
        ]
    );
    assert_eq!(
        open(&["allwrite"]),
        [
            "put",
            "putkeep",
            "putcat",
            "putshl",
            "putnr",
            "out",
            "addint",
            "adddouble",
            "vanish",
            "misc"
        ]
    );
    assert_eq!(open(&["allmanage"]), ["sync", "optimize", "copy", "restore", "setmst"]);
    assert_eq!(open(&["all"]).len(), TABLE.len());
    assert_eq!(open(&["allorg"]).len(), TABLE.len() - 1, "all but repl");
    assert_eq!(open(&["allmc", "allhttp"]), [""; 0]);
}

#[test]
fn a_closer_name_goes_before_a_wider_one() {
    let reads_only = access(&["allread"], &["all"]);
    assert_eq!(denied(reads_only).len(), TABLE.len() - 9);
    assert!(reads_only.allows(Protocol::Binary, Verb::Get));
    assert_eq!(
        denied(access(&["allmanage"], &["copy"])),
        ["copy", "repl"],
        "in whatever list it is"
    );
    assert_eq!(denied(access(&["put"], &["allwrite", "all"])).len(), TABLE.len() - 1);
}

#[test]
fn a_denied_protocol_is_denied_whatever_is_said_of_commands() {
    let no_http = access(&["get", "allread"], &["allhttp"]);
    assert!(!no_http.allows(Protocol::Http, Verb::Get));
    assert!(no_http.allows(Protocol::Memcached, Verb::Get));
    let again = no_http.with(&subjects(&["allhttp"]), &[]);
    assert!(again.allows(Protocol::Http, Verb::Get));
    assert!(no_http.with(&[Subject::All], &[]).allows(Protocol::Http, Verb::Get));
}

#[test]
fn what_is_denied_beyond_another_rebuilds_the_difference() {
    for (allow, deny) in [
        (&["repl"][..], &["allwrite", "allmc"][..]),
        (&["all"], &[]),
        (&["put"], &["all", "allhttp"]),
    ] {
        let (base, changed) = (Access::default(), access(allow, deny));
        let rebuilt = base.with(&base.denied_beyond(changed), &changed.denied_beyond(base));
        assert_eq!(rebuilt, changed);
    }
}

#[test]
fn every_name_is_read_as_it_is_written() {
    for name in Subject::names().split(", ") {
        assert_eq!(Subject::named(name).expect(name).to_string(), name);
    }
    for name in ["", "slave", "ALL", "putdup", "0xff"] {
        assert_eq!(Subject::named(name), None, "{name}");
    }
}

#[test]
fn a_function_of_misc_is_denied_with_the_command_that_it_stands_for() {
    let asked = |deny: &[&str], function: &'static str, arguments: &[&'static str]| {
        let command = Command::Misc {
            function: function.into(),
            options: 0,
            arguments: arguments.iter().map(|argument| (*argument).into()).collect(),
        };
        access(&[], deny).denies(Protocol::Binary, &command)
    };
    assert_eq!(asked(&["misc"], "getlist", &["k"]), Some(Verb::Misc));
    assert_eq!(asked(&["vanish"], "vanish", &[]), Some(Verb::Vanish));
    assert_eq!(asked(&["vanish"], "vanish\0x", &[]), Some(Verb::Vanish));
    assert_eq!(asked(&["out"], "search", &["remove"]), Some(Verb::Out));
    assert_eq!(asked(&["out"], "search", &["get"]), None);
    assert_eq!(asked(&["out"], "outlist", &["k"]), Some(Verb::Out));
    assert_eq!(asked(&["put"], "putlist", &[]), Some(Verb::Put));
    assert_eq!(asked(&["out", "put", "get"], "genuid", &[]), None);
    assert_eq!(asked(&["out"], "ttguard_forget", &["600000", "k"]), Some(Verb::Out));
    assert_eq!(asked(&["put"], "ttguard_mend", &["k"]), Some(Verb::Put));
    assert_eq!(asked(&["iternext"], "ttguard_iternext", &[]), Some(Verb::IterNext));
    assert_eq!(asked(&["rnum"], "ttguard_rnum", &[]), Some(Verb::Rnum));
}

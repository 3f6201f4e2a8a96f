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
fn replication_copies_and_restoring_are_denied_unless_allowed() {
    assert_eq!(denied(Access::default()), ["copy", "restore", "setmst", "repl"]);
    assert_eq!(denied(Access::WITH_COPIES), ["restore", "setmst", "repl"]);
    assert_eq!(denied(access(&["repl", "setmst", "restore", "copy"], &[])), [""; 0]);
    assert_eq!(denied(access(&["all"], &[])), [""; 0]);
    assert_eq!(
        denied(access(&["repl"], &["vanish"])),
        ["vanish", "copy", "restore", "setmst"]
    );
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
        (&["mget", "copy_command"], &["get", "out", "copy"]),
        (&["copy"], &["copy_command"]),
    ] {
        let (base, changed) = (Access::default(), access(allow, deny));
        let (allow, deny) = changed.beside(base);
        assert_eq!(base.with(&allow, &deny), changed, "{allow:?} {deny:?}");
    }
}

#[test]
fn what_does_the_same_is_denied_with_it_unless_it_is_allowed_by_name() {
    let open = |allow: &[&str], deny: &[&str]| denied(Access::OPEN.with(&subjects(allow), &subjects(deny)));
    assert_eq!(open(&[], &["get"]), ["get", "mget"]);
    assert_eq!(open(&["allread"], &["get"]), ["get", "mget"]);
    assert_eq!(open(&["mget"], &["get"]), ["get"]);
    assert_eq!(open(&[], &["mget"]), ["mget"]);
    assert_eq!(open(&[], &["put"]), ["put", "putnr"]);
    assert_eq!(open(&[], &["out"]), ["out", "vanish"]);
    // Allowed is what is named, and nothing with it.
    assert!(denied(access(&["out", "get"], &["all"])).contains(&"vanish"));
    assert!(denied(access(&["out", "get"], &["all"])).contains(&"mget"));
}

#[test]
fn a_copy_that_runs_a_program_is_denied_unless_it_is_allowed_by_its_own_name() {
    let denies = |access: Access, path: &'static str| {
        access.denies(Protocol::Binary, &Command::Copy { path: path.into() }) == Some(Verb::Copy)
    };
    for (allow, deny, path_denied, program_denied) in [
        (&[][..], &[][..], true, true),
        (&["copy"], &[], false, true),
        (&["all"], &[], false, true),
        (&["allmanage", "allorg"], &[], false, true),
        (&["copy", "copy_command"], &[], false, false),
        (&["copy_command"], &[], true, false),
        (&["copy_command"], &["allorg"], true, true),
    ] {
        let access = access(allow, deny);
        let found = (denies(access, "/backup"), denies(access, "@/bin/true"));
        assert_eq!(found, (path_denied, program_denied), "{allow:?} {deny:?}");
        assert_eq!(denies(access, "@\0x"), program_denied);
    }
    // A listener that denies copies denies these too, whatever is allowed above it.
    let above = access(&["copy", "copy_command"], &[]);
    for deny in ["copy", "allmanage", "all", "copy_command"] {
        assert!(denies(above.with(&[], &subjects(&[deny])), "@/bin/true"), "{deny}");
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
    for function in [
        "get",
        "getlist",
        "getpart",
        "regex",
        "range",
        "search",
        "iternext",
        "ttguard_iternext",
    ] {
        assert_eq!(asked(&["get"], function, &[]), Some(Verb::Get), "{function}");
    }
    assert_eq!(asked(&["get"], "iterinit", &[]), None);
    assert_eq!(asked(&["out"], "vanish", &[]), Some(Verb::Vanish));
}

//! The files of TLS: wrong ones, and new ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::time::Instant;

use tempfile::TempDir;

use crate::support::authority::{Authority, Signed};
use crate::support::client::PATIENCE;
use crate::support::encrypted::Encrypted;
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::stamped;

fn settings(cert: &str, key: &str, client_ca: &str) -> String {
    let any = if client_ca.is_empty() {
        ""
    } else {
        "allow_san = [\"*\"]\n"
    };
    format!("backend = \"memory:\"\n[tls]\ncert = \"{cert}\"\nkey = \"{key}\"\nclient_ca = \"{client_ca}\"\n{any}")
}

/// What ttguard does, told this with these settings.
fn run(action: &[&str], text: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ttguard.toml");
    std::fs::write(&file, text).expect("write the settings");
    let flags: &[&str] = if action[0] == "serve" {
        &["--listen", "127.0.0.1:0", "--admin", ""]
    } else {
        &[]
    };
    let mut command = Command::new(BINARY);
    command.args(action).args(flags).arg("--config").arg(&file);
    command.output().expect("run ttguard")
}

#[test]
fn wrong_files_are_refused_in_one_line_at_the_start_and_by_check() {
    let authority = Authority::new();
    let (cert, key) = authority.signed("localhost");
    let (_, other_key) = authority.signed("localhost");
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").expect("write");
    let broken = broken.to_str().expect("text");
    for (text, said) in [
        (
            settings("/no/such.pem", &key, ""),
            "tls.cert: \"/no/such.pem\" cannot be read: No such file",
        ),
        (
            settings(&cert, "/no/such.key", ""),
            "tls.key: \"/no/such.key\" cannot be read: No such file",
        ),
        (
            settings(&key, &key, ""),
            "holds no certificate; allowed: a file of certificates in PEM",
        ),
        (settings(broken, &key, ""), "is no PEM"),
        (settings(&cert, &cert, ""), "holds no private key"),
        (settings(&cert, &other_key, ""), "is not the key of tls.cert"),
        (settings(&cert, &key, &key), "tls.client_ca: "),
    ] {
        for action in ["serve", "check"] {
            let done = run(&[action], &text);
            let error = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(2), "{action}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(error.contains(said), "{action}: {error}");
        }
    }
    let done = run(&["check"], &settings(&cert, &key, &authority.cert()));
    assert_eq!(done.status.code(), Some(0), "{done:?}");
}

#[test]
fn new_certificates_are_taken_up_without_a_restart() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let place = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (cert, key) = (place("cert.pem"), place("cert.key"));
    let renew = || {
        let signed = authority.signed("localhost");
        std::fs::copy(signed.0, &cert).expect("copy the certificate");
        std::fs::copy(signed.1, &key).expect("copy the key");
    };
    renew();
    let guarded = Guarded::start(&settings(&cert, &key, ""));
    let connect = || Encrypted::connect(guarded.address(), &authority, None).expect("a handshake");
    // Each worker takes up a reload by itself, soon.
    let until_other = |certificate: &[u8]| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = connect().shown();
            if shown != certificate {
                return shown;
            }
            assert!(Instant::now() < deadline, "the former certificate is still shown");
        }
    };
    let mut old = connect();
    old.send(&frame::store(frame::PUT, "k", b"v"));
    assert_eq!(old.recv(1), [0]);

    let (status, body) = guarded.ask_admin("POST", "/api/reload", "");
    assert!(status == 200 && !body.contains("tls"), "{body}");
    assert_eq!(connect().shown(), old.shown(), "nothing has changed");

    renew();
    let (status, body) = guarded.ask_admin("POST", "/api/reload", "");
    assert_eq!(status, 200, "{body}");
    let second = connect().shown();
    assert_ne!(second, old.shown(), "at once");

    renew();
    guarded.signal(libc::SIGHUP);
    guarded.expect_metric("ttguard_config_reloads_total", &[("outcome", "applied")], 3.0);
    let third = until_other(&second);

    std::fs::write(&cert, "no certificate").expect("write");
    let (status, body) = guarded.ask_admin("POST", "/api/reload", "");
    assert!(status != 200 && body.contains("tls.cert"), "{status} {body}");
    assert_eq!(connect().shown(), third, "the former ones stay");

    old.send(&frame::keyed(frame::GET, "k"));
    assert_eq!(old.recv(6), [0, 0, 0, 0, 1, b'v'], "who is in stays");
}

/// A folder as an orchestrator has it: the files are links by a link that is replaced.
struct Mounted(TempDir);

impl Mounted {
    fn new(signed: &Signed) -> Self {
        let mounted = Self(tempfile::tempdir().expect("a folder"));
        mounted.replace("1", signed);
        for name in ["cert.pem", "cert.key"] {
            symlink(format!("data/{name}"), mounted.0.path().join(name)).expect("a link");
        }
        mounted
    }

    fn replace(&self, version: &str, (cert, key): &Signed) {
        let folder = self.0.path().join(version);
        fs::create_dir(&folder).expect("a folder");
        fs::copy(cert, folder.join("cert.pem")).expect("copy");
        fs::copy(key, folder.join("cert.key")).expect("copy");
        symlink(version, self.0.path().join("new")).expect("a link");
        fs::rename(self.0.path().join("new"), self.0.path().join("data")).expect("replace the link");
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("text").to_owned()
    }
}

#[test]
fn new_certificates_are_taken_up_without_a_word() {
    let authority = Authority::new();
    let mounted = Mounted::new(&authority.signed("localhost"));
    let guarded = Guarded::start(&settings(
        &mounted.path("cert.pem"),
        &mounted.path("cert.key"),
        &authority.cert(),
    ));
    let own = authority.signed("client");
    let connect = || Encrypted::connect(guarded.address(), &authority, Some(&own)).expect("a handshake");
    let first = connect().shown();
    let reloads = |outcome, least| {
        guarded.expect_metric("ttguard_certificate_reloads_total", &[("outcome", outcome)], least);
    };
    for certificate in ["listener", "listener_ca"] {
        let ends = guarded.scrape(
            "ttguard_certificate_expiry_timestamp_seconds",
            &[("certificate", certificate)],
        );
        let left = ends - stamped::now() as f64 / 1000.0;
        assert!((86_400.0..3.0 * 86_400.0).contains(&left), "{certificate}: {left}");
    }
    let none = guarded.scrape(
        "ttguard_certificate_expiry_timestamp_seconds",
        &[("certificate", "backend")],
    );
    assert_eq!(none, 0.0);

    mounted.replace("2", &authority.signed("localhost"));
    reloads("applied", 1.0);
    let second = connect().shown();
    assert_ne!(second, first);

    // A certificate and the key of another one.
    let (cert, _) = authority.signed("localhost");
    fs::copy(cert, mounted.path("cert.pem")).expect("copy");
    reloads("refused", 1.0);
    let said = guarded.expect_log("a file of TLS has changed and is not right: what it said before holds");
    assert_eq!(connect().shown(), second, "the former one stays");

    mounted.replace("3", &authority.signed("localhost"));
    reloads("applied", 2.0);
    assert_ne!(connect().shown(), second);
    assert_eq!(
        (said, guarded.log().matches("is not right: what it said before").count()),
        (1, 1)
    );
    assert_eq!(guarded.scrape("ttguard_config_reloads_total", &[]), 0.0);
}

#[test]
fn each_listener_has_its_own_files_or_none() {
    let (one, two) = (Authority::new(), Authority::new());
    let ((cert, key), (cert_two, key_two)) = (one.signed("localhost"), two.signed("localhost"));
    let guarded = Guarded::listening(&format!(
        "listen = [\"127.0.0.1:0\"]\n{}\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert = \"{cert_two}\", key = \"{key_two}\" }}\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert = \"\" }}\n",
        settings(&cert, &key, "")
    ));
    for (listener, authority) in [(0, &one), (1, &two)] {
        let address = guarded.address_of(listener);
        let mut client = Encrypted::connect(address, authority, None).expect("a handshake");
        client.send(&frame::store(frame::PUT, "k", b"v"));
        assert_eq!(client.recv(1), [0]);
    }
    let mut plain = guarded.client_of(2);
    assert_eq!(plain.text("k").as_deref(), Some("v"));
}

//! An authority of our own, by the tool that operators use.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A folder of keys and certificates, the authority's own among them.
pub struct Authority {
    folder: TempDir,
    signed: Cell<u32>,
}

/// The file of a certificate and that of its key.
pub type Signed = (String, String);

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Of a name that no other has, or its certificates would be taken for badly signed ones of another.
        let name = folder.path().file_name().expect("a name").display().to_string();
        openssl(folder.path(), "ca", &["-subj", &format!("/CN={name}")]);
        let signed = Cell::new(0);
        Self { folder, signed }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("text").to_owned()
    }

    /// The file of its own certificate.
    pub fn cert(&self) -> String {
        self.path("ca.pem")
    }

    /// A certificate for this name, and its key.
    pub fn signed(&self, name: &str) -> Signed {
        self.signed_as(name, &format!("DNS:{name}"))
    }

    /// A certificate whose subject is `name`, with these alternative names, and its key.
    pub fn signed_as(&self, name: &str, alternative: &str) -> Signed {
        let file = self.next_file(name);
        let (subject, alternative) = (format!("/CN={name}"), format!("subjectAltName={alternative}"));
        let (ca, ca_key) = (self.cert(), self.path("ca.key"));
        let arguments = [
            ["-subj", &subject],
            ["-addext", &alternative],
            ["-addext", "basicConstraints=critical,CA:FALSE"],
            ["-CA", &ca],
            ["-CAkey", &ca_key],
        ];
        openssl(self.folder.path(), &file, arguments.as_flattened());
        self.files(&file)
    }

    /// A certificate for this name that was valid until a year ago, and its key.
    pub fn expired(&self, name: &str) -> Signed {
        let file = self.next_file(name);
        let write = |name: &str, text: &str| std::fs::write(self.path(name), text).expect("write");
        write("index.txt", "");
        let policy = "database=index.txt\nnew_certs_dir=.\nrand_serial=yes\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n";
        write("ca.conf", &format!("[ca]\ndefault_ca=d\n[d]\n{policy}"));
        let (key, asked, signed) = (format!("{file}.key"), format!("{file}.csr"), format!("{file}.pem"));
        let subject = [
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
        ];
        let ask = [
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ];
        run(
            self.folder.path(),
            &[&ask[..], &subject, &["-keyout", &key, "-out", &asked]].concat(),
        );
        let dates = ["-startdate", "20240101000000Z", "-enddate", "20250101000000Z"];
        let sign = [
            "ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key",
        ];
        let files = ["-md", "sha256", "-notext", "-in", &asked, "-out", &signed];
        run(self.folder.path(), &[&sign[..], &dates, &files].concat());
        self.files(&file)
    }

    fn next_file(&self, name: &str) -> String {
        self.signed.set(self.signed.get() + 1);
        format!("{name}-{}", self.signed.get())
    }

    fn files(&self, file: &str) -> Signed {
        (self.path(&format!("{file}.pem")), self.path(&format!("{file}.key")))
    }
}

fn run(folder: &Path, arguments: &[&str]) {
    let done = Command::new("openssl").current_dir(folder).args(arguments).output();
    let done = done.expect("openssl, which tests/run installs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn openssl(folder: &Path, name: &str, arguments: &[&str]) {
    let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
    let make = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ];
    run(
        folder,
        &[&make[..], &["-keyout", &key, "-out", &cert], arguments].concat(),
    );
}

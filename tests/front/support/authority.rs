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
        self.signed.set(self.signed.get() + 1);
        let file = format!("{name}-{}", self.signed.get());
        let (subject, alternative) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
        let (ca, ca_key) = (self.cert(), self.path("ca.key"));
        let arguments = [
            ["-subj", &subject],
            ["-addext", &alternative],
            ["-addext", "basicConstraints=critical,CA:FALSE"],
            ["-CA", &ca],
            ["-CAkey", &ca_key],
        ];
        openssl(self.folder.path(), &file, arguments.as_flattened());
        (self.path(&format!("{file}.pem")), self.path(&format!("{file}.key")))
    }
}

fn openssl(folder: &Path, name: &str, arguments: &[&str]) {
    let done = Command::new("openssl")
        .current_dir(folder)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-keyout", &format!("{name}.key"), "-out"])
        .arg(format!("{name}.pem"))
        .args(arguments)
        .output()
        .expect("openssl, which tests/run installs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

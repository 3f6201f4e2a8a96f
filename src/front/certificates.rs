//! Looks after the files of TLS: new ones are taken up without anybody's word.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::config::Settings;
use crate::files::{self, State};
use crate::front::control::Control;

/// How often the files are looked at. A change is taken up at the second look that finds it: a certificate and its key are
/// two files, and whoever replaces both does so one after the other.
const LOOK: Duration = Duration::from_secs(1);

/// The files of TLS, and the state of each.
type States = Vec<(PathBuf, State)>;

/// Begins to look after the files, on a thread of its own, until the proxy is gone.
///
/// # Errors
/// When there can be no thread.
pub fn attend(control: &Arc<Control>) -> io::Result<()> {
    let control = Arc::downgrade(control);
    let thread = thread::Builder::new().name("certificates".to_owned());
    thread.spawn(move || look_after(&control)).map(drop)
}

fn look_after(control: &Weak<Control>) {
    // The first look finds the files changed, so that none is missed that changed while they were read at the start.
    let (mut judged, mut last) = (States::new(), States::new());
    while let Some(control) = control.upgrade() {
        let now = states(&control.settings());
        if now != judged && now == last {
            // Once, whatever comes of it: a wrong file is read again when it has changed again.
            judged.clone_from(&now);
            control.renew_certificates();
        }
        last = now;
        drop(control);
        thread::sleep(LOOK);
    }
}

fn states(settings: &Settings) -> States {
    let listeners = settings.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let theirs = listeners.flat_map(|tls| [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]);
    let backend = &settings.backend_tls;
    let ours = [&backend.ca, &backend.cert, &backend.key].map(Option::as_ref);
    let paths = theirs.chain(ours).flatten();
    paths.map(|path| (path.clone(), files::state(path))).collect()
}

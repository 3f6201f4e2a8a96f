//! The status lines of `stat`: a name, a tab, a value, a newline; names and order are those of ttserver 1.1.41. What clients
//! did is not among them: the store sees what the guard asks too.

use std::fmt::{self, Write};
use std::time::Duration;

/// The replication master that `setmst` names. The server remembers and reports it even if it never
/// reaches it; the embedded store never does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Master {
    /// Its host; empty means that there is none.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Up to where its update log is known, in microseconds since the epoch.
    pub timestamp: u64,
}

/// Where the records are kept, in the words of `stat`.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The kind of database that the server has with the same commands and answers.
    pub kind: &'static str,
    /// Its path; `*` in memory.
    pub path: String,
}

impl Origin {
    /// In this process's memory.
    pub fn memory() -> Self {
        Self {
            kind: "on-memory hash",
            path: "*".to_owned(),
        }
    }
}

/// What the lines tell.
pub struct Status<'a> {
    /// Since the epoch.
    pub now: Duration,
    /// How long the store has been there.
    pub uptime: Duration,
    /// How many records there are.
    pub records: u64,
    /// Bytes that they take where they are kept.
    pub size: u64,
    /// Where that is.
    pub origin: &'a Origin,
    /// The replication master.
    pub master: Master,
}

/// All lines. What the machine does not tell is left out, as the server does.
pub fn lines(status: &Status) -> String {
    let mut out = String::with_capacity(1024);
    // Writing to a string cannot fail.
    let _ = write(&mut out, status);
    out
}

fn write(out: &mut String, status: &Status) -> fmt::Result {
    let now = status.now.as_secs_f64();
    out.write_str("version\t1.1.41\nlibver\t324\nprotver\t0.91\n")?;
    writeln!(out, "os\t{}", system())?;
    writeln!(out, "time\t{now:.6}")?;
    writeln!(out, "pid\t{}", std::process::id())?;
    writeln!(
        out,
        "sid\t0\ntype\t{}\npath\t{}",
        status.origin.kind, status.origin.path
    )?;
    writeln!(out, "rnum\t{}", status.records)?;
    writeln!(out, "size\t{}", status.size)?;
    writeln!(out, "bigend\t{}", u8::from(cfg!(target_endian = "big")))?;
    write_master(out, &status.master, now)?;
    // The client's socket, of which the store knows nothing.
    out.write_str("fd\t-1\n")?;
    write_process(out)?;
    writeln!(out, "ru_real\t{:.6}", status.uptime.as_secs_f64())
}

fn write_master(out: &mut String, master: &Master, now: f64) -> fmt::Result {
    if master.host.is_empty() {
        return Ok(());
    }
    let delay = (now - master.timestamp as f64 / 1e6).max(0.0);
    writeln!(out, "mhost\t{}", master.host)?;
    writeln!(out, "mport\t{}", master.port)?;
    writeln!(out, "rts\t{}", master.timestamp)?;
    writeln!(out, "delay\t{delay:.6}")
}

fn write_process(out: &mut String) -> fmt::Result {
    writeln!(out, "loadavg\t{:.6}", load().unwrap_or(0.0))?;
    let status = read("/proc/self/status");
    for (name, field) in [("memsize", "VmSize:"), ("memrss", "VmRSS:")] {
        if let Some(bytes) = kibibytes(&status, field) {
            writeln!(out, "{name}\t{bytes}")?;
        }
    }
    if let Some((user, system)) = cpu_seconds(&read("/proc/self/stat")) {
        writeln!(out, "ru_user\t{user:.6}\nru_sys\t{system:.6}")?;
    }
    Ok(())
}

fn system() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        "freebsd" => "FreeBSD",
        other => other,
    }
}

/// An unreadable file is an empty one: its lines are left out.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The load of the last five minutes, which is the one that the server reports.
fn load() -> Option<f64> {
    read("/proc/loadavg").split_whitespace().nth(1)?.parse().ok()
}

/// The `field` of `/proc/self/status`, in bytes.
fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// User and system time from `/proc/self/stat`: its 14th and 15th field, in hundredths of a second.
fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    // The second field, the name, can hold spaces; its closing parenthesis is the last of the line.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? / 100.0, next()? / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(host: &str) -> String {
        lines(&Status {
            now: Duration::from_micros(1_795_192_657_406_354),
            uptime: Duration::from_millis(250),
            records: 1,
            size: 50,
            origin: &Origin::memory(),
            master: Master {
                host: host.into(),
                port: 1978,
                timestamp: 1_795_192_656_000_000,
            },
        })
    }

    #[test]
    fn a_master_adds_its_four_lines() {
        let plain = status("");
        let master = "bigend\t0\nmhost\tm\nmport\t1978\nrts\t1795192656000000\ndelay\t1.406354\nfd\t-1\n";
        assert!(status("m").contains(master));
        assert!(!plain.contains("mhost") && plain.contains("\ntime\t1795192657.406354\n"));
    }

    #[test]
    fn the_machine_tells_truly() {
        let text = status("");
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
            line.unwrap().parse::<f64>().unwrap()
        };
        assert_eq!(value("pid"), f64::from(std::process::id()));
        assert!(value("memsize") > value("memrss") && value("memrss") > 100_000.0);
        assert_eq!(
            cpu_seconds("1 (a) b) S 1 1 1 0 -1 4 8 0 0 0 250 3 0"),
            Some((2.5, 0.03))
        );
        assert_eq!(cpu_seconds("nonsense"), None);
    }
}

//! The `ttguard` command.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use ttguard::bench;
use ttguard::cli::{self, Invocation};
use ttguard::config::{Settings, UsageError, VerifySettings};
use ttguard::console;
use ttguard::demo;
use ttguard::maintenance;
use ttguard::service;
use ttguard::transfer;

/// Gives memory back after a burst, which the system's own allocator does not.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match read() {
        Ok(Invocation::Serve(settings)) => service::serve(*settings, Box::new(read_again)),
        Ok(Invocation::Check(text) | Invocation::Print { text }) => print(&text),
        Ok(Invocation::Bench(settings)) => match bench::run(*settings, &mut std::io::stdout()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => finish(Err(error.into())),
        },
        Ok(Invocation::Import(settings)) => moved("stored", transfer::import(&settings)),
        Ok(Invocation::Export(settings)) => moved("written", transfer::export(&settings)),
        Ok(Invocation::Verify(settings)) => verify(&settings),
        Ok(Invocation::Gc(settings)) => finish(maintenance::gc(&settings).map_err(Into::into).map(|collected| {
            print(&format!("{collected}\n"));
        })),
        Ok(Invocation::Restamp(settings)) => {
            finish(maintenance::restamp(&settings).map_err(Into::into).map(|restamped| {
                print(&format!("{restamped}\n"));
            }))
        }
        Ok(Invocation::Inspect(settings)) => finish(console::inspect(&settings).map_err(Into::into).map(|text| {
            print(&text);
        })),
        Ok(Invocation::Top(settings)) => match console::top(&settings, &mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) if fault.is_mistake() => refuse(&fault),
            Err(fault) => finish(Err(fault.into())),
        },
        Ok(Invocation::Demo) => finish(demo::run(&mut std::io::stdout()).map_err(Into::into)),
        Err(error) => refuse(&error),
    }
}

/// Says on standard error what came of moving records: standard output may be where they went.
fn moved(what: &str, result: Result<u64, transfer::Fault>) -> ExitCode {
    match result {
        Ok(count) => {
            say(&format!(
                "{count} {} {what}",
                if count == 1 { "record is" } else { "records are" }
            ));
            ExitCode::SUCCESS
        }
        Err(fault) if fault.is_mistake() => refuse(&fault),
        Err(fault) => finish(Err(fault.into())),
    }
}

/// Prints what was found; the exit code says whether there is something to do.
fn verify(settings: &VerifySettings) -> ExitCode {
    let report = match maintenance::verify(settings) {
        Ok(report) => report,
        Err(fault) => return finish(Err(fault.into())),
    };
    match serde_json::to_string_pretty(&report) {
        Ok(text) if settings.json => print(&format!("{text}\n")),
        Err(error) if settings.json => return finish(Err(error.into())),
        _ => print(&report.to_string()),
    };
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read() -> Result<Invocation, UsageError> {
    cli::check_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    cli::parse(std::env::args_os(), cli::process_env)
}

/// The settings as they are written now: the command line and the environment stay, the file may have changed.
fn read_again() -> Result<Settings, UsageError> {
    match read()? {
        Invocation::Serve(settings) => Ok(*settings),
        _ => Err(UsageError::new(
            "the command line",
            "is no longer that of serve",
            "serve",
        )),
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that has seen enough is no failure.
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

/// Says on standard error what there is to say, where anybody reads that: who has seen enough is no failure either.
fn say(what: &dyn std::fmt::Display) {
    let text = what.to_string();
    // Where it is itself what is wrong, its name stands there already.
    let name = if text.starts_with("ttguard: ") { "" } else { "ttguard: " };
    let _ = writeln!(std::io::stderr(), "{name}{text}");
}

fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    say(error);
    ExitCode::from(UsageError::EXIT_CODE)
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

//! The `ttguard` command.

use std::io::Write;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use ttguard::bench;
use ttguard::cli::{self, Invocation};
use ttguard::config::{Settings, UsageError, VerifySettings};
use ttguard::demo;
use ttguard::logging;
use ttguard::operator;
use ttguard::proxy::server::{Server, StartError};
use ttguard::transfer;
use ttguard::upkeep;

/// Gives memory back after a burst, which the system's own allocator does not.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os(), cli::process_env) {
        Ok(Invocation::Serve(settings)) => serve(*settings),
        Ok(Invocation::Check(text) | Invocation::Print { text }) => print(&text),
        Ok(Invocation::Bench(settings)) => match bench::run(*settings, &mut std::io::stdout()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => finish(Err(error.into())),
        },
        Ok(Invocation::Import(settings)) => moved("stored", transfer::import(&settings)),
        Ok(Invocation::Export(settings)) => moved("written", transfer::export(&settings)),
        Ok(Invocation::Verify(settings)) => verify(&settings),
        Ok(Invocation::Gc(settings)) => finish(upkeep::gc(&settings).map_err(Into::into).map(|collected| {
            print(&format!("{collected}\n"));
        })),
        Ok(Invocation::Inspect(settings)) => finish(operator::inspect(&settings).map_err(Into::into).map(|text| {
            print(&text);
        })),
        Ok(Invocation::Demo) => finish(demo::run(&mut std::io::stdout()).map_err(Into::into)),
        Err(error) => refuse(&error),
    }
}

/// Says on standard error what came of moving records: standard output may be where they went.
fn moved(what: &str, result: Result<u64, transfer::Fault>) -> ExitCode {
    match result {
        Ok(count) => {
            eprintln!("ttguard: {count} records are {what}");
            ExitCode::SUCCESS
        }
        Err(fault) if fault.is_mistake() => refuse(&fault),
        Err(fault) => finish(Err(fault.into())),
    }
}

/// Prints what was found; the exit code says whether there is something to do.
fn verify(settings: &VerifySettings) -> ExitCode {
    let report = match upkeep::verify(settings) {
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

fn print(text: &str) -> ExitCode {
    // A reader that has seen enough is no failure.
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("ttguard: {error}");
    ExitCode::from(UsageError::EXIT_CODE)
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ttguard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: Settings) -> ExitCode {
    let format = match settings.log.format {
        ttguard::config::LogFormat::Text => logging::Format::Text,
        ttguard::config::LogFormat::Json => logging::Format::Json,
    };
    if let Err(error) = logging::init(format, settings.log.level.name()) {
        return refuse(&error);
    }
    let guard = settings.guard_in_words();
    match Server::start(settings) {
        Ok(server) => {
            let line = ready_line(&server, &guard);
            finish(server.run_until(stop_signal(line)).map_err(Into::into))
        }
        Err(error @ (StartError::Bind { .. } | StartError::Store(_))) => refuse(&error),
        Err(error) => finish(Err(error.into())),
    }
}

/// The line that says that clients can come.
fn ready_line(server: &Server, guard: &str) -> String {
    let listen: Vec<_> = server.listen.iter().map(ToString::to_string).collect();
    let admin = server
        .admin_address
        .map_or_else(|| "off".to_owned(), |address| format!("http://{address}"));
    let backend = &server.backend;
    format!(
        "ttguard: listening on {}, backend {backend}, admin {admin}, {guard}\n",
        listen.join(", ")
    )
}

/// Prints the ready line, and resolves at the first SIGTERM or SIGINT. Signals are seen from before the line on, so that
/// whoever waits for it can stop the process at once.
async fn stop_signal(ready_line: String) {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    print(&ready_line);
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        tracing::warn!("signals cannot be seen here: the process ends without letting its sessions finish");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

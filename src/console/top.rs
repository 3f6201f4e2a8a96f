//! `ttguard top`: the figures of the dashboard in a terminal, for whoever has only ssh.

mod figures;
mod section;
mod sections;
mod view;
mod words;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use self::figures::Figures;
use self::view::View;
use super::page::Unasked;
use crate::config::{AdminSettings, TopSettings};

/// From the beginning of one round of questions to that of the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a key that was pressed, or an answer, may go unnoticed.
const POLL: Duration = Duration::from_millis(100);

/// Why there is nothing to be seen.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The one frame that was asked for could not be had.
    #[error(transparent)]
    Unasked(#[from] Unasked),
    /// Nobody could see it, or press a key.
    #[error("top: standard output is no terminal; allowed: a terminal, or --once")]
    NoTerminal,
    /// The terminal does not do as it is told.
    #[error("top: the terminal: {0}")]
    Terminal(#[from] io::Error),
}

impl TopError {
    /// Whether it was called in the wrong way.
    pub fn is_mistake(&self) -> bool {
        matches!(self, Self::NoTerminal)
    }
}

/// What reaches the one who draws.
enum Heard {
    Figures(Box<Figures>),
    Unasked(Unasked),
    /// The process is to end.
    End,
}

/// Shows the figures until somebody has seen enough; with `once` writes them to `out` as plain text.
///
/// # Errors
/// Standard output that is no terminal, and with `once` an admin listener that does not answer; without it that is
/// shown, and asked again.
pub fn run(settings: &TopSettings, out: &mut impl Write) -> Result<(), TopError> {
    if settings.once {
        let figures = Figures::fetch(&settings.admin)?;
        // A reader that has seen enough is no failure.
        let _ = out
            .write_all(sections::plain(&figures, &settings.admin.address).as_bytes())
            .and_then(|()| out.flush());
        return Ok(());
    }
    if !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let (tell, heard) = sync_channel(1);
    let asker = (settings.admin.clone(), tell.clone());
    thread::spawn(move || ask(&asker.0, &asker.1));
    thread::spawn(move || end_at_a_signal(&tell));
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(&mut terminal, &heard, View::new(settings.admin.address.clone()));
    ratatui::try_restore()?;
    Ok(outcome?)
}

/// Asks again and again, until nobody listens.
fn ask(admin: &AdminSettings, tell: &SyncSender<Heard>) {
    loop {
        let begun = Instant::now();
        let heard = match Figures::fetch(admin) {
            Ok(figures) => Heard::Figures(Box::new(figures)),
            Err(unasked) => Heard::Unasked(unasked),
        };
        if tell.send(heard).is_err() {
            return;
        }
        thread::sleep(INTERVAL.saturating_sub(begun.elapsed()));
    }
}

/// So that the terminal is given back as it was.
fn end_at_a_signal(tell: &SyncSender<Heard>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let Ok(runtime) = runtime else {
        return;
    };
    runtime.block_on(async {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::hangup()));
        let (Ok(mut terminate), Ok(mut hangup)) = signals else {
            return;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    });
    let _ = tell.send(Heard::End);
}

fn watch(terminal: &mut DefaultTerminal, heard: &Receiver<Heard>, mut view: View) -> io::Result<()> {
    while !view.has_ended() {
        terminal.draw(|frame| view.draw(frame, Instant::now()))?;
        if event::poll(POLL)?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            view.pressed(key);
        }
        match heard.try_recv() {
            Ok(Heard::Figures(figures)) => view.answered(figures, Instant::now()),
            Ok(Heard::Unasked(unasked)) => view.unanswered(&unasked),
            Ok(Heard::End) => break,
            Err(_) => {}
        }
    }
    Ok(())
}

//! What is on the screen.

use std::time::{Duration, Instant};

use humantime::format_duration;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{RenderDirection, Sparkline};

use super::super::page::Unasked;
use super::figures::Figures;
use super::section::{GAP, Section, harmless};
use super::sections;

/// Figures are told to be old from this age on.
const OLD: Duration = Duration::from_secs(3);

/// Rows of the screen that the overview takes: those of the throughput and their head.
const OVERVIEW: u16 = sections::RATES.len() as u16 + 1;

/// With fewer rows than this the overview is a page of its own.
const TALL: u16 = OVERVIEW + 10;

/// On a narrower screen the parts of the overview are below each other.
const WIDE: u16 = 72;

/// Rows that a page goes at once.
const LEAP: usize = 10;

/// What can be looked at, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Overview,
    Refusals,
    Clients,
    Lanes,
    Events,
}

impl Page {
    const ALL: [Self; 5] = [Self::Overview, Self::Refusals, Self::Clients, Self::Lanes, Self::Events];

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Refusals => "refusals",
            Self::Clients => "late clients",
            Self::Lanes => "lanes",
            Self::Events => "pairing, waits",
        }
    }
}

/// What is shown, and how.
#[derive(Debug)]
pub struct View {
    address: String,
    /// What was said last, and when that was.
    figures: Option<(Box<Figures>, Instant)>,
    /// Why there is no answer.
    trouble: Option<String>,
    page: Page,
    /// The first row of the page.
    from: usize,
    paused: bool,
    ended: bool,
    /// Whether there is room for the overview above the pages.
    tall: bool,
}

impl View {
    /// Of a ttguard that has not answered yet.
    pub fn new(address: String) -> Self {
        Self {
            address,
            figures: None,
            trouble: None,
            page: Page::Refusals,
            from: 0,
            paused: false,
            ended: false,
            tall: true,
        }
    }

    /// Whether somebody has seen enough.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The figures are these now; while it is paused they stay as they are.
    pub fn answered(&mut self, figures: Box<Figures>, now: Instant) {
        if !self.paused {
            self.figures = Some((figures, now));
            self.trouble = None;
        }
    }

    /// There was no answer.
    pub fn unanswered(&mut self, why: &Unasked) {
        self.trouble = Some(why.to_string());
    }

    /// A key was pressed.
    pub fn pressed(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => self.ended = true,
            KeyCode::Char('c') if is_control => self.ended = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Right | KeyCode::Tab => self.turn(1),
            KeyCode::Left | KeyCode::BackTab => self.turn(self.pages().len() - 1),
            KeyCode::Down => self.from = self.from.saturating_add(1),
            KeyCode::Up => self.from = self.from.saturating_sub(1),
            KeyCode::PageDown => self.from = self.from.saturating_add(LEAP),
            KeyCode::PageUp => self.from = self.from.saturating_sub(LEAP),
            KeyCode::Home => self.from = 0,
            KeyCode::End => self.from = usize::MAX,
            _ => {}
        }
    }

    fn pages(&self) -> &'static [Page] {
        if self.tall { &Page::ALL[1..] } else { &Page::ALL }
    }

    /// So many pages on.
    fn turn(&mut self, by: usize) {
        let pages = self.pages();
        let at = pages.iter().position(|page| *page == self.page).unwrap_or(0);
        self.page = pages[(at + by) % pages.len()];
        self.from = 0;
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>, now: Instant) {
        self.tall = frame.area().height >= TALL && frame.area().width >= WIDE;
        if self.tall && self.page == Page::Overview {
            self.page = Page::Refusals;
        }
        let overview = if self.tall { OVERVIEW + 1 } else { 0 };
        let [top, state, above, tabs, page, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(overview),
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.state(now), state);
        frame.render_widget(
            Line::raw("q quit   left right page   up down scroll   p pause").dim(),
            keys,
        );
        let Some((figures, _)) = &self.figures else {
            frame.render_widget(Line::raw(format!("ttguard at {}", harmless(&self.address))).bold(), top);
            return;
        };
        frame.render_widget(Line::raw(sections::headline(figures, &self.address)).bold(), top);
        if self.tall {
            draw_overview(figures, frame, above);
        }
        let titles = self.pages().iter().flat_map(|page| {
            let title = format!(" {} ", page.title());
            let style = if *page == self.page {
                Style::new().reversed()
            } else {
                Style::new()
            };
            [Span::styled(title, style), Span::raw(" ")]
        });
        frame.render_widget(Line::from_iter(titles), tabs);
        self.from = match self.page {
            Page::Overview => {
                draw_overview(figures, frame, page);
                0
            }
            Page::Refusals => sections::refusals(figures).draw(frame, page, self.from),
            Page::Clients => sections::clients(figures).draw(frame, page, self.from),
            Page::Lanes => {
                let backends = sections::backends(figures);
                let height = Constraint::Length(backends.len() as u16 + 2);
                let [above, below] = Layout::vertical([height, Constraint::Fill(1)]).areas(page);
                backends.draw(frame, above, 0);
                sections::lanes(figures).draw(frame, below, self.from)
            }
            Page::Events => sections::events(figures).draw(frame, page, self.from),
        };
    }

    /// Whether it is ready, and whether what is seen is what is so.
    fn state(&self, now: Instant) -> Line<'static> {
        let mut spans = Vec::new();
        if self.paused {
            spans.extend([" paused ".reversed(), " ".into()]);
        }
        let age = self.figures.as_ref().map(|(_, at)| now.saturating_duration_since(*at));
        let age = age.filter(|age| *age >= OLD);
        spans.push(match (&self.trouble, &self.figures) {
            (Some(why), _) => format!("✗ no answer: {why}").red(),
            (None, None) => "waiting for an answer".into(),
            (None, Some(_)) if age.is_some() && !self.paused => "▲ waiting for an answer".yellow(),
            (None, Some((figures, _))) => match sections::state(figures) {
                (true, ready) => format!("✓ {ready}").green(),
                (false, why) => format!("▲ {why}").yellow(),
            },
        });
        if let Some(age) = age {
            let age = format_duration(Duration::from_secs(age.as_secs()));
            spans.push(format!("; the figures are {age} old").into());
        }
        Line::from(spans)
    }
}

/// Throughput with its trend, and beside it latency and ledger; below each other where it is narrow.
fn draw_overview(figures: &Figures, frame: &mut Frame<'_>, area: Rect) {
    let (rates, latency, ledger) = (
        sections::rates(figures),
        sections::latency(figures),
        sections::ledger(figures),
    );
    let height = |section: &Section| Constraint::Length(section.len() as u16 + 1);
    if area.width < WIDE {
        let [first, second, third] = Layout::vertical([height(&latency), height(&rates), height(&ledger)]).areas(area);
        latency.draw(frame, first, 0);
        draw_rates(&rates, figures, frame, second);
        ledger.draw(frame, third, 0);
        return;
    }
    // The throughput is seen whole, its trend where there is room.
    let right = latency.width().max(ledger.width());
    let right = right.min(area.width.saturating_sub(rates.width() + GAP));
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(right)])
        .spacing(GAP)
        .areas(area);
    draw_rates(&rates, figures, frame, left);
    let [first, _, second] = Layout::vertical([height(&latency), Constraint::Length(1), height(&ledger)]).areas(right);
    latency.draw(frame, first, 0);
    ledger.draw(frame, second, 0);
}

/// Each figure with its last samples, the newest on the right, as high as the highest that is seen.
fn draw_rates(rates: &Section, figures: &Figures, frame: &mut Frame<'_>, area: Rect) {
    let [table, trends] = Layout::horizontal([Constraint::Length(rates.width()), Constraint::Fill(1)])
        .spacing(GAP)
        .areas(area);
    rates.draw(frame, table, 0);
    for (name, row) in sections::RATES.iter().zip(trends.rows().skip(1)) {
        // Thousandths, so that what is rare is seen too.
        let samples = figures.rates(name).take(row.width.into());
        let samples: Vec<_> = samples.map(|rate| (rate * 1000.0) as u64).collect();
        let trend = Sparkline::default()
            .data(&samples)
            .direction(RenderDirection::RightToLeft);
        frame.render_widget(trend, row);
    }
}

#[cfg(test)]
mod tests;

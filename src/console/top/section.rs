//! A table of texts: the same for a screen and for a plain frame.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Row, Table};

/// Columns of the screen between two cells.
pub const GAP: u16 = 2;

/// What a column is called, and whether it holds numbers, which end below each other.
#[derive(Clone, Copy, Debug)]
pub struct Column(&'static str, Alignment);

/// A column of texts.
pub const fn texts(name: &'static str) -> Column {
    Column(name, Alignment::Left)
}

/// A column of numbers.
pub const fn numbers(name: &'static str) -> Column {
    Column(name, Alignment::Right)
}

/// A table of texts.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
    /// What is said where there are no rows.
    empty: &'static str,
}

impl Section {
    /// A table without rows.
    pub fn new(title: &'static str, columns: &'static [Column], empty: &'static str) -> Self {
        Self {
            title,
            columns,
            rows: Vec::new(),
            empty,
        }
    }

    /// Adds a row. Whatever has answered is not to write on a terminal.
    pub fn add<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "{}", self.title);
        self.rows.push(cells.iter().map(|cell| harmless(cell)).collect());
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The width of each column, its name included.
    fn widths(&self) -> Vec<u16> {
        let width = |at: usize, Column(name, _): &Column| {
            let cells = self.rows.iter().map(|row| Line::raw(&*row[at]).width());
            cells.chain([name.len()]).max().unwrap_or(0)
        };
        let widths = self.columns.iter().enumerate().map(|(at, column)| width(at, column));
        widths.map(|width| u16::try_from(width).unwrap_or(u16::MAX)).collect()
    }

    /// How wide it is.
    pub fn width(&self) -> u16 {
        let gaps = GAP * (self.columns.len() as u16 - 1);
        self.widths().into_iter().fold(gaps, u16::saturating_add)
    }

    /// Draws what there is room for, from a row on; where that is too far, from the last one that fills the room.
    /// Returns the first row that is drawn.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, from: usize) -> usize {
        if self.rows.is_empty() {
            frame.render_widget(Paragraph::new(self.empty).dim(), area);
            return 0;
        }
        let head = self
            .columns
            .iter()
            .map(|Column(name, to)| Text::raw(*name).alignment(*to));
        let room = usize::from(area.height.saturating_sub(1));
        let from = from.min(self.rows.len().saturating_sub(room));
        let rows = self.rows.iter().skip(from).take(room).map(|row| {
            let cells = row.iter().zip(self.columns);
            Row::new(cells.map(|(cell, Column(_, to))| Text::raw(&**cell).alignment(*to)))
        });
        // What has no room is cut off on the right, rather than every column a little.
        let mut left = area.width;
        let fitting = self.widths().into_iter().map(|width| {
            let width = width.min(left);
            left = left.saturating_sub(width.saturating_add(GAP));
            Constraint::Length(width)
        });
        let table = Table::new(rows, fitting)
            .header(Row::new(head).bold())
            .column_spacing(GAP);
        frame.render_widget(table, area);
        from
    }

    /// Its title and its first rows as lines of text.
    pub fn write(&self, most: usize, text: &mut String) {
        text.push_str(&format!("\n{}\n", self.title));
        if self.rows.is_empty() {
            text.push_str(&format!("  {}\n", self.empty));
            return;
        }
        let widths = self.widths();
        let names: Vec<_> = self.columns.iter().map(|Column(name, _)| (*name).to_owned()).collect();
        for row in [&names].into_iter().chain(self.rows.iter().take(most)) {
            let mut line = String::new();
            for ((cell, width), Column(_, to)) in row.iter().zip(&widths).zip(self.columns) {
                let gap = usize::from(*width).saturating_sub(Line::raw(&**cell).width());
                let (before, behind) = if *to == Alignment::Right { (gap, 0) } else { (0, gap) };
                line.push_str(&format!("  {:before$}{cell}{:behind$}", "", ""));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if self.rows.len() > most {
            text.push_str(&format!("  and {} more\n", self.rows.len() - most));
        }
    }
}

/// A text without anything that a terminal would obey.
pub fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

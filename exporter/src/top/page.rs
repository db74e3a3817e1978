//! What the page shows and what keys change about it; nothing here knows of terminals.

use super::figures::{Figures, Reading};
use super::tables::{Line, Tab, Table};

/// How rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The heaviest first.
    #[default]
    Heaviest,
    /// The lightest of those that are listed first.
    Lightest,
    /// By name.
    Name,
}

impl Order {
    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Order::Heaviest => "heaviest",
            Order::Lightest => "lightest",
            Order::Name => "name",
        }
    }

    const fn next(self) -> Order {
        match self {
            Order::Heaviest => Order::Lightest,
            Order::Lightest => Order::Name,
            Order::Name => Order::Heaviest,
        }
    }
}

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A letter, a digit or a sign.
    Sign(char),
    /// The next tab.
    Next,
    /// The tab before.
    Previous,
    /// Rows further down.
    Down,
    /// Rows further up.
    Up,
    /// Done with the filter.
    Enter,
    /// Out of the filter, or of the page.
    Escape,
    /// Takes a sign of the filter back.
    Back,
    /// Out of the page, whatever is going on.
    Quit,
}

/// Letters of a filter at most.
const FILTER_SIGNS: usize = 128;
/// Rows that can be scrolled over.
const SCROLLED_ROWS: usize = 1000;

/// The page.
#[derive(Debug, Default)]
pub struct Page {
    /// Which tables are shown.
    pub tab: Tab,
    /// How their rows are sorted.
    pub order: Order,
    /// What has to be in a row's name, in lower case.
    pub filter: String,
    /// Whether the filter is being written.
    pub is_editing: bool,
    /// Whether what is shown stays as it is.
    pub is_paused: bool,
    /// Whether only the window that is being filled is shown, not all that are kept.
    pub only_newest: bool,
    /// Rows left out at the top of each table.
    pub scrolled: usize,
    /// Whether it is over.
    pub is_over: bool,
    reading: Reading,
    /// Why there is nothing newer.
    trouble: Option<String>,
}

impl Page {
    /// Something newer to show, or why there is not.
    pub fn take(&mut self, reading: Result<Reading, String>) {
        match reading {
            Ok(_) if self.is_paused => {}
            Ok(reading) => {
                self.reading = reading;
                self.trouble = None;
            }
            Err(line) => self.trouble = Some(line),
        }
    }

    /// What is shown.
    pub fn figures(&self) -> Figures<'_> {
        Figures::new(&self.reading)
    }

    /// Why there is nothing newer.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The rows of a table as they are shown, and what they are a part of.
    pub fn lines(&self, table: &Table) -> (Vec<Line>, u64) {
        let (mut lines, whole) = table.lines(&self.figures());
        if !self.filter.is_empty() {
            lines.retain(|line| line.name.to_lowercase().contains(&self.filter));
        }
        match self.order {
            Order::Heaviest => {}
            Order::Lightest => lines.reverse(),
            Order::Name => lines.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        let scrolled = self.scrolled.min(lines.len().saturating_sub(1));
        (lines.split_off(scrolled), whole)
    }

    /// Does what a key says.
    pub fn handle(&mut self, input: Input) {
        if input == Input::Quit {
            self.is_over = true;
        } else if self.is_editing {
            self.edit(input);
        } else {
            self.act(input);
        }
    }

    fn edit(&mut self, input: Input) {
        match input {
            Input::Sign(sign) if self.filter.len() < FILTER_SIGNS => self.filter.extend(sign.to_lowercase()),
            Input::Back => drop(self.filter.pop()),
            Input::Enter => self.is_editing = false,
            Input::Escape => {
                self.filter.clear();
                self.is_editing = false;
            }
            _ => {}
        }
        self.scrolled = 0;
    }

    fn act(&mut self, input: Input) {
        let tabs = Tab::ALL.len();
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        match input {
            Input::Sign('q') => self.is_over = true,
            Input::Sign('p' | ' ') => self.is_paused = !self.is_paused,
            Input::Sign('s') => self.order = self.order.next(),
            Input::Sign('w') => self.only_newest = !self.only_newest,
            Input::Sign('/') => self.is_editing = true,
            Input::Sign(digit @ '1'..='9') => {
                let place = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                self.show(Tab::ALL.get(place).copied());
            }
            Input::Next => self.show(Tab::ALL.get((at + 1) % tabs).copied()),
            Input::Previous => self.show(Tab::ALL.get((at + tabs - 1) % tabs).copied()),
            Input::Down | Input::Sign('j') => self.scrolled = (self.scrolled + 1).min(SCROLLED_ROWS),
            Input::Up | Input::Sign('k') => self.scrolled = self.scrolled.saturating_sub(1),
            Input::Escape if !self.filter.is_empty() => self.filter.clear(),
            Input::Escape => self.is_over = true,
            _ => {}
        }
    }

    fn show(&mut self, tab: Option<Tab>) {
        self.tab = tab.unwrap_or(self.tab);
        self.scrolled = 0;
    }

    /// What the keys do.
    pub const HELP: &'static str = "q quit  1-4 or Tab page  / filter  s sort  p pause  w window  up/down scroll";
}

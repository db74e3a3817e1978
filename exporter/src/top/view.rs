//! Draws the page: header, tables as many as find room beside each other, and the line of keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::header;
use super::page::Page;
use super::tables::{Tab, Table};

/// Tables side by side at most, and how wide each has to be.
const COLUMNS: u16 = 4;
const TABLE_WIDTH: u16 = 30;
/// Rows of a table with its frame at least.
const TABLE_HEIGHT: u16 = 5;

const DIM: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, page: &Page, source: &str) {
    let area = frame.area();
    let figures = page.figures();
    let lines = match figures.is_empty() {
        true => vec!["No packets yet.".to_owned()],
        false => header::lines(&figures),
    };
    let text: Vec<TextLine<'_>> = lines.iter().map(|line| emphasized(line)).collect();
    let header = Paragraph::new(text).wrap(Wrap { trim: true });
    let needed: usize = lines.iter().map(|line| lines_of(line, usize::from(area.width))).sum();
    let needed = u16::try_from(needed).unwrap_or(u16::MAX);
    // Tables go on even in a small terminal.
    let room = (area.height / 3).max(1);
    let [title, above, tables, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(needed.min(room)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    let source = shortened(source, usize::from(area.width / 4));
    frame.render_widget(title_line(page, &source), title);
    frame.render_widget(header, above);
    draw_tables(frame, page, tables);
    frame.render_widget(key_line(page), keys);
}

/// How many lines of the terminal a text takes when it is broken between words.
fn lines_of(text: &str, width: usize) -> usize {
    let (mut lines, mut used) = (1, 0);
    for word in text.split(' ') {
        let signs = word.chars().count();
        let needed = if used == 0 { signs } else { used + 1 + signs };
        if needed > width && used > 0 {
            lines += 1;
            used = signs;
        } else {
            used = needed;
        }
    }
    lines
}

/// Names are plain, numbers stand out.
fn emphasized(line: &str) -> TextLine<'_> {
    let spans = line.split_inclusive(' ').map(|word| {
        let is_number = word.starts_with(|sign: char| sign.is_ascii_digit());
        Span::styled(word, if is_number { STRONG } else { Style::new() })
    });
    TextLine::from(spans.collect::<Vec<_>>())
}

fn title_line<'p>(page: &'p Page, source: &'p str) -> TextLine<'p> {
    let mut spans = vec![Span::styled(format!("flowgauge top: {source}  "), STRONG)];
    for (at, tab) in Tab::ALL.iter().enumerate() {
        let style = match *tab == page.tab {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        spans.push(Span::styled(format!(" {} {} ", at + 1, tab.title()), style));
    }
    let window = if page.only_newest {
        "newest window"
    } else {
        "all windows"
    };
    spans.push(Span::styled(format!("  {window}, by {}", page.order.title()), DIM));
    if page.is_paused {
        spans.push(Span::styled("  PAUSED", Style::new().fg(Color::Yellow)));
    }
    TextLine::from(spans)
}

fn key_line(page: &Page) -> TextLine<'_> {
    if page.is_editing {
        return TextLine::from(vec![
            Span::styled("filter: ", STRONG),
            Span::raw(page.filter.as_str()),
            Span::styled("_  (Enter keeps it, Esc clears it)", DIM),
        ]);
    }
    let mut spans = Vec::new();
    if let Some(trouble) = page.trouble() {
        spans.push(Span::styled(trouble, Style::new().fg(Color::Red)));
        spans.push(Span::raw("  "));
    }
    if !page.filter.is_empty() {
        spans.push(Span::styled(
            format!("filter: {}  ", page.filter),
            Style::new().fg(Color::Yellow),
        ));
    }
    spans.push(Span::styled(Page::HELP, DIM));
    TextLine::from(spans)
}

/// As many rows of tables as find room; what does not is on the other tabs, or in a larger terminal.
fn draw_tables(frame: &mut Frame<'_>, page: &Page, area: Rect) {
    let tables = page.tab.tables();
    let columns = (area.width / TABLE_WIDTH).clamp(1, COLUMNS);
    let rows_needed = u16::try_from(tables.len().div_ceil(usize::from(columns))).unwrap_or(1);
    let rows = rows_needed.min(area.height / TABLE_HEIGHT).max(1);
    let bands = Layout::vertical(vec![Constraint::Fill(1); usize::from(rows)]).split(area);
    for (band, tables) in bands.iter().zip(tables.chunks(usize::from(columns))) {
        let places = Layout::horizontal(vec![Constraint::Fill(1); usize::from(columns)]).split(*band);
        for (place, table) in places.iter().zip(tables) {
            draw_table(frame, page, table, *place);
        }
    }
}

fn draw_table(frame: &mut Frame<'_>, page: &Page, table: &Table, area: Rect) {
    let block = Block::bordered().title(table.title).border_style(DIM);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (lines, whole) = page.lines(table);
    let width = usize::from(inner.width);
    let shown = lines.iter().take(usize::from(inner.height)).enumerate();
    let text: Vec<TextLine<'_>> = shown
        .map(|(at, line)| {
            let mut number = line.number.clone();
            // The first three say which part of all they are, as far as that is known.
            if at < 3 && whole > 0 {
                number.push_str(&format!(" ({:.1}%)", line.weight as f64 * 100.0 / whole as f64));
            }
            let room = width.saturating_sub(number.chars().count() + 1);
            let name = shortened(&line.name, room);
            TextLine::from(vec![Span::raw(format!("{name:<room$} ")), Span::styled(number, STRONG)])
        })
        .collect();
    frame.render_widget(Paragraph::new(text), inner);
}

/// The end of a name says most: it is the front that goes. Signs that would move the cursor go too.
fn shortened(name: &str, room: usize) -> String {
    let clean = |sign: char| if sign.is_control() { '?' } else { sign };
    let signs = name.chars().count();
    match signs > room {
        false => name.chars().map(clean).collect(),
        true => {
            let kept = name.chars().skip(signs - room.saturating_sub(1)).map(clean);
            std::iter::once('~').chain(kept).take(room).collect()
        }
    }
}

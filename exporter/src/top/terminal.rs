//! The page in a terminal: a thread reads once a second, this one draws and takes keys. Whatever ends it, the terminal is as it
//! was before.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::figures::Reading;
use super::page::{Input, Page};
use super::source::Source;
use super::{REFRESH, ROWS, view};

/// How soon a reading is shown after it came, and how soon the reading thread sees that it is asked for something else.
const TICK: Duration = Duration::from_millis(100);

/// Shows until somebody has seen enough.
///
/// # Errors
/// One line for people.
pub(super) fn show(source: Source) -> Result<(), String> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err("top: standard output is no terminal; --json prints objects for programs".to_owned());
    }
    let name = source.name();
    let wishes = Arc::new(Wishes::default());
    let (sender, readings) = bounded(1);
    let reading = {
        let wishes = wishes.clone();
        std::thread::Builder::new()
            .name("reading".to_owned())
            .spawn(move || keep_reading(source, &wishes, &sender))
            .map_err(|error| format!("no thread to read with: {error}"))?
    };
    // Also has a panic restore the terminal before it is printed.
    let terminal = ratatui::try_init().map_err(|error| format!("cannot use the terminal: {error}"));
    let result = terminal.and_then(|mut terminal| {
        let result = run(&mut terminal, &name, &wishes, &readings);
        ratatui::restore();
        result.map_err(|error| format!("terminal: {error}"))
    });
    wishes.stop.store(true, Ordering::Relaxed);
    drop(readings);
    match result {
        Ok(()) if reading.is_finished() => reading.join().map_err(|_| "the reading thread has panicked".to_owned()),
        // It may be waiting for an exporter that does not answer.
        result => result,
    }
}

/// What the page wants of the reading thread.
#[derive(Debug, Default)]
struct Wishes {
    only_newest: AtomicBool,
    stop: AtomicBool,
}

fn keep_reading(mut source: Source, wishes: &Wishes, readings: &Sender<Result<Reading, String>>) {
    loop {
        let began = Instant::now();
        let only_newest = wishes.only_newest.load(Ordering::Relaxed);
        if readings.send(source.read(only_newest, ROWS)).is_err() {
            return;
        }
        while began.elapsed() < REFRESH && wishes.only_newest.load(Ordering::Relaxed) == only_newest {
            if wishes.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(TICK);
        }
    }
}

fn run(
    terminal: &mut DefaultTerminal,
    name: &str,
    wishes: &Wishes,
    readings: &Receiver<Result<Reading, String>>,
) -> io::Result<()> {
    let mut page = Page::default();
    let mut is_stale = true;
    while !page.is_over {
        match readings.try_recv() {
            Ok(reading) => {
                page.take(reading);
                is_stale = true;
            }
            Err(TryRecvError::Empty) => {}
            // It has panicked, and its panic has restored the terminal.
            Err(TryRecvError::Disconnected) => return Err(io::Error::other("nothing is read any more")),
        }
        if is_stale {
            terminal.draw(|frame| view::draw(frame, &page, name))?;
            is_stale = false;
        }
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if let Some(input) = input(key.code, key.modifiers) {
                        page.handle(input);
                    }
                    is_stale = true;
                }
                Event::Resize(..) => is_stale = true,
                _ => {}
            }
            wishes.only_newest.store(page.only_newest, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn input(code: KeyCode, modifiers: KeyModifiers) -> Option<Input> {
    Some(match code {
        KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Input::Quit,
        KeyCode::Char(sign) => Input::Sign(sign),
        KeyCode::Tab | KeyCode::Right => Input::Next,
        KeyCode::BackTab | KeyCode::Left => Input::Previous,
        KeyCode::Down | KeyCode::PageDown => Input::Down,
        KeyCode::Up | KeyCode::PageUp => Input::Up,
        KeyCode::Enter => Input::Enter,
        KeyCode::Esc => Input::Escape,
        KeyCode::Backspace => Input::Back,
        _ => return None,
    })
}

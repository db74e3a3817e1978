//! What could come next in a filter that is being written: columns, operators, words, codes, and values seen.

use std::collections::BTreeMap;

use flowgauge_ie_registry::Registry;

use super::filter::ast::{Subject, quoted};
use super::filter::pieces::{Piece, PieceKind, pieces};
use super::filter::short::SHORT_WORDS;
use super::seen::values_seen;
use crate::limits;
use crate::normalize::columns::{COLUMNS, ColumnKind, column, id};
use crate::normalize::row::cut;
use crate::store::Snapshot;

/// One thing that could come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionItem {
    /// What to put in place of the text from `from` to `to`.
    pub text: String,
    /// `column`, `operator`, `value` or `keyword`.
    pub kind: &'static str,
    /// One line about it.
    pub help: String,
}

/// Everything that could come next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where the text to replace starts, octets.
    pub from: usize,
    /// Where it ends, octets.
    pub to: usize,
    /// The items, the likeliest first.
    pub items: Vec<CompletionItem>,
}

/// Where in a condition the cursor is.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// A condition starts.
    Start,
    /// Behind a name.
    Operator(Subject),
    /// Behind an operator, or within a set.
    Value(Vec<Subject>),
    /// Behind `src` or `dst`.
    End,
    /// Behind a whole condition.
    Joint,
}

/// Completes `text` at octet `at`.
pub fn complete(snapshot: &Snapshot, text: &str, at: usize) -> Completion {
    if text.len() > limits::FILTER_OCTETS {
        return Completion {
            from: at,
            to: at,
            items: Vec::new(),
        };
    }
    let before = cut(text, at);
    let at = before.len();
    let mut pieces = pieces(before);
    let started = match pieces.last() {
        Some(last) if last.end == at && matches!(last.kind, PieceKind::Word | PieceKind::Quoted) => pieces.pop(),
        _ => None,
    };
    let (from, prefix) = started
        .as_ref()
        .map_or((at, ""), |piece| (piece.start, piece.text.as_str()));
    // The word goes on behind the cursor.
    let behind = text.get(at..).unwrap_or_default();
    let to = if started.is_some() {
        at + behind.find(is_end).unwrap_or(behind.len())
    } else {
        at
    };
    let mut items = Vec::new();
    match place(&pieces) {
        Place::Start => {
            columns_like(prefix, &mut items);
            words_like(
                &[("not", "turns a condition around"), ("exists", "has a value")],
                prefix,
                "keyword",
                &mut items,
            );
            words_like(SHORT_WORDS, prefix, "keyword", &mut items);
            others_like(snapshot, prefix, &mut items);
        }
        Place::Operator(subject) => words_like(&operators(&subject), prefix, "operator", &mut items),
        Place::Value(subjects) => {
            for subject in &subjects {
                values_like(snapshot, subject, prefix, &mut items);
            }
        }
        Place::End => {
            let words = [
                ("host", "address of this end"),
                ("net", "network of this end"),
                ("port", "port of this end"),
                ("as", "autonomous system of this end"),
                ("mac", "MAC address of this end"),
            ];
            words_like(&words, prefix, "keyword", &mut items);
        }
        Place::Joint => {
            let words = [("and", "both conditions hold"), ("or", "one of the conditions holds")];
            words_like(&words, prefix, "keyword", &mut items);
        }
    }
    let mut known = std::collections::HashSet::new();
    items.retain(|item| known.insert(item.text.clone()));
    items.truncate(limits::COMPLETIONS);
    Completion { from, to, items }
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',' | '=' | '!' | '<' | '>' | '~' | '&' | '|')
}

fn place(pieces: &[Piece]) -> Place {
    let mut place = Place::Start;
    // In a set, commas go on with values and a parenthesis ends the condition.
    let mut in_set = false;
    for piece in pieces {
        let word = piece.text.to_ascii_lowercase();
        place = match (&place, piece.kind) {
            (Place::Value(subjects), PieceKind::Open) => {
                in_set = true;
                Place::Value(subjects.clone())
            }
            (Place::Value(subjects), PieceKind::Word | PieceKind::Quoted | PieceKind::Comma) if in_set => {
                Place::Value(subjects.clone())
            }
            (_, PieceKind::Close) => {
                in_set = false;
                Place::Joint
            }
            (_, PieceKind::Open | PieceKind::Not | PieceKind::Join) => Place::Start,
            (Place::Joint, PieceKind::Word) if word == "and" || word == "or" => Place::Start,
            (Place::Start, PieceKind::Word) => start_word(&word, &piece.text),
            (Place::Start, PieceKind::Quoted) => Place::Operator(Subject::Other(piece.text.clone())),
            (Place::Operator(subject), PieceKind::Operator) => Place::Value(vec![subject.clone()]),
            (Place::Operator(subject), PieceKind::Word) if word == "in" => Place::Value(vec![subject.clone()]),
            (Place::Operator(_), PieceKind::Word) if word == "and" || word == "or" => Place::Start,
            (Place::End, PieceKind::Word) => match pair(&word) {
                Some(subjects) => Place::Value(subjects),
                None => Place::Joint,
            },
            (Place::Value(subjects), PieceKind::Operator) => Place::Value(subjects.clone()),
            _ => Place::Joint,
        };
    }
    place
}

fn start_word(word: &str, text: &str) -> Place {
    match word {
        "not" => Place::Start,
        "exists" => Place::Start,
        "src" | "dst" => Place::End,
        // A column, but mostly written without an operator.
        "proto" => Place::Operator(Subject::Column(id::PROTO)),
        _ => match (pair(word), column(text)) {
            (Some(subjects), _) => Place::Value(subjects),
            (None, Some(column)) => Place::Operator(Subject::Column(column)),
            (None, None) if SHORT_WORDS.iter().any(|(short, _)| *short == word) => Place::Joint,
            (None, None) => match Registry::builtin().by_name(text) {
                Some(element) => Place::Operator(Subject::Other(element.name.to_string())),
                None => Place::Joint,
            },
        },
    }
}

fn pair(word: &str) -> Option<Vec<Subject>> {
    let columns = match word {
        "host" | "net" => [id::SRC_IP, id::DST_IP],
        "port" => [id::SRC_PORT, id::DST_PORT],
        "as" => [id::SRC_AS, id::DST_AS],
        "mac" => [id::SRC_MAC, id::DST_MAC],
        _ => return None,
    };
    Some(columns.map(Subject::Column).to_vec())
}

fn starts(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn columns_like(prefix: &str, items: &mut Vec<CompletionItem>) {
    let item = |column: &crate::normalize::columns::Column| CompletionItem {
        text: column.name.to_owned(),
        kind: "column",
        help: column.help.to_owned(),
    };
    items.extend(COLUMNS.iter().filter(|column| starts(column.name, prefix)).map(item));
    let part = prefix.to_ascii_lowercase();
    let within = |column: &&crate::normalize::columns::Column| !part.is_empty() && column.name.contains(&part);
    items.extend(COLUMNS.iter().filter(within).map(item));
}

fn words_like(words: &[(&str, &str)], prefix: &str, kind: &'static str, items: &mut Vec<CompletionItem>) {
    let fitting = words.iter().filter(|(word, _)| starts(word, prefix));
    items.extend(fitting.map(|(word, help)| CompletionItem {
        text: (*word).to_owned(),
        kind,
        help: (*help).to_owned(),
    }));
}

fn others_like(snapshot: &Snapshot, prefix: &str, items: &mut Vec<CompletionItem>) {
    for (name, rows) in snapshot
        .other_names()
        .into_iter()
        .filter(|(name, _)| starts(name, prefix))
    {
        let plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        let text = if plain { name } else { quoted(&name) };
        items.push(CompletionItem {
            text,
            kind: "column",
            help: format!("element, in segments of {rows} rows"),
        });
    }
}

fn operators(subject: &Subject) -> Vec<(&'static str, &'static str)> {
    let mut operators = vec![("=", "equal"), ("!=", "not equal")];
    let kind = match subject {
        Subject::Column(column) => Some(column.column().kind),
        Subject::Other(_) => None,
    };
    if kind.is_none_or(|kind| {
        !matches!(
            kind,
            ColumnKind::Bool | ColumnKind::Ip | ColumnKind::Text | ColumnKind::Mac
        )
    }) {
        operators.extend([("<", "less"), ("<=", "at most"), (">", "more"), (">=", "at least")]);
    }
    let flags = [id::TCP_FLAGS, id::REV_TCP_FLAGS]
        .map(Subject::Column)
        .contains(subject);
    if flags {
        operators.push(("~", "at least these flags"));
    } else if kind.is_none_or(|kind| kind == ColumnKind::Text) {
        operators.push(("~", "part, glob or /regular expression/"));
    }
    operators.extend([("in", "one of a set or network"), ("exists", "has a value")]);
    operators
}

fn values_like(snapshot: &Snapshot, subject: &Subject, prefix: &str, items: &mut Vec<CompletionItem>) {
    if let Subject::Column(column) = subject {
        let column = column.column();
        for (code, label) in column.code_entries().iter().filter(|(_, label)| starts(label, prefix)) {
            items.push(CompletionItem {
                text: (*label).to_owned(),
                kind: "value",
                help: code.to_string(),
            });
        }
        match column.kind {
            ColumnKind::Bool => words_like(&[("true", ""), ("false", "")], prefix, "value", items),
            ColumnKind::Time => words_like(
                &[("now-15m", ""), ("now-1h", ""), ("now-1d", "")],
                prefix,
                "value",
                items,
            ),
            ColumnKind::Duration => words_like(&[("100ms", ""), ("1s", ""), ("1m", "")], prefix, "value", items),
            _ => {}
        }
    }
    // The commonest first, equal ones by text.
    let seen: BTreeMap<String, u64> = values_seen(snapshot, subject, prefix);
    let mut seen: Vec<(String, u64)> = seen.into_iter().collect();
    seen.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    for (value, rows) in seen {
        let plain = value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'));
        let text = if plain { value } else { quoted(&value) };
        let help = if rows > 0 {
            format!("in {rows} of the newest rows")
        } else {
            "seen before".to_owned()
        };
        items.push(CompletionItem {
            text,
            kind: "value",
            help,
        });
    }
}

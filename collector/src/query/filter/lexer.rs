//! Cuts a filter into words; what a word means is for the parser, which knows what it expects.

use super::FilterError;
use super::ast::{Operator, Span};

/// One piece of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Letters, digits and everything that means nothing else.
    Word(String),
    /// Text that was in quotes.
    Quoted(String),
    /// A comparison.
    Operator(Operator),
    /// `~`
    Tilde,
    /// `!`
    Bang,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// Behind the last piece.
    End,
}

/// Reads one token at a time, so that the parser can ask for a regular expression where one may stand.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

/// Ends a word.
fn is_special(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '(' | ')' | '"' | '\'' | ',' | '=' | '!' | '<' | '>' | '~' | '&' | '|'
        )
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The next piece and its place.
    pub fn next(&mut self) -> Result<(Token, Span), FilterError> {
        self.skip_blanks();
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, Span { start, end: start }));
        };
        let pieces: [(&str, Token); 10] = [
            ("&&", Token::And),
            ("||", Token::Or),
            ("==", Token::Operator(Operator::Equal)),
            ("<>", Token::Operator(Operator::NotEqual)),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
            ("~", Token::Tilde),
            ("&", Token::End),
            ("|", Token::End),
        ];
        let operators = Operator::ALL
            .iter()
            .map(|(operator, text)| (*text, Token::Operator(*operator)));
        let found = pieces
            .into_iter()
            .chain(operators)
            .find(|(text, _)| rest.starts_with(text));
        if let Some((text, token)) = found {
            if token == Token::End {
                let expected = vec![format!("{text}{text}")];
                return Err(FilterError::new(
                    start,
                    1,
                    format!("a single '{text}' means nothing"),
                    expected,
                ));
            }
            self.at += text.len();
            return Ok((token, Span { start, end: self.at }));
        }
        match first {
            '!' => {
                self.at += 1;
                Ok((Token::Bang, Span { start, end: self.at }))
            }
            '"' | '\'' => {
                let text = self.delimited(first)?;
                Ok((Token::Quoted(text), Span { start, end: self.at }))
            }
            _ => {
                let length = rest.find(is_special).unwrap_or(rest.len());
                self.at += length;
                Ok((
                    Token::Word(rest.get(..length).unwrap_or_default().to_owned()),
                    Span { start, end: self.at },
                ))
            }
        }
    }

    /// Goes back to an earlier place.
    pub fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The regular expression that starts here with a `/`, if one does.
    pub fn regex(&mut self) -> Result<Option<(String, Span)>, FilterError> {
        self.skip_blanks();
        let start = self.at;
        if !self.rest().starts_with('/') {
            return Ok(None);
        }
        let text = self.delimited('/')?;
        Ok(Some((text, Span { start, end: self.at })))
    }

    /// Text up to the next `end`; a backslash keeps an `end` (and, in quotes, a backslash) from being special.
    fn delimited(&mut self, end: char) -> Result<String, FilterError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == end {
                self.at = start + at + c.len_utf8();
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some((_, escaped)) if escaped == end || (escaped == '\\' && end != '/') => text.push(escaped),
                Some((_, escaped)) => text.extend([c, escaped]),
                None => break,
            }
        }
        let length = self.text.len() - start;
        Err(FilterError::new(
            start,
            length,
            format!("{end} is opened and not closed"),
            vec![end.to_string()],
        ))
    }
}

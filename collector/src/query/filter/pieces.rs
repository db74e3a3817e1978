//! A filter that is still being written, cut into pieces as far as it goes.

use super::lexer::{Lexer, Token};

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// A word.
    Word,
    /// Text in quotes, perhaps without its end.
    Quoted,
    /// A comparison or `~`.
    Operator,
    /// `!`
    Not,
    /// `&&` or `||`
    Join,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
}

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// Words and texts, without quotes.
    pub text: String,
    /// First octet.
    pub start: usize,
    /// Behind the last octet.
    pub end: usize,
}

/// The pieces of a text; what cannot be understood ends them.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut lexer = Lexer::new(text);
    let mut pieces = Vec::new();
    loop {
        let (kind, word, span) = match lexer.next() {
            Ok((Token::End, _)) => return pieces,
            Ok((Token::Word(word), span)) => (PieceKind::Word, word, span),
            Ok((Token::Quoted(word), span)) => (PieceKind::Quoted, word, span),
            Ok((Token::Operator(_) | Token::Tilde, span)) => (PieceKind::Operator, String::new(), span),
            Ok((Token::Bang, span)) => (PieceKind::Not, String::new(), span),
            Ok((Token::And | Token::Or, span)) => (PieceKind::Join, String::new(), span),
            Ok((Token::Open, span)) => (PieceKind::Open, String::new(), span),
            Ok((Token::Close, span)) => (PieceKind::Close, String::new(), span),
            Ok((Token::Comma, span)) => (PieceKind::Comma, String::new(), span),
            Err(error) => {
                // Quotes that are not closed yet.
                let rest = text.get(error.offset..).unwrap_or_default();
                if let Some(open) = rest.strip_prefix(['"', '\'']) {
                    let (text, start, end) = (open.to_owned(), error.offset, text.len());
                    pieces.push(Piece {
                        kind: PieceKind::Quoted,
                        text,
                        start,
                        end,
                    });
                }
                return pieces;
            }
        };
        pieces.push(Piece {
            kind,
            text: word,
            start: span.start,
            end: span.end,
        });
    }
}

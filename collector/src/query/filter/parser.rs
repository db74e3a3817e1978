//! The grammar, by recursive descent:
//!
//! ```text
//! or     = and { ("or" | "||") and }
//! and    = unary { ("and" | "&&") unary }
//! unary  = ("not" | "!") unary | "(" or ")" | test
//! test   = name operator (value | column) | name "in" (value | "(" value { "," value } ")")
//!        | name "~" (pattern | /regex/) | name "exists" | "exists" name
//!        | short word (see `short`) | text | /regex/
//! ```

use flowgauge_ie_registry::Registry;

use super::FilterError;
use super::ast::{Filter, Literal, Node, NodeKind, Operator, Span, Subject, Test};
use super::flags::flag_bits;
use super::lexer::{Lexer, Token};
use super::pattern::Pattern;
use super::short::SHORT_WORDS;
use super::value::{literal, number};
use crate::limits;
use crate::normalize::columns::{COLUMNS, ColumnKind, column, columns, id};
use crate::normalize::counters::kept_name;
use crate::normalize::facts::LABEL;

/// What the parser knows besides the grammar.
#[derive(Clone, Copy, Default)]
pub struct Context<'c> {
    /// What `now` means, nanoseconds.
    pub now_ns: i64,
    /// Whether an element of this name was ever seen.
    pub seen: Option<&'c dyn Fn(&str) -> bool>,
}

pub(super) struct Parser<'t, 'c> {
    lexer: Lexer<'t>,
    token: Token,
    pub(super) span: Span,
    /// Behind the token before.
    behind: usize,
    depth: usize,
    leaves: usize,
    expressions: usize,
    pub(super) context: Context<'c>,
}

type Parsed<T> = Result<T, FilterError>;

/// Values an error names.
const SHOWN_VALUES: usize = 16;
/// What may stand behind a name.
const BEHIND_NAME: [&str; 9] = ["=", "!=", "<", "<=", ">", ">=", "in", "~", "exists"];

impl<'t, 'c> Parser<'t, 'c> {
    pub fn new(text: &'t str, context: Context<'c>) -> Parsed<Self> {
        let mut parser = Self {
            lexer: Lexer::new(text),
            token: Token::End,
            span: Span::default(),
            behind: 0,
            depth: 0,
            leaves: 0,
            expressions: 0,
            context,
        };
        parser.advance()?;
        Ok(parser)
    }

    pub fn is_at_end(&self) -> bool {
        self.token == Token::End
    }

    pub fn filter(mut self) -> Parsed<Filter> {
        let root = self.or()?;
        match self.token {
            Token::End => Ok(Filter { root }),
            Token::Close => Err(self.fault("there is no '(' for this ')'", &["and", "or"])),
            _ => Err(self.fault("two conditions need a word between them", &["and", "or"])),
        }
    }

    pub(super) fn advance(&mut self) -> Parsed<Token> {
        let (token, span) = self.lexer.next()?;
        self.behind = self.span.end;
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    pub(super) fn fault(&self, detail: &str, expected: &[&str]) -> FilterError {
        let expected = expected.iter().map(|text| (*text).to_owned()).collect();
        FilterError::new(
            self.span.start,
            self.span.end - self.span.start,
            detail.to_owned(),
            expected,
        )
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(text) if text.eq_ignore_ascii_case(word))
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// The current token, if it is a word or text in quotes.
    pub(super) fn token_word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) | Token::Quoted(word) => Some(word),
            _ => None,
        }
    }

    fn take_word(&mut self, word: &str) -> Parsed<bool> {
        let found = self.is_word(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn node(&self, start: usize, kind: NodeKind) -> Node {
        Node {
            kind,
            span: Span {
                start,
                end: self.behind,
            },
        }
    }

    fn or(&mut self) -> Parsed<Node> {
        self.joined(Token::Or, "or", NodeKind::Or, Self::and)
    }

    fn and(&mut self) -> Parsed<Node> {
        self.joined(Token::And, "and", NodeKind::And, Self::unary)
    }

    fn joined(
        &mut self,
        sign: Token,
        word: &str,
        join: impl FnOnce(Vec<Node>) -> NodeKind,
        part: impl Fn(&mut Self) -> Parsed<Node>,
    ) -> Parsed<Node> {
        let start = self.span.start;
        let first = part(self)?;
        let mut parts = Vec::new();
        while self.token == sign || self.is_word(word) {
            self.advance()?;
            parts.push(part(self)?);
        }
        if parts.is_empty() {
            return Ok(first);
        }
        parts.insert(0, first);
        Ok(self.node(start, join(parts)))
    }

    fn unary(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > limits::FILTER_DEPTH {
            let detail = format!("more than {} levels of parentheses and 'not'", limits::FILTER_DEPTH);
            return Err(self.fault(&detail, &[]));
        }
        let start = self.span.start;
        let node = if self.token == Token::Bang || self.is_word("not") {
            self.advance()?;
            let inner = self.unary()?;
            self.node(start, NodeKind::Not(Box::new(inner)))
        } else if self.token == Token::Open {
            self.advance()?;
            let inner = self.or()?;
            if self.token != Token::Close {
                return Err(self.fault("'(' is opened and not closed", &[")", "and", "or"]));
            }
            self.advance()?;
            Node {
                span: Span {
                    start,
                    end: self.behind,
                },
                ..inner
            }
        } else {
            self.leaf()?
        };
        self.depth -= 1;
        Ok(node)
    }

    pub(super) fn count_leaf(&mut self) -> Parsed<()> {
        self.leaves += 1;
        if self.leaves > limits::FILTER_LEAVES {
            let detail = format!("more than {} conditions", limits::FILTER_LEAVES);
            return Err(self.fault(&detail, &[]));
        }
        Ok(())
    }

    fn leaf(&mut self) -> Parsed<Node> {
        self.count_leaf()?;
        let start = self.span.start;
        match self.token.clone() {
            Token::Word(word) if word.starts_with('/') => {
                let pattern = self.regex_here()?;
                self.advance()?;
                Ok(self.node(start, NodeKind::Test(Test::Word(pattern))))
            }
            Token::Word(word) => self.word(word),
            Token::Quoted(text) => {
                self.advance()?;
                if self.is_behind_name() {
                    return self.test(start, Subject::Other(text));
                }
                let pattern = self.pattern(&text, start)?;
                Ok(self.node(start, NodeKind::Test(Test::Word(pattern))))
            }
            Token::End => Err(self.fault(
                "something is missing at the end",
                &["a column", "a condition", "(", "not"],
            )),
            _ => Err(self.fault(
                "a condition cannot start here",
                &["a column", "a condition", "(", "not"],
            )),
        }
    }

    /// The current token begins with a slash: what stands there is a regular expression.
    fn regex_here(&mut self) -> Parsed<Pattern> {
        let mut lexer = self.lexer.clone();
        lexer.back_to(self.span.start);
        let Some((text, span)) = lexer.regex()? else {
            return Err(self.fault("a pattern was expected", &["/regular expression/"]));
        };
        self.lexer = lexer;
        self.span = span;
        self.expressions += 1;
        if self.expressions > limits::FILTER_EXPRESSIONS {
            let detail = format!(
                "a filter has at most {} regular expressions; write some of them as one, /a|b/",
                limits::FILTER_EXPRESSIONS
            );
            return Err(FilterError::new(span.start, span.end - span.start, detail, Vec::new()));
        }
        Pattern::regex(&text).map_err(|detail| {
            FilterError::new(
                span.start,
                span.end - span.start,
                detail,
                vec!["a regular expression".to_owned()],
            )
        })
    }

    fn pattern(&self, text: &str, start: usize) -> Parsed<Pattern> {
        Pattern::words(text)
            .map_err(|detail| FilterError::new(start, self.behind.saturating_sub(start), detail, Vec::new()))
    }

    fn word(&mut self, word: String) -> Parsed<Node> {
        let span = self.span;
        let lower = word.to_ascii_lowercase();
        if ["and", "or", "in"].contains(&lower.as_str()) {
            return Err(self.fault(
                &format!("'{word}' cannot start a condition"),
                &["a column", "a condition", "("],
            ));
        }
        self.advance()?;
        if lower == "exists" {
            let subject = self.subject()?;
            return Ok(self.node(span.start, NodeKind::Test(Test::Exists(subject))));
        }
        if let Some(node) = self.short(&lower, span)? {
            return Ok(node);
        }
        if let Some(column) = column(&word) {
            if !self.is_behind_name() {
                return Err(self.fault(&format!("'{word}' needs a comparison"), &BEHIND_NAME));
            }
            return self.test(span.start, Subject::Column(column));
        }
        if self.is_behind_name() {
            let subject = self.element(&word, span)?;
            return self.test(span.start, subject);
        }
        if let Some(node) = self.bare_address(&word, span.start) {
            return Ok(node);
        }
        if let Some(nearest) = self.meant(&word) {
            let detail = format!("'{}' begins no condition", super::shown(&word));
            let mut fault = FilterError::new(span.start, span.end - span.start, detail, Vec::new());
            fault.nearest = Some(nearest);
            return Err(fault);
        }
        let pattern = self.pattern(&word, span.start)?;
        Ok(self.node(span.start, NodeKind::Test(Test::Word(pattern))))
    }

    /// What was meant by a word to look for that something follows as if it were a name.
    fn meant(&self, word: &str) -> Option<String> {
        let ends = matches!(self.token, Token::End | Token::Close | Token::And | Token::Or);
        if ends || self.is_word("and") || self.is_word("or") {
            return None;
        }
        let short = SHORT_WORDS.iter().map(|(word, _)| *word);
        super::nearest(word, short.chain(COLUMNS.iter().map(|column| column.name)))
    }

    pub(super) fn is_behind_name(&self) -> bool {
        matches!(self.token, Token::Operator(_) | Token::Tilde) || self.is_word("in") || self.is_word("exists")
    }

    fn subject(&mut self) -> Parsed<Subject> {
        let span = self.span;
        match self.advance()? {
            Token::Word(word) => match column(&word) {
                Some(column) => Ok(Subject::Column(column)),
                None => self.element(&word, span),
            },
            Token::Quoted(name) => Ok(Subject::Other(name)),
            _ => Err(FilterError::new(
                span.start,
                span.end - span.start,
                "a column was expected".to_owned(),
                vec!["a column".to_owned()],
            )),
        }
    }

    /// An element no column takes: known to the registry, written `PEN.ID`, or seen in the store.
    fn element(&self, word: &str, span: Span) -> Parsed<Subject> {
        if let Some(element) = Registry::builtin().by_name(word) {
            // Rows keep it under the column's name, and perhaps in another unit: as an element it is never there.
            if let Some(holder) = column_of(&element.name) {
                let detail = format!("'{}' is kept in the column {holder}", super::shown(word));
                let mut fault =
                    FilterError::new(span.start, span.end - span.start, detail, vec!["a column".to_owned()]);
                fault.nearest = Some(holder.to_owned());
                return Err(fault);
            }
            return Ok(Subject::Other(element.name.to_string()));
        }
        if let Some(counter) = kept_name(word) {
            return Ok(Subject::Other(counter));
        }
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
        let by_number = word
            .split_once('.')
            .is_some_and(|(pen, id)| is_number(pen) && is_number(id));
        if by_number || word.starts_with(LABEL) || self.context.seen.is_some_and(|seen| seen(word)) {
            return Ok(Subject::Other(word.to_owned()));
        }
        let detail = format!("there is no column or element '{}'", super::shown(word));
        let mut fault = FilterError::new(span.start, span.end - span.start, detail, vec!["a column".to_owned()]);
        fault.nearest = nearest_column(word);
        Err(fault)
    }

    /// Operator and value behind a name.
    fn test(&mut self, start: usize, subject: Subject) -> Parsed<Node> {
        if self.take_word("exists")? {
            return Ok(self.node(start, NodeKind::Test(Test::Exists(subject))));
        }
        let test = if self.take_word("in")? {
            Test::In(subject.clone(), self.set(&subject)?)
        } else if self.token == Token::Tilde {
            self.matches(subject)?
        } else {
            let Token::Operator(operator) = self.advance()? else {
                return Err(self.fault("a comparison was expected", &BEHIND_NAME));
            };
            self.comparison(subject, operator)?
        };
        Ok(self.node(start, NodeKind::Test(test)))
    }

    fn comparison(&mut self, left: Subject, operator: Operator) -> Parsed<Test> {
        if let Token::Word(word) = &self.token
            && let Some(right) = column(word)
        {
            let comparable = match &left {
                Subject::Column(left) => is_comparable(left.column().kind, right.column().kind),
                Subject::Other(_) => true,
            };
            if !comparable {
                let detail = format!("{left} and {} cannot be compared", right.column().name);
                return Err(self.fault(&detail, &[]));
            }
            self.advance()?;
            return Ok(Test::Columns(left, operator, Subject::Column(right)));
        }
        let value = self.value(&left, operator)?;
        Ok(Test::Compare(left, operator, value))
    }

    pub(super) fn value(&mut self, subject: &Subject, operator: Operator) -> Parsed<Literal> {
        let span = self.span;
        let value = self.any_value(subject)?;
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_order && matches!(value, Literal::Net(..) | Literal::Bool(_)) {
            let detail = format!("'{}' has no order", operator.as_str());
            return Err(FilterError::new(
                span.start,
                span.end - span.start,
                detail,
                vec!["=".into(), "!=".into()],
            ));
        }
        Ok(value)
    }

    fn any_value(&mut self, subject: &Subject) -> Parsed<Literal> {
        let (word, is_quoted) = match &self.token {
            Token::Word(word) => (word.clone(), false),
            Token::Quoted(text) => (text.clone(), true),
            _ => return Err(self.fault(&format!("{subject} needs a value here"), &["a value"])),
        };
        let value = literal(subject, &word, is_quoted, self.context.now_ns).map_err(|expected| {
            let detail = format!("'{}' is no value of {subject}", super::shown(&word));
            let mut fault = self.fault(&detail, &[]);
            fault.nearest = super::nearest(&word, expected.iter().map(String::as_str));
            fault.expected = expected;
            // Enough to see what kind of value it is.
            fault.expected.truncate(SHOWN_VALUES);
            fault
        })?;
        self.advance()?;
        Ok(value)
    }

    pub(super) fn set(&mut self, subject: &Subject) -> Parsed<Vec<Literal>> {
        if self.token != Token::Open {
            return Ok(vec![self.any_value(subject)?]);
        }
        self.advance()?;
        let mut values = vec![self.any_value(subject)?];
        loop {
            match self.token {
                Token::Close => {
                    self.advance()?;
                    return Ok(values);
                }
                Token::Comma => {
                    self.advance()?;
                }
                Token::Word(_) | Token::Quoted(_) => {}
                _ => return Err(self.fault("the set is opened and not closed", &[",", ")"])),
            }
            if values.len() >= limits::FILTER_SET_VALUES {
                let detail = format!("a set has at most {} values", limits::FILTER_SET_VALUES);
                return Err(self.fault(&detail, &[")"]));
            }
            values.push(self.any_value(subject)?);
        }
    }

    /// `~` and what stands behind it.
    fn matches(&mut self, subject: Subject) -> Parsed<Test> {
        let flags = [id::TCP_FLAGS, id::REV_TCP_FLAGS]
            .map(Subject::Column)
            .contains(&subject);
        let is_text = match &subject {
            Subject::Column(column) => column.column().kind == ColumnKind::Text,
            Subject::Other(_) => true,
        };
        if !flags && !is_text {
            return Err(self.fault(&format!("{subject} holds no text"), &["=", "!=", "<", ">", "in"]));
        }
        self.advance()?;
        let span = self.span;
        match self.token.clone() {
            Token::Word(text) | Token::Quoted(text) if flags => {
                let mask = flag_bits(&text).or_else(|| number(&text)).ok_or_else(|| {
                    self.fault(
                        &format!("'{}' are no flags", super::shown(&text)),
                        &["flags: FSRPAUEW, as in SA"],
                    )
                })?;
                self.advance()?;
                Ok(Test::Flags(subject, mask))
            }
            Token::Word(text) if text.starts_with('/') => {
                let pattern = self.regex_here()?;
                self.advance()?;
                Ok(Test::Matches(subject, pattern))
            }
            Token::Word(text) | Token::Quoted(text) => {
                self.advance()?;
                Ok(Test::Matches(subject, self.pattern(&text, span.start)?))
            }
            _ => Err(self.fault("a pattern was expected", &["\"*.example.com\"", "/regular expression/"])),
        }
    }
}

fn is_comparable(left: ColumnKind, right: ColumnKind) -> bool {
    use ColumnKind::{Float, Number};
    left == right || matches!((left, right), (Number, Float) | (Float, Number))
}

/// The column whose name is nearest to `word`.
pub(super) fn nearest_column(word: &str) -> Option<String> {
    super::nearest(word, COLUMNS.iter().map(|column| column.name))
}

/// The column that takes an element, if one does.
fn column_of(element: &str) -> Option<&'static str> {
    columns()
        .find(|(_, column)| column.elements.contains(&element))
        .map(|(_, column)| column.name)
}

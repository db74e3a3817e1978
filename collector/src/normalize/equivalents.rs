//! Elements of other vendors that mean what a column means: one table in TOML, which users can extend.
//!
//! It says nothing about IANA's and our own elements: those are in the table of columns.

use std::sync::LazyLock;

use flowgauge_ie_registry::{DataType, ElementId, Registry};
use flowgauge_templates::ipfix::Value;
use flowgauge_templates::ipfix::value::{decode_value, unsigned};
use foldhash::{HashMap, HashMapExt as _};

use super::columns::{Aggregation, ColumnId, ColumnKind, column};
use super::row::{Row, ipv4_to_u128};
use crate::limits::EQUIVALENTS;

const BUILT_IN: &str = include_str!("equivalents.toml");

/// What is done with a value of an equivalent element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equivalent {
    /// Where it goes.
    pub column: ColumnId,
    /// What its number is multiplied by.
    factor: u32,
    /// Octets ahead of its text.
    skip: u8,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Equivalents(HashMap<ElementId, Equivalent>);

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EquivalentsError(String);

/// The table as it is built in.
static BUILTIN: LazyLock<Equivalents> = LazyLock::new(|| {
    let mut table = Equivalents(HashMap::new());
    // A test holds that it is right.
    let _ = table.load(BUILT_IN, Registry::builtin());
    table
});

impl Default for Equivalents {
    fn default() -> Self {
        BUILTIN.clone()
    }
}

impl Equivalents {
    /// Takes up a table in TOML; what it says about an element wins over what was said before. Says how many.
    ///
    /// # Errors
    /// What is wrong and where. Nothing is then taken up.
    pub fn load(&mut self, text: &str, registry: &Registry) -> Result<usize, EquivalentsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            EquivalentsError(error.to_string().lines().collect::<Vec<_>>().join(" "))
        })?;
        let mut loaded = Vec::new();
        for (name, elements) in &table {
            let column = column(name)
                .filter(|column| column.column().stored)
                .ok_or_else(|| EquivalentsError(format!("{name:?} is no column; see `flowgauge-collector columns`")))?;
            let elements = elements
                .as_array()
                .ok_or_else(|| EquivalentsError(format!("{name:?}: a list of elements is expected")))?;
            for element in elements {
                let one = equivalent(column, element, registry)
                    .map_err(|why| EquivalentsError(format!("{name:?}: {why}")))?;
                loaded.push(one);
            }
        }
        if self.0.len() + loaded.len() > EQUIVALENTS {
            return Err(EquivalentsError(format!("more than {EQUIVALENTS} elements")));
        }
        let count = loaded.len();
        self.0.extend(loaded);
        Ok(count)
    }

    /// What an element is equivalent to.
    pub fn of(&self, element: ElementId) -> Option<Equivalent> {
        self.0.get(&element).copied()
    }

    /// Every element with its equivalent, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ElementId, Equivalent)> {
        self.0.iter().map(|(element, equivalent)| (*element, *equivalent))
    }
}

fn equivalent(column: ColumnId, value: &toml::Value, registry: &Registry) -> Result<(ElementId, Equivalent), String> {
    let empty = toml::Table::new();
    let (name, rest) = match value {
        toml::Value::String(name) => (name.as_str(), &empty),
        toml::Value::Table(table) => {
            let name = table.get("element").and_then(toml::Value::as_str);
            (name.ok_or("a table needs `element`")?, table)
        }
        _ => return Err(format!("{value} is no element")),
    };
    if let Some(key) = rest
        .keys()
        .find(|key| !["element", "unit", "times", "skip"].contains(&key.as_str()))
    {
        return Err(format!("{key:?} is no key; element, unit, times and skip are"));
    }
    let unit = match rest.get("unit").map(|unit| unit.as_str().unwrap_or_default()) {
        None | Some("ns") => 1,
        Some("us") => 1_000,
        Some("ms") => 1_000_000,
        Some("s") => 1_000_000_000,
        Some(other) => return Err(format!("{other:?} is no unit; ns, us, ms and s are")),
    };
    let whole = |key: &str, default: i64, most: i64| match rest.get(key).map(toml::Value::as_integer) {
        None => Ok(default),
        Some(Some(number)) if (0..=most).contains(&number) => Ok(number),
        Some(_) => Err(format!("{key} is a number up to {most}")),
    };
    let (times, skip) = (whole("times", 1, 1_000)?, whole("skip", 0, 255)?);
    let factor = u32::try_from(unit * times).map_err(|_| format!("times is too large for {name}"))?;
    let element = element_of(name, registry).ok_or_else(|| format!("{name:?} is no element: PEN.ID, or a name"))?;
    let equivalent = Equivalent {
        column,
        factor,
        skip: skip as u8,
    };
    Ok((element, equivalent))
}

/// `PEN.ID`, or a name that the registry has.
fn element_of(text: &str, registry: &Registry) -> Option<ElementId> {
    let by_number = text
        .split_once('.')
        .and_then(|(pen, id)| Some(ElementId::new(pen.parse().ok()?, id.parse().ok()?)));
    by_number.or_else(|| registry.by_name(text).map(|element| element.id))
}

impl Equivalent {
    /// Puts a value where it belongs, unless something is there. False when it says nothing of the kind.
    pub fn apply(self, data_type: DataType, octets: &[u8], row: &mut Row) -> bool {
        let column = self.column;
        // YAF's flags of the first packet and of all others come apart.
        if column.column().aggregation == Aggregation::Or {
            return put(number_of(data_type, octets), |number| {
                row.set_number(column, row.number(column).unwrap_or(0) | number);
            });
        }
        if row.get(column).is_some() {
            return false;
        }
        match column.column().kind {
            ColumnKind::Text => {
                let text = text_of(data_type, octets, usize::from(self.skip));
                text.is_some_and(|text| {
                    row.set_text(column, &text);
                    true
                })
            }
            ColumnKind::Number => put(number_of(data_type, octets), |number| {
                row.set_number(column, number.saturating_mul(self.factor.into()));
            }),
            ColumnKind::Duration => put(number_of(data_type, octets), |number| {
                let ns = number.saturating_mul(self.factor.into());
                row.set_signed(column, i64::try_from(ns).unwrap_or(i64::MAX));
            }),
            ColumnKind::Mac => put(<[u8; 6]>::try_from(octets).ok(), |[a, b, c, d, e, f]| {
                row.set_number(column, u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
            }),
            ColumnKind::Ip => match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
                (Ok(v4), _) => put(Some(v4), |v4| row.set_ip(column, ipv4_to_u128(v4))),
                (_, v6) => put(v6.ok(), |v6| row.set_ip(column, u128::from_be_bytes(v6))),
            },
            ColumnKind::Bool => put(number_of(data_type, octets), |number| row.set_bool(column, number != 0)),
            ColumnKind::Float => put(number_of(data_type, octets), |number| {
                row.set_float(column, number as f64)
            }),
            ColumnKind::Time => false,
        }
    }
}

fn put<T>(value: Option<T>, set: impl FnOnce(T)) -> bool {
    value.map(set).is_some()
}

/// The text of a string without what is ahead of it, without the dot at the end of names; a number as digits.
fn text_of(data_type: DataType, octets: &[u8], skip: usize) -> Option<String> {
    let text = match decode_value(data_type, octets) {
        Value::Unsigned(number) => number.to_string(),
        Value::String(octets) | Value::Octets(octets) => {
            let text = Value::String(octets.get(skip..)?).to_text()?;
            let text = text.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or(&text);
            text.chars().filter(|c| !c.is_control()).collect()
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A number, or the one that a text begins with; the octets of unknown elements are one when they are few enough.
fn number_of(data_type: DataType, octets: &[u8]) -> Option<u64> {
    match decode_value(data_type, octets) {
        Value::Unsigned(number) => Some(number),
        Value::Boolean(truth) => Some(truth.into()),
        Value::Octets(octets) => unsigned(octets),
        value @ Value::String(_) => {
            let text = value.to_text()?;
            let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text.get(..digits)?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::columns::id;
    use crate::normalize::row::CellRef;

    #[test]
    fn the_table_built_in_is_right() {
        let mut table = Equivalents(HashMap::new());
        let count = table.load(BUILT_IN, Registry::builtin()).unwrap();
        assert_eq!(count, table.0.len(), "no element is in it twice");
        let registry = Registry::builtin();
        let unknown: Vec<_> = table
            .iter()
            .filter(|(element, _)| registry.element(*element).is_none())
            .map(|(element, _)| element.to_string())
            .collect();
        // QoF's are in no registry; they are numbers of 8 octets.
        assert_eq!(unknown, ["35566.1025"]);
    }

    #[test]
    fn a_users_table_adds_and_wins() {
        let mut table = Equivalents::default();
        let text = "\"http.host\" = [\"999.1\", { element = \"httpUserAgent\", skip = 2 }]\n\"dns.latency\" = [{ element = \"999.2\", unit = \"us\" }]";
        assert_eq!(table.load(text, Registry::builtin()), Ok(3));
        let mut row = Row::new();
        assert!(
            table
                .of(ElementId::new(999, 1))
                .unwrap()
                .apply(DataType::OctetArray, b"example.org.", &mut row)
        );
        assert_eq!(row.get(id::HTTP_HOST), Some(CellRef::Text("example.org")));
        assert!(
            table
                .of(ElementId::new(999, 2))
                .unwrap()
                .apply(DataType::OctetArray, &[3, 232], &mut row)
        );
        assert_eq!(row.signed(id::DNS_LATENCY), Some(1_000_000));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said() {
        let mut table = Equivalents::default();
        let mut wrong = |text: &str| table.load(text, Registry::builtin()).unwrap_err().to_string();
        assert!(wrong("\"http.hots\" = []").contains("\"http.hots\" is no column"));
        assert!(wrong("\"http.host\" = \"1.2\"").contains("a list"));
        assert!(wrong("\"http.host\" = [\"nothing\"]").contains("\"nothing\" is no element"));
        assert!(wrong("\"http.host\" = [{ element = \"1.2\", unit = \"h\" }]").contains("is no unit"));
        assert!(wrong("\"http.host\" = [{ element = \"1.2\", skips = 1 }]").contains("is no key"));
        assert!(wrong("\"http.host\" = [{ element = \"1.2\", skip = 900 }]").contains("up to 255"));
        assert!(wrong("http.host = [").contains("TOML parse error"));
    }

    #[test]
    fn texts_and_numbers_are_taken_for_each_other_where_they_are() {
        assert_eq!(number_of(DataType::String, b"200 OK"), Some(200));
        assert_eq!(number_of(DataType::String, b"OK"), None);
        assert_eq!(number_of(DataType::OctetArray, &[0; 9]), None);
        assert_eq!(text_of(DataType::Unsigned16, &[1, 0], 0).as_deref(), Some("256"));
        assert_eq!(
            text_of(DataType::String, b"\x03\0\0P4\x02www.x", 6).as_deref(),
            Some("www.x")
        );
        assert_eq!(text_of(DataType::String, b"\x03\0\0P4\x02", 6), None);
        assert_eq!(text_of(DataType::String, b"abc", 6), None);
    }
}

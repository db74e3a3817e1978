//! A user's own elements from a CSV file, the same format as the tables in `data/`.

use crate::limits::MAX_NAME_OCTETS;
use crate::registry::{Added, Origin, Registry};
use crate::{DataType, Element, ElementId, Semantics, Status, Units, csv};

/// A line of a user's element file that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct CsvError {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// The columns, in the order they have without a heading.
const COLUMNS: [&str; 7] = ["pen", "id", "name", "type", "semantics", "units", "status"];

impl Registry {
    /// Takes the elements of a user's file: `pen,id,name,type,semantics,units,status`, one a line.
    ///
    /// The last three may be empty or left out. A first line that starts with `pen` is the heading and may
    /// order the columns differently. Empty lines and lines starting with `#` are passed over. Builtin
    /// elements stay as they are. Returns how many elements the file added or changed.
    ///
    /// # Errors
    /// The first line that is wrong; the lines before it have been taken.
    pub fn load_csv(&mut self, text: &str) -> Result<usize, CsvError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut columns: Vec<Option<usize>> = (0..COLUMNS.len()).map(Some).collect();
        let mut taken = 0;
        for (at, (line, content)) in csv::lines(text).enumerate() {
            let error = |reason: String| CsvError { line, reason };
            let fields = csv::fields(content).map_err(|reason| error(reason.to_owned()))?;
            if at == 0 && fields.first().is_some_and(|f| f.eq_ignore_ascii_case("pen")) {
                columns = heading(&fields).map_err(error)?;
                continue;
            }
            let element = element(&fields, &columns).map_err(error)?;
            match self.insert(element, Origin::File) {
                Ok(Added::New | Added::Replaced) => taken += 1,
                Ok(Added::Unchanged | Added::Kept) => {}
                Err(refusal) => return Err(error(refusal.to_string())),
            }
        }
        Ok(taken)
    }
}

/// Where each of [`COLUMNS`] stands in the file.
fn heading(fields: &[String]) -> Result<Vec<Option<usize>>, String> {
    if let Some(unknown) = fields
        .iter()
        .find(|f| !COLUMNS.iter().any(|c| c.eq_ignore_ascii_case(f)))
    {
        return Err(format!("unknown column {unknown:?}; columns are {}", COLUMNS.join(",")));
    }
    let places: Vec<Option<usize>> = COLUMNS
        .iter()
        .map(|c| fields.iter().position(|f| f.eq_ignore_ascii_case(c)))
        .collect();
    match COLUMNS.iter().zip(&places).take(4).find(|(_, p)| p.is_none()) {
        Some((missing, _)) => Err(format!("the heading has no column {missing}")),
        None => Ok(places),
    }
}

fn element(fields: &[String], columns: &[Option<usize>]) -> Result<Element, String> {
    if fields.len() > COLUMNS.len() {
        return Err(format!(
            "{} fields; there are at most {}: {}",
            fields.len(),
            COLUMNS.len(),
            COLUMNS.join(",")
        ));
    }
    let field = |column: usize| -> &str {
        let place = columns.get(column).copied().flatten();
        place.and_then(|at| fields.get(at)).map_or("", String::as_str)
    };
    let pen = number(field(0), "pen", u32::MAX)?;
    let id = number(field(1), "id", 0x7fff)?;
    let id = ElementId::new(pen, u16::try_from(id).unwrap_or(0));
    let name = field(2);
    if !is_identifier(name) {
        return Err(format!(
            "name {name:?} is not a letter followed by letters, digits, _, - and ., at most {MAX_NAME_OCTETS} octets"
        ));
    }
    let mut element = Element::new(
        id,
        name.to_owned(),
        DataType::from_name(field(3)).ok_or_else(|| {
            let names: Vec<&str> = DataType::ALL.iter().map(|t| t.name()).collect();
            format!("type {:?} is none of {}", field(3), names.join(", "))
        })?,
    );
    if !field(4).is_empty() {
        element.semantics = Semantics::from_name(field(4)).ok_or_else(|| {
            let names: Vec<&str> = Semantics::ALL.iter().map(|s| s.name()).collect();
            format!("semantics {:?} is none of {}", field(4), names.join(", "))
        })?;
    }
    if !field(5).is_empty() {
        element.units = Units::from_name(field(5)).ok_or_else(|| {
            let names: Vec<&str> = Units::ALL.iter().map(|u| u.name()).collect();
            format!("units {:?} is none of {}", field(5), names.join(", "))
        })?;
    }
    if !field(6).is_empty() {
        element.status = Status::from_name(field(6))
            .ok_or_else(|| format!("status {:?} is none of current, deprecated, obsolete", field(6)))?;
    }
    Ok(element)
}

fn number(text: &str, column: &str, highest: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| *n <= highest)
        .ok_or_else(|| format!("{column} {text:?} is not a number from 0 to {highest}"))
}

fn is_identifier(name: &str) -> bool {
    name.len() <= MAX_NAME_OCTETS
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_and_without_heading_gives_the_same() {
        let plain = "# mine\n4711,1,rttMicroseconds,unsigned32,quantity,microseconds,current\n\n4711,2,site,string\n";
        let headed = "\u{feff}pen,name,id,type,units,semantics\r\n4711,rttMicroseconds,1,UNSIGNED32,microseconds,quantity\r\n4711,site,2,string,,\r\n";
        let load = |text: &str| {
            let mut registry = Registry::new();
            assert_eq!(registry.load_csv(text), Ok(2));
            assert_eq!(registry.load_csv(text), Ok(0));
            assert_eq!(registry.counters().added, 2);
            assert_eq!(registry.counters().unchanged, 2);
            [1, 2].map(|id| registry.element(ElementId::new(4711, id)).unwrap().clone())
        };
        let elements = load(plain);
        assert_eq!(elements, load(headed));
        assert_eq!(elements[0].semantics, Semantics::Quantity);
        assert_eq!(elements[0].units, Units::Microseconds);
        assert_eq!(elements[1].data_type, DataType::String);
    }

    #[test]
    fn builtin_elements_stay() {
        let mut registry = Registry::new();
        assert_eq!(registry.load_csv("0,1,mine,string"), Ok(0));
        assert_eq!(registry.element(ElementId::iana(1)).unwrap().name, "octetDeltaCount");
        assert_eq!(registry.counters().kept, 1);
    }

    #[test]
    fn a_wrong_line_is_named_with_what_would_be_right() {
        let wrong = |text: &str| Registry::new().load_csv(text).unwrap_err();
        let cases = [
            (
                "4711,1,a,string\n4711,x,b,string",
                2,
                "id \"x\" is not a number from 0 to 32767",
            ),
            ("4711,32768,a,string", 1, "id \"32768\" is not a number from 0 to 32767"),
            ("-1,1,a,string", 1, "pen \"-1\" is not a number from 0 to 4294967295"),
            ("4711,1,1a,string", 1, "name \"1a\" is not a letter followed by"),
            ("4711,1,a b,string", 1, "name \"a b\" is not a letter followed by"),
            ("4711,1,a,text", 1, "type \"text\" is none of octetArray, unsigned8"),
            ("4711,1,a,string,kind", 1, "semantics \"kind\" is none of default"),
            (
                "4711,1,a,string,,bytes",
                1,
                "units \"bytes\" is none of none, bits, octets",
            ),
            ("4711,1,a,string,,,old", 1, "status \"old\" is none of current"),
            ("4711,1,a,string,,,current,x", 1, "8 fields; there are at most 7"),
            ("4711,0,a,string", 1, "element 4711.0 has no number from 1 to 32767"),
            ("4711,1,\"a,string", 1, "a quote is not closed"),
            ("pen,id,name\n", 1, "the heading has no column type"),
            ("pen,id,name,type,colour\n", 1, "unknown column \"colour\""),
        ];
        for (text, line, reason) in cases {
            let error = wrong(text);
            assert_eq!(error.line, line, "{text}");
            assert!(error.reason.starts_with(reason), "{text}: {error}");
        }
        assert!(wrong("4711,1,1a,string").to_string().starts_with("line 1: name"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(.*\n){0,6}") {
            let _ = Registry::new().load_csv(&text);
        }
    }
}

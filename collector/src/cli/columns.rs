//! `columns` and `elements`: what can be asked about, as a table or as JSON lines.

use flowgauge_ie_registry::{Element, Registry};

use super::arguments::ElementsArguments;
use super::output::Output;
use super::table::{Align, Layout};
use crate::api::{column_json, element_json};
use crate::failure::{Failure, nearest};
use crate::normalize::columns::COLUMNS;

/// Prints the column table.
pub fn columns(json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        return COLUMNS.iter().try_for_each(|column| out.json(&column_json(column)));
    }
    let mut layout = Layout::new(vec![
        ("NAME", Align::Left),
        ("KIND", Align::Left),
        ("UNIT", Align::Left),
        ("INDEXED", Align::Left),
        ("HELP", Align::Left),
    ]);
    for column in COLUMNS {
        let indexed = if column.indexed { "yes" } else { "" };
        layout.row(
            [column.name, column.kind.as_str(), column.unit, indexed, column.help]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    out.bytes(layout.to_string().as_bytes())
}

/// Prints elements.
pub fn elements(arguments: &ElementsArguments, out: &mut Output) -> Result<(), Failure> {
    let registry = registry(arguments.elements.as_deref())?;
    let wanted = arguments.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut found: Vec<&Element> = registry
        .iter()
        .filter(|element| element.name.to_ascii_lowercase().contains(&wanted) || element.id.to_string() == wanted)
        .collect();
    found.sort_by_key(|element| element.id);
    if found.is_empty() {
        let near = nearest(&wanted, registry.iter().map(|element| element.name.as_ref()));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(Failure::running(format!("no element's name holds {wanted:?}{hint}")));
    }
    if arguments.json {
        return found.iter().try_for_each(|element| out.json(&element_json(element)));
    }
    let mut layout = Layout::new(vec![
        ("PEN.ID", Align::Left),
        ("NAME", Align::Left),
        ("TYPE", Align::Left),
        ("SEMANTICS", Align::Left),
        ("UNITS", Align::Left),
        ("STATUS", Align::Left),
        ("COLUMN", Align::Left),
    ]);
    for element in found {
        let column = COLUMNS
            .iter()
            .find(|column| column.elements.contains(&element.name.as_ref()));
        layout.row(vec![
            element.id.to_string(),
            element.name.to_string(),
            element.data_type.name().to_owned(),
            element.semantics.name().to_owned(),
            element.units.name().to_owned(),
            element.status.name().to_owned(),
            column.map_or_else(String::new, |column| column.name.to_owned()),
        ]);
    }
    out.bytes(layout.to_string().as_bytes())
}

/// The built-in elements and those of a user's file.
pub fn registry(file: Option<&std::path::Path>) -> Result<Registry, Failure> {
    let config = crate::config::Config {
        elements_file: file.map(Into::into),
        ..crate::config::Config::default()
    };
    crate::run::registry(&config)
}

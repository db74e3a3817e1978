//! `/api/v1/columns` and `/api/v1/elements`: what can be asked about.

use axum::Json;
use axum::extract::State;
use flowgauge_ie_registry::Element;
use flowgauge_templates::sflow::CounterField;
use serde_json::{Map, Value, json};

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::normalize::columns::{COLUMNS, Column};
use crate::normalize::counters::counters;

/// One column as JSON.
pub fn column_json(column: &Column) -> Value {
    let codes = column.codes.map(|codes| {
        let labels = codes
            .iter()
            .map(|(code, label)| (code.to_string(), Value::from(*label)));
        labels.collect::<Map<String, Value>>()
    });
    json!({
        "name": column.name,
        "kind": column.kind.as_str(),
        "unit": column.unit,
        "help": column.help,
        "indexed": column.indexed,
        "elements": column.elements,
        "codes": codes,
    })
}

/// The column table.
pub async fn columns(parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&[])?;
    // Names as columns have them, and what they are about; `grows` says that `increase` and `rate` take it.
    let counter = |(field, group): (&CounterField, &'static str)| json!({ "name": field.name, "group": group, "grows": field.kind.is_counter() });
    Ok(Json(json!({
        "columns": COLUMNS.iter().map(column_json).collect::<Vec<_>>(),
        "counters": counters().map(counter).collect::<Vec<_>>(),
    })))
}

/// One element as JSON.
pub fn element_json(element: &Element) -> Value {
    let codes = element.codes.map(|list| {
        let labels = list
            .entries
            .iter()
            .map(|(code, label)| (code.to_string(), Value::from(*label)));
        labels.collect::<Map<String, Value>>()
    });
    let column = COLUMNS
        .iter()
        .find(|column| column.elements.contains(&element.name.as_ref()));
    json!({
        "name": element.name,
        "pen": element.id.pen,
        "id": element.id.id,
        "type": element.data_type.name(),
        "semantics": element.semantics.name(),
        "units": element.units.name(),
        "status": element.status.name(),
        "range": element.range.map(|(from, to)| [from, to]),
        "reversible": element.reversible,
        "column": column.map(|column| column.name),
        "codes": codes,
    })
}

/// Elements whose name holds `name`, or whose `PEN.ID` it is.
pub async fn elements(State(api): State<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&["name"])?;
    let wanted = parameters.text("name").unwrap_or_default().to_ascii_lowercase();
    let process = api.shared.process();
    let elements: Vec<Value> = process
        .registry()
        .iter()
        .filter(|element| element.name.to_ascii_lowercase().contains(&wanted) || element.id.to_string() == wanted)
        .map(element_json)
        .collect();
    Ok(Json(json!({ "elements": elements })))
}

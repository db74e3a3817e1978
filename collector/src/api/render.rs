//! Answers in the form the client asks for.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

use super::parameters::Parameters;
use super::problem::Problem;
use super::streamed::streamed;
use crate::failure::nearest;
use crate::forms::{Form, rows_csv, write_table};
use crate::normalize::row::cut;
use crate::query::{QueryStats, Table, row_to_json, time};
use crate::run::now_ns;

/// The form that a client asks for, and whether it asks for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The form.
    pub form: Form,
    /// `format=` stands in links, which headers do not.
    pub is_file: bool,
}

impl Asked {
    /// What `format=` says, else the Accept header.
    pub fn of(parameters: &Parameters, headers: &HeaderMap) -> Result<Asked, Problem> {
        let Some(text) = parameters.text("format") else {
            return Ok(Asked {
                form: accepted(headers),
                is_file: false,
            });
        };
        let named = Form::ALL
            .into_iter()
            .find(|form| form.name().eq_ignore_ascii_case(text));
        let form = named.ok_or_else(|| {
            let names = Form::ALL.map(Form::name);
            let near = nearest(text, names).map(str::to_owned);
            let detail = format!("format: {:?} is none of {}", cut(text, 48), names.join(", "));
            Problem::parameter("format", detail, near)
        })?;
        Ok(Asked { form, is_file: true })
    }
}

/// The form the Accept header prefers among the known ones, the first of equals; JSON when there is none.
pub fn accepted(headers: &HeaderMap) -> Form {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut best = (Form::Json, 0.0);
    for range in accepted.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        // "Anything" does not outdo what is named.
        let Some(form) = Form::of_media_type(parts.next().unwrap_or_default()) else {
            continue;
        };
        // RFC 9110 section 12.4.2: without a weight it is 1, and 0 means "not this one".
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(Ok(1.0), str::parse::<f32>);
        if let Ok(weight) = weight
            && weight > best.1
        {
            best = (form, weight);
        }
    }
    best.0
}

/// What an answer cost, as JSON.
pub fn stats_json(stats: &QueryStats, interval_ns: Option<i64>) -> Json {
    let moment = |ns: Option<i64>| ns.map(time::format_time);
    let mut object = json!({
        "rows_read": stats.rows_read,
        "rows_matched": stats.rows_matched,
        "elapsed_ms": stats.elapsed_ms,
        "partitions": stats.partitions,
        "segments": stats.segments,
        "tier": match stats.tier {
            "" => "flows",
            tier => tier,
        },
        "error_bound": 0,
        "from": moment(stats.from_ns),
        "to": moment(stats.to_ns),
    });
    let Some(fields) = object.as_object_mut() else {
        return object;
    };
    if let Some(interval_ns) = interval_ns {
        fields.insert("interval_ns".to_owned(), interval_ns.into());
    }
    if let Some((from, to)) = stats.compare_ns {
        let span = json!({ "from": time::format_time(from), "to": time::format_time(to) });
        fields.insert("compare".to_owned(), span);
    }
    if let Some((rule, left_out)) = &stats.once {
        fields.insert("once".to_owned(), json!({ "rule": rule, "left_out": left_out }));
    }
    if stats.segments_left_out > 0 {
        fields.insert("segments_left_out".to_owned(), stats.segments_left_out.into());
    }
    if let Some(hint) = &stats.hint {
        fields.insert("hint".to_owned(), hint.as_str().into());
    }
    if !stats.tier.is_empty() {
        fields.insert("error_bound".to_owned(), stats.error_bound.into());
        fields.insert("confidence".to_owned(), stats.confidence.into());
        fields.insert("windows".to_owned(), stats.windows.into());
        fields.insert("rollups".to_owned(), stats.rollups.into());
    }
    object
}

/// The rows as JSON objects.
pub fn rows_json(table: &Table) -> impl Iterator<Item = Map<String, Json>> + '_ {
    table.rows.iter().map(|row| row_to_json(&table.columns, row))
}

/// A whole answer as JSON.
pub fn answer_json(table: &Table) -> Json {
    json!({
        "rows": rows_json(table).map(Json::Object).collect::<Vec<_>>(),
        "stats": stats_json(&table.stats, table.interval_ns),
        "next": table.next,
    })
}

/// What a file says about all of its rows.
pub fn about_json(table: &Table) -> String {
    json!({ "stats": stats_json(&table.stats, table.interval_ns), "next": table.next }).to_string()
}

/// The answer in the form the client asks for, as a file of that name if it wants one. Forms without stats name the next
/// page in a header.
pub fn render(asked: Asked, name: &str, table: Table) -> Response {
    let next = table.next.as_deref().and_then(|next| HeaderValue::from_str(next).ok());
    let body = match asked.form {
        Form::Json => Body::from(answer_json(&table).to_string()),
        form => streamed(move |sink| {
            let about = about_json(&table);
            write_table(form, &table, Some(about), sink).map(drop)
        }),
    };
    let mut response = answer(asked, name, body);
    if let Some(next) = next {
        response.headers_mut().insert("flowgauge-next", next);
    }
    response
}

/// A body with the headers of its form.
pub fn answer(asked: Asked, name: &str, body: Body) -> Response {
    let kind = HeaderValue::from_static(asked.form.media_type());
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if asked.is_file {
        // RFC 6266.
        let second = time::format_time(now_ns().div_euclid(1_000_000_000) * 1_000_000_000).replace([':', '-'], "");
        let disposition = format!("attachment; filename=\"{name}-{second}.{}\"", asked.form.name());
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
    }
    response
}

/// An answer that is JSON already, with the columns that its rows may have.
pub fn render_json(form: Form, columns: &[&str], answer: &Json) -> Response {
    let rows = answer
        .get("rows")
        .and_then(Json::as_array)
        .map_or(&[][..], Vec::as_slice);
    let (form, body) = match form {
        // These rows have no types to write.
        Form::Json | Form::Parquet => (Form::Json, answer.to_string()),
        Form::Ndjson => (form, rows.iter().map(|row| row.to_string() + "\n").collect()),
        Form::Csv => (form, rows_csv(columns, rows)),
    };
    let asked = Asked { form, is_file: false };
    self::answer(asked, "", Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_known_form_is_taken() {
        let of = |accept: &str| {
            accepted(&HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_str(accept).unwrap(),
            )]))
        };
        assert_eq!(of("text/csv"), Form::Csv);
        assert_eq!(of("text/html, application/x-ndjson;q=0.9, */*"), Form::Ndjson);
        assert_eq!(of("text/csv;q=0.1, application/json"), Form::Json);
        assert_eq!(of("text/csv;q=0, */*"), Form::Json);
        assert_eq!(of("application/vnd.apache.parquet"), Form::Parquet);
        assert_eq!(of("text/html"), Form::Json);
        assert_eq!(accepted(&HeaderMap::new()), Form::Json);
    }
}

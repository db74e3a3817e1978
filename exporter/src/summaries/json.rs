//! Summaries as JSON: what `summary` prints. Every estimate comes with its limits.

use serde_json::{Map, Value, json};

use super::metrics::{Form, Metric};
use super::sketch::Estimate;
use super::sketch::quantiles::RANKS;
use super::window::{Summary, Window};
use super::zones::Zones;

/// A window, or several merged into one, with at most `rows` rows of each list. Metrics that gathered nothing are left
/// out, but for counters.
pub fn window(window: &Window, rows: usize) -> Value {
    let metrics: Map<String, Value> = Metric::ALL
        .iter()
        .filter(|metric| {
            matches!(window.summary(**metric), Summary::Counter(_)) || !window.summary(**metric).is_empty()
        })
        .map(|metric| {
            (
                metric.about().name.to_owned(),
                summary(*metric, window.summary(*metric), rows),
            )
        })
        .collect();
    json!({
        "from": time(window.start_ns),
        "to": time(window.end_ns),
        "windows": window.windows,
        "metrics": metrics,
        "zones": zones(window.zones(), rows),
    })
}

/// Zones of DNS names, those with the most transactions first. One that is not there had at most `missed`.
fn zones(zones: &Zones, rows: usize) -> Value {
    let rows: Vec<Value> = zones
        .rows(rows)
        .into_iter()
        .map(|zone| {
            let [mut names, mut clients] = [Map::new(), Map::new()];
            estimate(&mut names, &zone.names());
            estimate(&mut clients, &zone.clients());
            json!({
                "zone": item(Form::Name, zone.name.octets()),
                "transactions": zone.transactions,
                "queries": zone.queries,
                "responses": zone.responses,
                "missed": zone.missed,
                "names": names,
                "clients": clients,
            })
        })
        .collect();
    json!({"missed": zones.missed(), "rows": rows})
}

fn summary(metric: Metric, summary: &Summary, rows: usize) -> Value {
    let about = metric.about();
    let mut object = Map::new();
    object.insert("kind".to_owned(), about.kind.as_str().into());
    object.insert("unit".to_owned(), about.unit.into());
    match summary {
        Summary::Counter(sum) => {
            object.insert("value".to_owned(), (*sum).into());
        }
        Summary::Cardinality(sketch) => estimate(&mut object, &sketch.estimate()),
        Summary::Quantiles(sketch) => {
            object.insert("count".to_owned(), sketch.weight().into());
            if let Some([least, most]) = sketch.extremes() {
                object.insert("min".to_owned(), least.into());
                object.insert("max".to_owned(), most.into());
            }
            for (rank, found) in RANKS.iter().zip(sketch.estimates(&RANKS)) {
                let mut value = Map::new();
                estimate(&mut value, &found);
                object.insert(rank_name(*rank), value.into());
            }
        }
        Summary::FrequentItems(list) => {
            object.insert("weight".to_owned(), list.weight().into());
            object.insert("error".to_owned(), list.error().into());
            let rows: Vec<Value> = list
                .rows(rows)
                .into_iter()
                .map(|row| {
                    json!({
                        "item": item(about.form, row.item.octets()),
                        "value": row.weight,
                        "lower": row.limits[0],
                        "upper": row.limits[1],
                    })
                })
                .collect();
            object.insert("rows".to_owned(), rows.into());
        }
    }
    object.into()
}

fn estimate(object: &mut Map<String, Value>, estimate: &Estimate) {
    object.insert("value".to_owned(), estimate.value.into());
    object.insert("lower".to_owned(), estimate.lower.into());
    object.insert("upper".to_owned(), estimate.upper.into());
    object.insert("confidence".to_owned(), estimate.confidence.into());
}

/// `p50`, `p99`, `p99.9`.
fn rank_name(rank: f64) -> String {
    format!("p{}", (rank * 1000.0).round() / 10.0)
}

/// An item as people read it.
pub fn item(form: Form, octets: &[u8]) -> String {
    form.text(octets)
}

/// RFC 3339.
pub fn time(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |time| time.to_string())
}

//! Reads `[[alerts.rule]]`: every mistake names the rule, the key and the line.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::rule::{Comparison, Rule, SEVERITIES, check_together, parse_value, positive};
use crate::failure::nearest;

/// The keys of a rule.
const KEYS: [&str; 15] = [
    "name",
    "description",
    "filter",
    "where",
    "at_least",
    "metric",
    "group_by",
    "exporters",
    "window",
    "for",
    "op",
    "threshold",
    "clear",
    "severity",
    "labels",
];

/// What is wrong, and at which octet of the file.
type Wrong = (usize, String);

/// The rules of an array of tables.
///
/// # Errors
/// The first thing that is wrong.
pub fn read_rules(value: &Spanned<DeValue<'_>>) -> Result<Vec<Rule>, Wrong> {
    let at = value.span().start;
    let DeValue::Array(items) = value.get_ref() else {
        return Err((at, "alerts.rule: write [[alerts.rule]] above each rule".to_owned()));
    };
    let mut rules = Vec::new();
    for item in items {
        let DeValue::Table(table) = item.get_ref() else {
            return Err((item.span().start, "alerts.rule: a rule is a table".to_owned()));
        };
        rules.push(read_rule(table, item.span().start)?);
    }
    check_together(&rules).map_err(|(place, why)| {
        let at = items.get(place).map_or(at, |item| item.span().start);
        (at, format!("alerts.rule: {why}"))
    })?;
    Ok(rules)
}

fn read_rule(table: &DeTable<'_>, at: usize) -> Result<Rule, Wrong> {
    let mut rule = Rule::default();
    let (mut threshold, mut clear) = (None, None);
    // The name first, for it is in every message.
    let name = table.iter().find(|(key, _)| key.get_ref().as_ref() == "name");
    if let Some((_, value)) = name {
        rule.name = text(value).map_err(|why| (value.span().start, format!("alerts.rule: name: {why}")))?;
    }
    let titled = |key: &str, why: String| format!("alerts.rule {:?}: {key}: {why}", rule.name);
    let title = rule.name.clone();
    for (key, value) in table {
        let key_text: &str = key.get_ref();
        let set = match key_text {
            "name" => Ok(()),
            "description" => text(value).map(|text| rule.description = text),
            "filter" => text(value).map(|text| rule.filter = text),
            "where" => text(value).map(|text| rule.part = (!text.trim().is_empty()).then_some(text)),
            "at_least" => number(value).map(|number| rule.at_least = number),
            "metric" => text(value).map(|text| rule.metric = text.trim().to_owned()),
            "group_by" => list(value).map(|items| rule.group_by = items),
            "exporters" => list(value).and_then(|items| {
                rule.exporters = items.iter().map(|item| item.parse()).collect::<Result<_, _>>()?;
                Ok(())
            }),
            "window" => text(value)
                .and_then(|text| positive(&text))
                .map(|ns| rule.window_ns = ns),
            "for" => text(value).and_then(|text| positive(&text)).map(|ns| rule.for_ns = ns),
            "op" => text(value).and_then(|text| op(&text)).map(|op| rule.op = op),
            "threshold" => number(value).map(|number| threshold = Some(number)),
            "clear" => number(value).map(|number| clear = Some(number)),
            "severity" => text(value)
                .and_then(|text| severity(&text))
                .map(|text| rule.severity = text),
            "labels" => labels(value).map(|labels| rule.labels = labels),
            _ => {
                let hint = match nearest(key_text, KEYS) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("a rule has {}", KEYS.join(", ")),
                };
                let why = format!("alerts.rule {title:?}: unknown key {key_text}; {hint}");
                return Err((key.span().start, why));
            }
        };
        set.map_err(|why| {
            let why = format!("alerts.rule {title:?}: {key_text}: {why}");
            (value.span().start, why)
        })?;
    }
    let Some(threshold) = threshold else {
        return Err((at, titled("threshold", "it is missing".to_owned())));
    };
    rule.threshold = threshold;
    rule.clear = clear.unwrap_or(threshold);
    rule.check().map_err(|(key, why)| {
        let place = table.iter().find(|(known, _)| known.get_ref().as_ref() == key);
        let at = place.map_or(at, |(_, value)| value.span().start);
        (at, format!("alerts.rule {:?}: {key}: {why}", rule.name))
    })?;
    Ok(rule)
}

fn text(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        other => Err(format!("a {} does not go here", other.type_str())),
    }
}

fn number(value: &Spanned<DeValue<'_>>) -> Result<f64, String> {
    match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => parse_value(number.as_str()),
        DeValue::Float(number) => parse_value(number.as_str()),
        _ => text(value).and_then(|text| parse_value(&text)),
    }
}

/// An array of texts, or one text with commas.
fn list(value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let items = match value.get_ref() {
        DeValue::Array(items) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        _ => text(value)?.split(',').map(str::to_owned).collect(),
    };
    let items = items.iter().map(|item| item.trim().to_owned());
    Ok(items.filter(|item| !item.is_empty()).collect())
}

fn labels(value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<String, String>, String> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err("write { team = \"network\" }".to_owned());
    };
    let each = table
        .iter()
        .map(|(name, value)| Ok((name.get_ref().clone().into_owned(), text(value)?)));
    each.collect()
}

fn op(text: &str) -> Result<Comparison, String> {
    let known = Comparison::ALL.iter().find(|(_, written)| *written == text.trim());
    known
        .map(|(op, _)| *op)
        .ok_or_else(|| format!("{text:?} is none of >, >=, < and <="))
}

fn severity(text: &str) -> Result<&'static str, String> {
    let known = SEVERITIES.into_iter().find(|known| *known == text.trim());
    known.ok_or_else(|| format!("{text:?} is none of {}", SEVERITIES.join(", ")))
}

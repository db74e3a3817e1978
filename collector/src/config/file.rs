//! Reads the TOML file: every mistake is told with file, line and the nearest key that exists.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Config, KEYS, key};
use crate::alerts::read_rules;
use crate::failure::{Failure, nearest};

/// Sets what the file says.
///
/// # Errors
/// A file that cannot be read, is not TOML, or holds an unknown key or a wrong value; exit status 2.
pub fn read_file(config: &mut Config, path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure = Failure::file("configuration", path, &error);
        Failure::usage(failure.line)
    })?;
    read_text(config, &path.display().to_string(), &text)
}

/// As [`read_file`], for text that is there already; `name` stands in messages.
pub fn read_text(config: &mut Config, name: &str, text: &str) -> Result<(), Failure> {
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|octet| *octet == b'\n').count();
    let wrong = |offset: usize, what: String| Failure::usage(format!("{name}:{}: {what}", line(offset)));
    let table = DeTable::parse(text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        wrong(error.span().map_or(0, |span| span.start), message)
    })?;
    for (section, keys) in table.get_ref() {
        let at = section.span().start;
        let section: &str = section.get_ref();
        let DeValue::Table(keys) = keys.get_ref() else {
            return Err(wrong(at, unknown_section(section)));
        };
        if !KEYS.iter().any(|key| key.section == section) {
            return Err(wrong(at, unknown_section(section)));
        }
        for (name, value) in keys {
            let at = name.span().start;
            let name: &str = name.get_ref();
            // Rules are tables of their own: the one thing that is no line of text.
            if (section, name) == ("alerts", "rule") {
                config.alerts.rules = read_rules(value).map_err(|(at, why)| wrong(at, why))?;
                continue;
            }
            let found = key(section, name).ok_or_else(|| wrong(at, unknown_key(section, name)))?;
            let text = value_text(value.get_ref(), found.list).ok_or_else(|| {
                wrong(
                    at,
                    format!("{}: a {} does not go here", found.path(), value.get_ref().type_str()),
                )
            })?;
            found
                .set(config, &text)
                .map_err(|why| wrong(value.span().start, format!("{}: {why}", found.path())))?;
        }
    }
    Ok(())
}

fn value_text(value: &DeValue<'_>, list: bool) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(items) if list => {
            let items: Option<Vec<String>> = items.iter().map(|item| value_text(item.get_ref(), false)).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}

fn unknown_section(section: &str) -> String {
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    match nearest(section, KEYS.iter().map(|key| key.section)) {
        Some(near) => format!("unknown section or key {section:?}; did you mean [{near}]?"),
        None => format!(
            "unknown section or key {section:?}; there are [{}]",
            sections.join("], [")
        ),
    }
}

fn unknown_key(section: &str, name: &str) -> String {
    let of_section = KEYS.iter().filter(|key| key.section == section).map(|key| key.name);
    if let Some(near) = nearest(name, of_section.clone()) {
        return format!("unknown key {section}.{name}; did you mean {section}.{near}?");
    }
    let everywhere = KEYS.iter().find(|key| key.name == name).map(super::Key::path);
    match everywhere {
        Some(path) => format!("unknown key {section}.{name}; did you mean {path}?"),
        None => {
            let names: Vec<&str> = of_section.collect();
            format!("unknown key {section}.{name}; [{section}] has {}", names.join(", "))
        }
    }
}

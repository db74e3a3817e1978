//! Reads the TOML file into [`Settings`], keeping the line of every value and naming the nearest known key for a wrong one.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::keys::{KEYS, Key, Origin, Setting, Settings, Shape, nearest};

/// Reads and checks the file at `path`.
///
/// # Errors
/// All unknown keys and wrongly shaped values of the file, or why it cannot be read.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::one(format!(
            "{}: {error}; give the path of a readable TOML file to --config",
            path.display()
        ))
    })?;
    parse(path, &text)
}

/// Reads `text`; `path` is only for messages.
///
/// # Errors
/// All unknown keys and wrongly shaped values, or the first syntax error.
pub fn parse(path: &Path, text: &str) -> Result<Settings, ConfigError> {
    let at = |offset: usize| format!("{}:{}", path.display(), line_of(text, offset));
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::one(format!("{}: {}", at(offset), one_line(error.message())))
    })?;
    let mut settings = Settings::new();
    let mut wrong = Vec::new();
    for (section, values) in table.get_ref() {
        let section_name: &str = section.get_ref();
        let place = at(section.span().start);
        if KEYS.iter().all(|key| key.section != section_name) {
            wrong.push(unknown_section(&place, section_name));
            continue;
        }
        let Some(values) = values.get_ref().as_table() else {
            wrong.push(format!(
                "{place}: `{section_name}` is a section: write [{section_name}]"
            ));
            continue;
        };
        for (name, value) in values {
            let line = line_of(text, name.span().start);
            let name: &str = name.get_ref();
            let Some(key) = find(section_name, name) else {
                wrong.push(unknown_key(&at(value.span().start), section_name, name));
                continue;
            };
            match values_of(key, value.get_ref()) {
                Ok(values) => {
                    let origin = Origin::File {
                        path: path.to_owned(),
                        line,
                        key: format!("{section_name}.{name}"),
                    };
                    settings.insert(key.id, Setting { values, origin });
                }
                Err(expected) => wrong.push(format!(
                    "{}:{line}: {section_name}.{name} is {expected}, not {}",
                    path.display(),
                    value.get_ref().type_str()
                )),
            }
        }
    }
    if wrong.is_empty() {
        Ok(settings)
    } else {
        Err(ConfigError {
            lines: wrong,
            only_missing: false,
        })
    }
}

fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

fn unknown_section(place: &str, name: &str) -> String {
    // A key in front of the first [section] is the likelier slip.
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("{place}: `{name}` belongs under [{}]", key.section);
    }
    match nearest(name, KEYS.iter().map(|key| key.section)) {
        Some(known) => format!("{place}: unknown section [{name}]; did you mean [{known}]?"),
        None => {
            format!("{place}: unknown section [{name}]; there are capture, metering, exporting, log")
        }
    }
}

fn unknown_key(place: &str, section: &str, name: &str) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return format!("{place}: `{name}` belongs under [{}]", key.section);
    }
    let here = KEYS.iter().filter(|key| key.section == section);
    match nearest(name, here.clone().map(|key| key.name)) {
        Some(known) => format!("{place}: unknown key `{section}.{name}`; did you mean `{known}`?"),
        None => {
            let known: Vec<_> = here.map(|key| key.name).collect();
            format!(
                "{place}: unknown key `{section}.{name}`; [{section}] has {}",
                known.join(", ")
            )
        }
    }
}

fn values_of(key: &Key, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    match (key.shape, value) {
        (Shape::Switch, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
        (Shape::Switch, _) => Err("true or false"),
        (Shape::Text, value) => scalar(value).map(|text| vec![text]).ok_or("a string or a number"),
        (Shape::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| scalar(item.get_ref()))
            .collect::<Option<Vec<_>>>()
            .ok_or("an array of strings"),
        (Shape::List, value) => scalar(value)
            .map(|text| vec![text])
            .ok_or("a string or an array of strings"),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        _ => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Settings, ConfigError> {
        parse(Path::new("flow.toml"), text)
    }

    #[test]
    fn keeps_values_with_their_lines() {
        let settings = check(
            "[capture]\nread = [\"a.pcap\", \"b.pcap\"]\n\n[metering]\nidle_timeout = \"15s\"\nmax_flows = 1_000\n[log]\nquiet = true\n",
        )
        .unwrap();
        assert_eq!(settings["read"].values, ["a.pcap", "b.pcap"]);
        assert_eq!(settings["max_flows"].values, ["1000"]);
        assert_eq!(settings["quiet"].values, ["true"]);
        assert_eq!(
            settings["idle_timeout"].origin.to_string(),
            "flow.toml:5: metering.idle_timeout"
        );
        assert_eq!(settings.len(), 4);
    }

    #[test]
    fn names_the_nearest_key_and_all_that_is_wrong() {
        let error =
            check("[metering]\nidel_timeout = \"15s\"\nzzz = 1\n[exportin]\nto = 1\n[log]\nquiet = 1\nmtu = 9\n")
                .unwrap_err();
        assert_eq!(
            error.lines,
            [
                "flow.toml:4: unknown section [exportin]; did you mean [exporting]?",
                "flow.toml:8: `mtu` belongs under [exporting]",
                "flow.toml:7: log.quiet is true or false, not integer",
                "flow.toml:2: unknown key `metering.idel_timeout`; did you mean `idle_timeout`?",
                "flow.toml:3: unknown key `metering.zzz`; [metering] has idle_timeout, active_timeout, max_flows, \
                 sample, tcp_performance, applications, tunnels, dns, dns_ports, dns_timeout, dns_answers, \
                 summaries, summary_windows, networks, geo",
            ]
        );
    }

    #[test]
    fn says_where_the_syntax_breaks() {
        let error = check("[capture]\nread = [\n").unwrap_err();
        assert_eq!(error.lines.len(), 1);
        assert!(error.lines[0].starts_with("flow.toml:"), "{error}");
        assert!(!error.lines[0].contains('\n'));
    }

    #[test]
    fn a_key_without_its_section_is_sent_home() {
        let error = check("domain = 5\n").unwrap_err();
        assert_eq!(error.lines, ["flow.toml:1: `domain` belongs under [exporting]"]);
    }
}

//! Rules as they are written: what is read, what is refused and how, and that what `check` prints is read back.

use crate::alerts::rule::{Comparison, Source, parse_value, rules_toml};
use crate::config::{Config, read_file};
use crate::failure::Failure;

fn read(text: &str) -> Result<Config, Failure> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    let mut config = Config::default();
    read_file(&mut config, &path).map_err(|failure| {
        let line = failure.line.replace(&path.display().to_string(), "c.toml");
        Failure { line, ..failure }
    })?;
    Ok(config)
}

const RULES: &str = r#"
[alerts]
interval = "30s"
webhooks = ["http://127.0.0.1:9/hook"]

[[alerts.rule]]
name = "DNS without answers"
filter = "kind = dns"
where = "dns.status = unanswered"
metric = "transactions"
at_least = 50
group_by = ["dst.ip/24", "exporter.ip"]
window = "10m"
for = "2m"
threshold = "5%"
clear = 0.02
severity = "critical"
labels = { team = "dns", "on call" = "say \"hello\"" }

[[alerts.rule]]
name = "slow"
metric = "p95(dns.latency)"
threshold = "200ms"

[[alerts.rule]]
name = "lossy"
metric = "exporter.loss"
at_least = 1000
threshold = "1%"

[[alerts.rule]]
name = "quiet"
metric = "exporter.silence"
exporters = "10.0.0.0/8, 2001:db8::1"
op = ">="
threshold = "5m"
"#;

#[test]
fn rules_are_read_and_what_is_printed_is_read_back() {
    let config = read(RULES).unwrap();
    let rules = &config.alerts.rules;
    assert_eq!((rules.len(), config.alerts.interval.as_secs()), (4, 30));
    assert_eq!(
        (rules[0].threshold, rules[0].clear, rules[0].at_least),
        (0.05, 0.02, 50.0)
    );
    assert_eq!(rules[0].group_by, ["dst.ip/24", "exporter.ip"]);
    assert_eq!(
        (rules[0].window_ns, rules[0].for_ns),
        (600_000_000_000, 120_000_000_000)
    );
    assert_eq!(
        (rules[1].threshold, rules[1].clear, rules[1].op),
        (2e8, 2e8, Comparison::Greater)
    );
    assert_eq!(
        (rules[3].source(), rules[3].exporters.len()),
        (Source::ExporterSilence, 2)
    );
    let again = read(&format!("[alerts]\n{}", rules_toml(rules))).unwrap();
    assert_eq!(&again.alerts.rules, rules);
    let whole = read(&crate::config::to_toml(&config)).unwrap();
    assert_eq!(&whole.alerts.rules, rules);
}

#[test]
fn a_wrong_rule_is_told_with_its_line_its_name_and_the_place() {
    let told = |lines: &str| {
        let failure = read(&format!("[[alerts.rule]]\nname = \"x\"\n{lines}\n")).unwrap_err();
        assert_eq!(failure.status, 2);
        failure.line
    };
    let metric = "metric = \"octets\"\nthreshold = 1\n";
    for (lines, beginning) in [
        (
            format!("{metric}filter = \"src.ip = 10.0.0.1 and dst.prt = 5\""),
            "c.toml:5: alerts.rule \"x\": filter: at octet 23:",
        ),
        (
            format!("{metric}where = \"proto =\""),
            "c.toml:5: alerts.rule \"x\": where: at octet 8",
        ),
        (
            "metric = \"octet\"\nthreshold = 1".to_owned(),
            "c.toml:3: alerts.rule \"x\": metric: there is no metric 'octet'",
        ),
        (
            format!("{metric}group_by = \"src.ipp\""),
            "c.toml:5: alerts.rule \"x\": group_by: there is no column or element 'src.ipp'; did you mean src.ip?",
        ),
        (
            "metric = \"max(start)\"\nthreshold = 1".to_owned(),
            "c.toml:3: alerts.rule \"x\": metric: max(start) is no number, and no threshold is above or below it; take ",
        ),
        (
            format!("{metric}at_least = 5"),
            "c.toml:5: alerts.rule \"x\": at_least: it is for ratios, and there is none; add where = ",
        ),
        (
            format!("{metric}clear = 2"),
            "c.toml:5: alerts.rule \"x\": clear: with op > it is at most the threshold, 1",
        ),
        (
            format!("{metric}sevrity = \"info\""),
            "c.toml:5: alerts.rule \"x\": unknown key sevrity; did you mean severity?",
        ),
        (
            format!("{metric}op = \"=\""),
            "c.toml:5: alerts.rule \"x\": op: \"=\" is none of",
        ),
        (
            format!("{metric}window = \"0\""),
            "c.toml:5: alerts.rule \"x\": window: it is not longer than 0",
        ),
        (
            "metric = \"octets\"".to_owned(),
            "c.toml:1: alerts.rule \"x\": threshold: it is missing",
        ),
        (
            "metric = \"exporter.loss\"\nthreshold = 1\nfilter = \"proto = 6\"".to_owned(),
            "c.toml:5: alerts.rule \"x\": filter: exporter.loss is not measured on flows",
        ),
        (
            format!("{metric}[[alerts.rule]]\nname = \"x\"\n{metric}"),
            "c.toml:5: alerts.rule: two rules are named \"x\"",
        ),
    ] {
        let line = told(&lines);
        assert!(line.starts_with(beginning), "{line}");
    }
    let failure = read("[alerts]\ninterval = \"1s\"\n").unwrap_err();
    assert_eq!(failure.line, "c.toml:2: alerts.interval: \"1s\" is less than 10s");
    let failure = read("[alerts]\nwebhooks = [\"ftp://x\"]\n").unwrap_err();
    assert!(
        failure
            .line
            .starts_with("c.toml:2: alerts.webhooks: \"ftp://x\" is no webhook"),
        "{failure}"
    );
}

#[test]
fn values_as_people_write_them() {
    for (text, value) in [
        ("0.5", 0.5),
        ("5%", 0.05),
        ("100M", 1e8),
        ("1.5k", 1_500.0),
        ("200ms", 2e8),
        ("5m", 3e11),
        ("-3", -3.0),
    ] {
        assert_eq!(parse_value(text), Ok(value), "{text}");
    }
    for text in ["", "many", "inf", "NaN", "5 apples", "%"] {
        assert!(parse_value(text).is_err(), "{text}");
    }
}

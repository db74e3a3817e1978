//! Whole answers as files: by HTTP and from the store, read back by DuckDB, and never cut.

use super::*;
use crate::test_duckdb;

/// A collector that got the flows of 120 hosts twice.
fn with_flows() -> (Running, String, String) {
    let running = start();
    let folder = running.directory.path();
    let flows = || {
        set(
            TEMPLATE,
            &(1..=120)
                .flat_map(|host| flow(host, u64::from(host) * 7))
                .collect::<Vec<u8>>(),
        )
    };
    let messages = [message(7, 0, &[flow_template(), flows()]), message(7, 120, &[flows()])];
    let file = written(folder, "a.pcap", &capture(&messages));
    let to = format!("tcp://{}", running.collector.address(Transport::Tcp).unwrap());
    run(&["replay", &file, "--to", &to, "--speed", "max"]).1.unwrap();
    running.wait_for_rows(240);
    let url = format!("http://{}", running.collector.http_address());
    let data = folder.join("data").to_str().unwrap().to_owned();
    (running, url, data)
}

fn rows(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn everything_is_one_file_online_and_offline_and_duckdb_reads_it() {
    let (running, url, data) = with_flows();
    let file = running.directory.path().join("flows.parquet");
    let path = file.to_str().unwrap();
    for (order, least) in [(&[][..], 0), (&["--order", "-octets"], 1)] {
        let everything = [&["query", "--limit", "all", "src.ip != 10.0.0.9"][..], order].concat();
        let lines = run(&[&everything, &["--url", &url, "--format", "ndjson"][..]].concat());
        lines.1.unwrap();
        let lines = rows(&lines.0);
        assert_eq!(lines.len(), 238);
        let octets: Vec<u64> = lines.iter().map(|row| row["octets"].as_u64().unwrap()).collect();
        assert_eq!(octets.is_sorted_by(|a, b| a >= b), least == 1, "{octets:?}");
        // As the pages of the API say it.
        let mut ids: Vec<&str> = lines.iter().map(|row| row["_id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 238);
        let page = run(&[
            &["query", "--limit", "1000", "src.ip != 10.0.0.9", "--format", "json"][..],
            &["--url", &url],
        ]
        .concat());
        let page: Json = serde_json::from_str(&page.0).unwrap();
        for row in page["rows"].as_array().unwrap() {
            assert!(lines.contains(row), "{row}");
        }
        for source in [["--url", &url], ["--data", &data]] {
            let arguments = [&everything[..], &source, &["--format", "parquet", "-o", path]].concat();
            assert_eq!(run(&arguments), (String::new(), Ok(())));
            let Some(found) = test_duckdb::compared(&file, &lines) else {
                return;
            };
            assert_eq!(found.types["start"], "TIMESTAMPTZ_NS");
            assert_eq!(found.types["src.port"], "USMALLINT");
            assert_eq!(found.types["octets"], "UBIGINT");
            assert_eq!(found.types["src.ip"], "VARCHAR");
            assert_eq!(found.types["duration_ns"], "BIGINT");
            assert_eq!(
                found.cells,
                lines.iter().map(|row| row.as_object().unwrap().len()).sum::<usize>()
            );
        }
        let csv = |source: [&str; 2]| run(&[&everything[..], &source, &["--format", "csv"]].concat()).0;
        assert_eq!(csv(["--url", &url]).lines().count(), 239);
        assert_eq!(csv(["--url", &url]), csv(["--data", &data]));
    }
}

#[test]
fn aggregates_are_files_too() {
    let (running, url, data) = with_flows();
    let file = running.directory.path().join("top.parquet");
    let path = file.to_str().unwrap();
    let top = [
        "query",
        "--top",
        "src.ip,proto",
        "--by",
        "octets",
        "--interval",
        "1h",
        "--limit",
        "50",
    ];
    let lines = run(&[&top[..], &["--url", &url, "--format", "ndjson"]].concat()).0;
    for source in [["--url", &url], ["--data", &data]] {
        run(&[&top[..], &source, &["--format", "parquet", "-o", path]].concat())
            .1
            .unwrap();
        let Some(found) = test_duckdb::compared(&file, &rows(&lines)) else {
            return;
        };
        assert!(found.cells >= 50 * 5, "{found:?}");
        assert_eq!(found.types["time"], "TIMESTAMPTZ_NS");
        assert_eq!(found.types["proto"], "UTINYINT");
    }
}

#[test]
fn a_file_that_cannot_be_whole_is_not_there() {
    let (running, url, data) = with_flows();
    let file = running.directory.path().join("flows.csv");
    let path = file.to_str().unwrap();
    let is_left = || {
        let names = std::fs::read_dir(running.directory.path()).unwrap();
        names
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .starts_with("flows")
            })
            .count()
    };
    std::fs::write(&file, "before").unwrap();
    for source in [["--url", &url], ["--data", &data]] {
        let wrong = [
            &["query", "src.ipp = 1", "--limit", "all", "--format", "csv", "-o", path][..],
            &source,
        ]
        .concat();
        assert_eq!(run(&wrong).1.unwrap_err().status, 2);
        // What was there stays.
        assert_eq!(
            (std::fs::read_to_string(&file).unwrap().as_str(), is_left()),
            ("before", 1)
        );
        let page = [&["query", "--limit", "all"][..], &source].concat();
        let refused = run(&page).1.unwrap_err();
        assert_eq!(refused.status, 2, "{refused}");
        assert!(refused.line.contains("add --format"), "{refused}");
    }
    let folder = running.directory.path().to_str().unwrap();
    let refused = run(&["query", "--url", &url, "-o", folder]).1.unwrap_err();
    assert!(refused.line.contains("it is a directory; name a file"), "{refused}");
    for limit in ["0", "many"] {
        assert_eq!(super::refused(&["query", "--limit", limit]).status, 2);
    }
}

#[test]
fn a_prediction_names_what_it_measured() {
    let (running, _, data) = with_flows();
    let (text, result) = run(&["predict", "--rate", "1000", "--keep", "30d", "--data", &data]);
    result.unwrap();
    assert!(text.contains("240 flows in "), "{text}");
    for name in [
        "journal", "flows", "minutes", "hours", "days", "in all", "memory: ", "files: ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
    let (json, _) = run(&[
        "predict", "--rate", "1000", "--keep", "30d", "--data", &data, "--format", "json",
    ]);
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["taken"]["rows"], 240);
    let empty = running.directory.path().to_str().unwrap();
    let refused = run(&["predict", "--rate", "1", "--data", empty]).1.unwrap_err();
    assert!(refused.line.contains("is no store to measure"), "{refused}");
    for rate in ["0", "-1", "many", "inf"] {
        assert_eq!(super::refused(&["predict", "--rate", rate]).status, 2, "{rate}");
    }
}

//! Configuration from flags, environment and file, with their faults.

use super::file::read_text;
use super::*;

fn read(text: &str) -> Result<Config, Failure> {
    let mut config = Config::default();
    read_text(&mut config, "collector.toml", text).map(|()| config)
}

#[test]
fn a_file_sets_what_it_names() {
    let config = read(
        "[listen]\naddresses = [\"udp://127.0.0.1:9995\", \"tcp://[::1]:4739\"]\nqueue = \"1MiB\"\n\
         [http]\naddress = \"0.0.0.0:80\"\n[store]\ncommit = \"250ms\"\ncommit_rows = 5\n",
    )
    .unwrap();
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.queue_octets, 1 << 20);
    assert_eq!(config.http.port(), 80);
    assert_eq!((config.store.commit_ms, config.store.commit_rows), (250, 5));
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_one() {
    let failure = read("[http]\n\nadress = \"x\"\n").unwrap_err();
    assert_eq!(failure.status, 2);
    assert_eq!(
        failure.line,
        "collector.toml:3: unknown key http.adress; did you mean http.address?"
    );
    let failure = read("[stor]\nkeep = \"1d\"\n").unwrap_err();
    assert_eq!(
        failure.line,
        "collector.toml:1: unknown section or key \"stor\"; did you mean [store]?"
    );
    let failure = read("# one\nhttp = 3\n").unwrap_err();
    assert!(
        failure
            .line
            .starts_with("collector.toml:2: unknown section or key \"http\""),
        "{failure}"
    );
}

#[test]
fn a_wrong_value_is_told_with_its_line() {
    let failure = read("[store]\ncommit = \"soon\"\n").unwrap_err();
    assert!(
        failure
            .line
            .starts_with("collector.toml:2: store.commit: 'soon' is no duration"),
        "{failure}"
    );
    let failure = read("[store]\ncommit = {a = 1}\n").unwrap_err();
    assert!(
        failure.line.starts_with("collector.toml:2: store.commit: a table"),
        "{failure}"
    );
    let failure = read("[http]\naddress = \n").unwrap_err();
    assert!(failure.line.starts_with("collector.toml:2: "), "{failure}");
    assert!(!failure.line.contains('\n'));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(
        &path,
        "[http]\naddress = \"127.0.0.1:1\"\nquery_timeout = \"1s\"\n[log]\nlevel = \"warn\"\n",
    )
    .unwrap();
    let variables = [
        ("FLOWGAUGE_HTTP_ADDRESS".to_owned(), "127.0.0.1:2".to_owned()),
        ("FLOWGAUGE_HTTP_QUERY_TIMEOUT".to_owned(), "2s".to_owned()),
        ("FLOWGAUGE_SHARED".to_owned(), "elsewhere".to_owned()),
        ("PATH".to_owned(), "/bin".to_owned()),
    ];
    let flags = [(key("http", "address").unwrap(), "127.0.0.1:3".to_owned())];
    let config = load(Some(&path), variables, &flags).unwrap();
    assert_eq!(config.http.port(), 3);
    assert_eq!(config.query_timeout, Duration::from_secs(2));
    assert_eq!(config.log_level, "warn");
}

#[test]
fn an_unknown_variable_in_a_known_section_is_a_slip() {
    let variables = [("FLOWGAUGE_HTTP_ADRESS".to_owned(), "x".to_owned())];
    let failure = load(None, variables, &[]).unwrap_err();
    assert_eq!(
        failure.line,
        "environment: unknown variable FLOWGAUGE_HTTP_ADRESS; did you mean FLOWGAUGE_HTTP_ADDRESS?"
    );
    let failure = load(Some(Path::new("/nonexistent/c.toml")), [], &[]).unwrap_err();
    assert_eq!(failure.status, 2);
    assert!(
        failure.line.contains("/nonexistent/c.toml") && failure.line.contains("no such file"),
        "{failure}"
    );
}

#[test]
fn every_key_writes_what_it_reads() {
    let config = Config::default();
    let again = read(&to_toml(&config)).unwrap();
    for key in KEYS {
        assert_eq!(key.text(&again), key.text(&config), "{}", key.path());
    }
    let mut flags: Vec<&str> = KEYS.iter().map(|key| key.flag).collect();
    flags.sort_unstable();
    flags.dedup();
    assert_eq!(flags.len(), KEYS.len());
}

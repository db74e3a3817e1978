//! DuckDB reads our Parquet files: another maker's reader says what is in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

/// Prints the types of the columns, after every cell was compared with what JSON says.
const COMPARE: &str = r#"
import datetime, duckdb, json, sys
file, lines = sys.argv[1:]
con = duckdb.connect()
con.execute("set timezone = 'UTC'")
types = con.execute("select column_name, column_type from (describe select * from read_parquet(?))", [file]).fetchall()
quoted = lambda name: '"' + name.replace('"', '""') + '"'
shown = [("epoch_ns(%s)" if kind.startswith("TIMESTAMP") else "%s") % quoted(name) for name, kind in types]
found = con.execute("select " + ", ".join(shown) + " from read_parquet(?)", [file]).fetchall()

def nanoseconds(text):
    whole, _, part = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole + "+00:00")
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (moment - epoch) // datetime.timedelta(seconds=1) * 10**9 + int(part.ljust(9, "0") or 0)

rows = [json.loads(line) for line in open(lines, encoding="utf-8")]
assert len(found) == len(rows), (len(found), len(rows))
cells = 0
for row, values in zip(rows, found):
    for (name, kind), value in zip(types, values):
        wanted = row.pop(name, None)
        if name.endswith("_ns") and wanted is None:
            wanted = row.pop(name[:-3], None)
        if wanted is not None and kind.startswith("TIMESTAMP"):
            # Readers from before there was the exact type round down.
            exact = 1 if kind.endswith("_NS") else 1000
            wanted, value = nanoseconds(wanted) // exact, value // exact
        if wanted is not None and kind == "VARCHAR" and not isinstance(wanted, str):
            wanted = json.dumps(wanted)
        assert value == wanted and (value is None) == (wanted is None), (name, kind, value, wanted)
        cells += wanted is not None
    assert not row, row
groups = con.execute("select count(distinct row_group_id) from parquet_metadata(?)", [file]).fetchone()[0]
utc = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ_NS"}
types = {name: utc.get(kind, kind) for name, kind in types}
print(json.dumps({"types": types, "cells": cells, "groups": groups}))
"#;

/// What DuckDB found in a file.
#[derive(Debug, serde::Deserialize)]
pub struct Found {
    /// Types by column.
    pub types: BTreeMap<String, String>,
    /// Cells that were compared, those without a value not counted.
    pub cells: usize,
    /// Row groups.
    pub groups: usize,
}

/// Compares a Parquet file with rows as JSON, cell by cell; `None` where DuckDB is not installed. FLOWGAUGE_PYTHON names an
/// interpreter that has it; without it, that of `.ci/setup` is taken.
pub fn compared(file: &Path, rows: &[Json]) -> Option<Found> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python3");
    let interpreter = match std::env::var_os("FLOWGAUGE_PYTHON") {
        Some(named) => PathBuf::from(named),
        None if installed.is_file() => installed,
        None => PathBuf::from("python3"),
    };
    let has_library = Command::new(&interpreter)
        .args(["-c", "import duckdb"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_library {
        println!(
            "skipped: {} has no duckdb: Parquet is not read by another program (pip install duckdb)",
            interpreter.display()
        );
        return None;
    }
    let lines = file.with_extension("lines");
    let text: String = rows.iter().map(|row| row.to_string() + "\n").collect();
    std::fs::write(&lines, text).unwrap();
    let output = Command::new(&interpreter)
        .args(["-c", COMPARE])
        .args([file, &lines])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

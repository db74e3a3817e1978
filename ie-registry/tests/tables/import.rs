//! The committed tables are what the script makes of the sources, so that a diff after a new release shows only that.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::sources::shared_dir;

#[test]
fn the_script_makes_the_committed_tables() {
    let registry = shared_dir().join("registry");
    if !registry.is_dir() {
        println!("skipped: making the tables again, the registry folder is not there");
        return;
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let target = env::temp_dir().join(format!("flowgauge-tables-{}", std::process::id()));
    let run = Command::new("python3")
        .arg(data.join("import.py"))
        .arg(&registry)
        .arg(&target)
        .output();
    let Ok(output) = run else {
        println!("skipped: making the tables again, python3 is not there");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let mut compared = 0;
    for folder in [target.clone(), target.join("codes")] {
        for entry in fs::read_dir(folder).unwrap() {
            let made = entry.unwrap().path();
            if made.is_file() {
                let name = made.strip_prefix(&target).unwrap();
                let committed = fs::read_to_string(data.join(name)).unwrap();
                assert_eq!(fs::read_to_string(&made).unwrap(), committed, "{name:?}");
                compared += 1;
            }
        }
    }
    fs::remove_dir_all(target).unwrap();
    assert_eq!(compared, 24 + 40);
}

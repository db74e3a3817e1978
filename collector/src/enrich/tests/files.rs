//! A file that changes is taken up; one that cannot be used is refused, and the one before goes on being used.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::files::Files;
use super::{databases, ip};

fn country(files: &Files, address: &str) -> String {
    let contents = files.contents();
    let facts = contents.geo.look_up(address.parse().unwrap(), &mut 0);
    contents.geo.text(facts.country).to_owned()
}

fn name(files: &Files, address: &str) -> Option<String> {
    let contents = files.contents();
    contents.networks.of(ip(address))?.name.as_deref().map(str::to_owned)
}

/// Writes a file with a time that no other one has.
fn write(path: &Path, octets: &[u8], age_s: u64) {
    std::fs::write(path, octets).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(age_s))
        .unwrap();
}

#[test]
fn networks_that_change_are_taken_up_when_they_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("networks.csv");
    write(&path, b"10.0.0.0/8,old\n", 90);
    let files = Files::open(&[], Some(&path)).unwrap();
    files.look();
    assert_eq!(
        (files.generation(), name(&files, "10.1.1.1").as_deref()),
        (0, Some("old"))
    );
    write(&path, b"10.0.0.0/8,half", 80);
    files.look();
    // Seen once only: it may be being written.
    write(&path, b"10.0.0.0/8,new\n192.0.2.0/24,more\n", 70);
    files.look();
    assert_eq!(name(&files, "10.1.1.1").as_deref(), Some("old"));
    files.look();
    assert_eq!(
        (files.generation(), name(&files, "192.0.2.1").as_deref()),
        (1, Some("more"))
    );
    write(&path, b"10.0.0.0/8,new\nnonsense,more\n", 60);
    files.look();
    files.look();
    files.look();
    let counters = files.counters();
    assert_eq!((counters.taken, counters.refused, counters.networks), (1, 1, 2));
    assert!(
        counters
            .trouble
            .unwrap()
            .contains("networks.csv:2: \"nonsense\" is no network")
    );
    assert_eq!(
        (files.generation(), name(&files, "10.1.1.1").as_deref()),
        (1, Some("new"))
    );
    // A file that goes is used on, and taken up when it comes again.
    std::fs::remove_file(&path).unwrap();
    files.look();
    files.look();
    assert_eq!(name(&files, "10.1.1.1").as_deref(), Some("new"));
    write(&path, b"10.0.0.0/8,again\n", 50);
    files.look();
    files.look();
    let counters = files.counters();
    assert_eq!((counters.taken, counters.refused, counters.trouble), (2, 2, None));
    assert_eq!(name(&files, "10.1.1.1").as_deref(), Some("again"));
}

#[test]
fn a_damaged_database_is_refused_and_the_one_before_used_on() {
    let Some(folder) = databases() else { return };
    let own = tempfile::tempdir().unwrap();
    let path = own.path().join("places.mmdb");
    let sound = std::fs::read(folder.join("GeoLite2-Country-Test.mmdb")).unwrap();
    write(&path, &sound, 90);
    let files = Files::open(std::slice::from_ref(&path), None).unwrap();
    assert_eq!(country(&files, "2.125.160.216"), "GB");
    write(&path, &sound[..sound.len() / 2], 80);
    files.look();
    files.look();
    assert_eq!((files.counters().taken, files.counters().refused), (0, 1));
    assert!(
        files
            .counters()
            .trouble
            .unwrap()
            .contains("places.mmdb: is no sound MaxMind database")
    );
    assert_eq!(country(&files, "2.125.160.216"), "GB");
    // One of another kind knows no countries.
    let systems = std::fs::read(folder.join("GeoLite2-ASN-Test.mmdb")).unwrap();
    write(&path, &systems, 70);
    files.look();
    files.look();
    assert_eq!((files.counters().taken, files.generation()), (1, 1));
    assert_eq!(country(&files, "2.125.160.216"), "");
    assert_eq!(
        files
            .contents()
            .geo
            .look_up("1.128.0.1".parse().unwrap(), &mut 0)
            .system,
        1221
    );
}

#[test]
fn at_the_start_a_file_that_cannot_be_used_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.mmdb");
    std::fs::write(&path, b"no database").unwrap();
    let error = Files::open(&[path], None).unwrap_err();
    assert!(error.contains("places.mmdb: is no sound MaxMind database"), "{error}");
}

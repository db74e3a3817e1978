//! Turns the CSV tables in `data/` into the statics that `src/table.rs` searches: elements with their reverse
//! counterparts, the index of names, code lists, and the constants of `ids`.
//!
//! A wrong table stops the build with its file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[allow(dead_code)]
#[path = "src/csv.rs"]
mod csv;
#[allow(dead_code)]
#[path = "src/data_type.rs"]
mod data_type;
#[allow(dead_code)]
#[path = "src/semantics.rs"]
mod semantics;

use data_type::DataType;
use semantics::{Semantics, Status, Units};

const REVERSE_PEN: u32 = 29305;
const FLOWGAUGE_PEN: u32 = 32473;
const CERT_PEN: u32 = 6871;
const NETFLOW9_PEN: u32 = u32::MAX;
/// CERT's rule and ours (RFC 5103 section 6.2).
const REVERSE_BIT: u16 = 0x4000;

struct Element {
    name: String,
    data_type: DataType,
    semantics: Semantics,
    units: Units,
    range: Option<(u64, u64)>,
    status: Status,
    reversible: bool,
    codes: Option<String>,
}

type Elements = BTreeMap<(u32, u16), Element>;

fn main() {
    let data = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("data");
    println!("cargo::rerun-if-changed=data");
    println!("cargo::rerun-if-changed=src/csv.rs");
    println!("cargo::rerun-if-changed=src/data_type.rs");
    println!("cargo::rerun-if-changed=src/semantics.rs");

    let mut elements = Elements::new();
    for path in csv_files(&data) {
        read_elements(&path, &mut elements);
    }
    let lists: BTreeMap<String, BTreeMap<u64, String>> = csv_files(&data.join("codes"))
        .iter()
        .map(|path| (stem(path), read_codes(path)))
        .collect();
    attach_codes(&data.join("rules/element-codes.csv"), &lists, &mut elements);
    mark_reversible(&data.join("rules/not-reversible.csv"), &mut elements);
    add_reverse(&mut elements);

    let mut out = String::new();
    let date = iana_date(&data.join("iana-ipfix.csv"));
    let _ = writeln!(out, "pub(crate) const IANA_DATE: &str = {date:?};");
    write_codes(&lists, &mut out);
    write_elements(&elements, &mut out);
    write_names(&elements, &mut out);
    write_ids(&elements, &mut out);
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("generated.rs");
    fs::write(target, out).expect("the build directory can be written");
}

fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a file name").to_string_lossy().into_owned()
}

/// The rows behind the heading, each with its place for error messages.
fn rows(path: &Path, heading: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut rows = Vec::new();
    for (at, (line, content)) in csv::lines(&text).enumerate() {
        let place = format!("{}:{line}", path.display());
        if at == 0 {
            assert_eq!(content, heading, "{place}: the heading");
            continue;
        }
        let fields = csv::fields(content).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(fields.len(), heading.split(',').count(), "{place}: fields");
        rows.push((place, fields));
    }
    rows
}

fn read_elements(path: &Path, elements: &mut Elements) {
    for (place, fields) in rows(path, "pen,id,name,type,semantics,units,status,range,reversible") {
        let [pen, id, name, kind, semantics, units, status, range, reversible] = &fields[..] else {
            unreachable!("rows() counted the fields");
        };
        // Numbers that the registry reserves have no type, and a range of them has a dash.
        if kind.is_empty() {
            continue;
        }
        let wrong = |what: &str, value: &str| -> ! { panic!("{place}: {what} {value:?}") };
        let pen: u32 = pen.parse().unwrap_or_else(|_| wrong("pen", pen));
        let id: u16 = id.parse().unwrap_or_else(|_| wrong("id", id));
        assert!(id <= 0x7fff || pen == NETFLOW9_PEN, "{place}: id above 32767");
        let element = Element {
            name: name.clone(),
            data_type: DataType::from_name(kind).unwrap_or_else(|| wrong("type", kind)),
            semantics: match semantics.as_str() {
                "" => Semantics::Default,
                s => Semantics::from_name(s).unwrap_or_else(|| wrong("semantics", s)),
            },
            units: match units.as_str() {
                "" => Units::None,
                u => Units::from_name(u).unwrap_or_else(|| wrong("units", u)),
            },
            range: (!range.is_empty()).then(|| parse_range(range).unwrap_or_else(|| wrong("range", range))),
            status: match status.as_str() {
                "" => Status::Current,
                s => Status::from_name(s).unwrap_or_else(|| wrong("status", s)),
            },
            reversible: match reversible.as_str() {
                "" => false,
                "true" if pen == CERT_PEN || pen == FLOWGAUGE_PEN => true,
                r => wrong("reversible", r),
            },
            codes: None,
        };
        assert!(
            elements.insert((pen, id), element).is_none(),
            "{place}: {pen}.{id} is there twice"
        );
    }
}

/// `0-0x1FFF`
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (low, high) = text.split_once('-')?;
    Some((parse_code(low)?, parse_code(high)?))
}

fn parse_code(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn read_codes(path: &Path) -> BTreeMap<u64, String> {
    let mut codes = BTreeMap::new();
    for (place, fields) in rows(path, "code,label") {
        let code = parse_code(&fields[0]).unwrap_or_else(|| panic!("{place}: code {:?}", fields[0]));
        assert!(!fields[1].is_empty(), "{place}: no label");
        assert!(codes.insert(code, fields[1].clone()).is_none(), "{place}: code twice");
    }
    codes
}

fn attach_codes(path: &Path, lists: &BTreeMap<String, BTreeMap<u64, String>>, elements: &mut Elements) {
    for (place, fields) in rows(path, "pen,id,list") {
        let key = (
            fields[0].parse().unwrap_or_else(|_| panic!("{place}: pen")),
            fields[1].parse().unwrap_or_else(|_| panic!("{place}: id")),
        );
        assert!(lists.contains_key(&fields[2]), "{place}: no list {:?}", fields[2]);
        let element = elements
            .get_mut(&key)
            .unwrap_or_else(|| panic!("{place}: no such element"));
        assert!(element.codes.is_none(), "{place}: element twice");
        element.codes = Some(fields[2].clone());
    }
}

/// IANA's elements are reversible unless RFC 5103 section 6.1 excludes them.
fn mark_reversible(path: &Path, elements: &mut Elements) {
    let not: BTreeSet<u16> = rows(path, "id,reason")
        .iter()
        .map(|(place, fields)| {
            let id = fields[0].parse().unwrap_or_else(|_| panic!("{place}: id"));
            assert!(elements.contains_key(&(0, id)), "{place}: no such element");
            id
        })
        .collect();
    for (&(_, id), element) in elements.range_mut((0, 0)..(1, 0)) {
        element.reversible = !not.contains(&id);
    }
}

fn add_reverse(elements: &mut Elements) {
    let reverse: Vec<((u32, u16), Element)> = elements
        .iter()
        .filter(|(_, element)| element.reversible)
        .map(|(&(pen, id), element)| {
            let key = match pen {
                0 => (REVERSE_PEN, id),
                CERT_PEN | FLOWGAUGE_PEN => (pen, id | REVERSE_BIT),
                _ => panic!("{pen}.{id}: no rule for reverse elements of this enterprise"),
            };
            let (first, rest) = element.name.split_at(1);
            let element = Element {
                name: format!("reverse{}{rest}", first.to_ascii_uppercase()),
                codes: element.codes.clone(),
                reversible: false,
                ..*element
            };
            (key, element)
        })
        .collect();
    for (key, element) in reverse {
        assert!(
            elements.insert(key, element).is_none(),
            "{}.{} is there twice",
            key.0,
            key.1
        );
    }
}

fn iana_date(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .find_map(|line| line.strip_prefix("# date: "))
        .unwrap_or_else(|| panic!("{}: no line \"# date: YYYY-MM-DD\"", path.display()))
        .trim()
        .to_owned()
}

fn list_static(name: &str) -> String {
    format!("CODES_{}", name.replace('-', "_").to_ascii_uppercase())
}

fn write_codes(lists: &BTreeMap<String, BTreeMap<u64, String>>, out: &mut String) {
    for (name, codes) in lists {
        let _ = writeln!(
            out,
            "static {}: CodeList = CodeList {{ name: {name:?}, entries: &[",
            list_static(name)
        );
        for (code, label) in codes {
            let _ = write!(out, "({code},{label:?}),");
        }
        out.push_str("] };\n");
    }
    out.push_str("pub(crate) static CODE_LISTS: &[&CodeList] = &[");
    for name in lists.keys() {
        let _ = write!(out, "&{},", list_static(name));
    }
    out.push_str("];\n");
}

fn write_elements(elements: &Elements, out: &mut String) {
    let _ = writeln!(out, "pub(crate) static ELEMENTS: [Element; {}] = [", elements.len());
    for ((pen, id), e) in elements {
        let codes = match &e.codes {
            Some(list) => format!("Some(&{})", list_static(list)),
            None => "None".to_owned(),
        };
        let _ = writeln!(
            out,
            "row({pen},{id},{:?},DataType::{:?},Semantics::{:?},Units::{:?},{:?},Status::{:?},{},{codes}),",
            e.name, e.data_type, e.semantics, e.units, e.range, e.status, e.reversible
        );
    }
    out.push_str("];\n");
}

/// Places in the table by name in lower case, then IANA, its reverse elements, ours, and the others by number.
fn write_names(elements: &Elements, out: &mut String) {
    let rank = |pen: u32| match pen {
        0 => 0,
        REVERSE_PEN => 1,
        FLOWGAUGE_PEN => 2,
        _ => 3,
    };
    let mut names: Vec<(String, u8, u32, u16, usize)> = elements
        .iter()
        .enumerate()
        .map(|(at, (&(pen, id), e))| (e.name.to_ascii_lowercase(), rank(pen), pen, id, at))
        .collect();
    names.sort();
    let _ = write!(out, "pub(crate) static BY_NAME: [u16; {}] = [", names.len());
    for name in &names {
        let at = u16::try_from(name.4).expect("fewer than 65536 elements");
        let _ = write!(out, "{at},");
    }
    out.push_str("];\n");
}

fn write_ids(elements: &Elements, out: &mut String) {
    out.push_str(
        "/// Element numbers by name: IANA's, their reverse counterparts, and our own.\npub mod ids {\nuse crate::ElementId;\n",
    );
    for (&(pen, id), e) in elements {
        if matches!(pen, 0 | REVERSE_PEN | FLOWGAUGE_PEN) {
            let _ = writeln!(
                out,
                "/// {}, {}\npub const {}: ElementId = ElementId::new({pen}, {id});",
                e.name,
                e.data_type,
                constant(&e.name)
            );
        }
    }
    out.push_str("}\n");
}

/// `sourceIPv4Address` becomes `SOURCE_IPV4_ADDRESS`.
fn constant(name: &str) -> String {
    let name = name.replace("IPv", "Ipv").replace("VRFname", "VrfName");
    let letters: Vec<char> = name.chars().collect();
    let mut constant = String::new();
    for (at, &c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|b| letters.get(b));
        let after = letters.get(at + 1);
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                !b.is_ascii_uppercase() && *b != '_'
                    || b.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase)
            });
        if starts_word {
            constant.push('_');
        }
        constant.push(c.to_ascii_uppercase());
    }
    constant
}

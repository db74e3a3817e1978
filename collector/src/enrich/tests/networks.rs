//! The longest prefix wins, as Python's `ipaddress` and a naive search see it; files tell where they are wrong.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::networks::{Network, Networks, Prefix};
use super::super::networks_file::read_networks;
use super::ip;
use crate::normalize::row::ip_to_u128;

fn text(text: &str) -> Option<Arc<str>> {
    Some(text.into())
}

fn named(name: usize) -> Network {
    Network {
        name: text(&format!("n{name}")),
        ..Network::default()
    }
}

fn prefix(address: IpAddr, length: u8) -> Prefix {
    let cut: IpAddr = match address {
        IpAddr::V4(v4) => {
            Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)).into()
        }
    };
    format!("{cut}/{length}").parse().unwrap()
}

/// Few first octets, so that prefixes nest and touch.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0..3u8, any::<[u8; 3]>()).prop_map(|(first, [a, b, c])| IpAddr::from([first, a & 3, b, c])),
        (0..2u16, 0..4u16, any::<u16>()).prop_map(|(first, second, last)| IpAddr::from([
            0x2001 + first,
            second,
            0,
            0,
            0,
            0,
            0,
            last
        ])),
    ]
}

fn prefixes() -> impl Strategy<Value = Vec<Prefix>> {
    let one = (address(), 0..=128u8).prop_map(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        prefix(address, length % (most + 1))
    });
    proptest::collection::vec(one, 0..60)
}

fn holds(prefix: Prefix, address: IpAddr) -> bool {
    let (of, length) = prefix.parts();
    of.is_ipv4() == address.is_ipv4() && self::prefix(address, length) == prefix
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_longest_prefix_wins(mut prefixes in prefixes(), addresses in proptest::collection::vec(address(), 40)) {
        prefixes.sort();
        prefixes.dedup();
        let networks = Networks::new(prefixes.iter().copied().enumerate().map(|(n, prefix)| (prefix, named(n))).collect());
        let edges = prefixes.iter().map(|prefix| prefix.parts().0);
        for address in edges.chain(addresses) {
            let holding = prefixes.iter().enumerate().filter(|(_, prefix)| holds(**prefix, address));
            let longest = holding.max_by_key(|(_, prefix)| prefix.parts().1).map(|(n, _)| format!("n{n}"));
            let found = networks.of(ip_to_u128(address)).and_then(|network| network.name.as_deref().map(str::to_owned));
            prop_assert_eq!(found, longest, "{}", address);
        }
    }
}

const PYTHON: &str = r"
import ipaddress, sys
prefixes, addresses = sys.stdin.read().split('---\n')
networks = [(ipaddress.ip_network(p), name) for p, name in (line.split() for line in prefixes.splitlines())]
for text in addresses.splitlines():
    address = ipaddress.ip_address(text)
    holding = [(n.prefixlen, name) for n, name in networks if n.version == address.version and address in n]
    print(max(holding)[1] if holding else '-')
";

#[test]
fn python_finds_the_same_networks() {
    let mut state = 7u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut address = move || match random() % 2 {
        0 => IpAddr::from([
            10 + (random() % 3) as u8,
            random() as u8 & 15,
            random() as u8,
            random() as u8,
        ]),
        _ => IpAddr::from([
            0x2001,
            0xdb8,
            random() as u16 & 7,
            random() as u16,
            0,
            0,
            0,
            random() as u16,
        ]),
    };
    let mut prefixes: Vec<Prefix> = (0..400u32)
        .map(|n| {
            let address = address();
            let length = if address.is_ipv4() { 4 + n % 29 } else { 16 + n % 113 };
            prefix(address, length as u8)
        })
        .collect();
    prefixes.sort();
    prefixes.dedup();
    let networks = Networks::new(
        prefixes
            .iter()
            .copied()
            .enumerate()
            .map(|(n, prefix)| (prefix, named(n)))
            .collect(),
    );
    let addresses: Vec<IpAddr> = (0..3_000).map(|_| address()).collect();
    let mut input = String::new();
    for (n, prefix) in prefixes.iter().enumerate() {
        let _ = writeln!(input, "{prefix} n{n}");
    }
    input.push_str("---\n");
    for address in &addresses {
        let _ = writeln!(input, "{address}");
    }
    let python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        println!("skipped: no python3: networks are compared with our own naive search only");
        return;
    };
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let theirs: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let name = |address: &IpAddr| {
        let network = networks.of(ip_to_u128(*address));
        network
            .and_then(|network| network.name.as_deref())
            .unwrap_or("-")
            .to_owned()
    };
    let ours: Vec<String> = addresses.iter().map(name).collect();
    assert_eq!(ours, theirs);
    assert!(ours.iter().filter(|name| *name != "-").count() > 300);
}

#[test]
fn each_word_is_that_of_the_longest_prefix_that_says_it() {
    let site = |site: &str| Network {
        site: text(site),
        ..Network::default()
    };
    let networks = Networks::new(vec![
        (
            "10.0.0.0/8".parse().unwrap(),
            Network {
                name: text("all"),
                tenant: text("us"),
                ..site("berlin")
            },
        ),
        ("10.1.0.0/16".parse().unwrap(), site("bonn")),
        (
            "10.1.2.0/24".parse().unwrap(),
            Network {
                name: text("office"),
                ..Network::default()
            },
        ),
    ]);
    let words = |address: &str| {
        let network = networks.of(ip(address)).cloned().unwrap_or_default();
        [network.name, network.site, network.tenant].map(|word| word.map_or_else(String::new, |word| word.to_string()))
    };
    assert_eq!(words("10.9.9.9"), ["all", "berlin", "us"]);
    assert_eq!(words("10.1.9.9"), ["all", "bonn", "us"]);
    assert_eq!(words("10.1.2.255"), ["office", "bonn", "us"]);
    assert_eq!(words("10.1.3.0"), ["all", "bonn", "us"]);
    assert_eq!(words("11.0.0.0"), ["", "", ""]);
    assert_eq!(words("::1"), ["", "", ""]);
}

fn read(name: &str, text: &str) -> Result<Networks, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let error = |line: String| line.replace(&format!("{}/", folder.path().display()), "");
    read_networks(Path::new(&path)).map_err(error)
}

#[test]
fn csv_and_toml_say_the_same() {
    let csv = "# ours\nprefix,name,role,site,region,tenant\n10.0.0.0/8,office,users,bonn,west,\n\
               2001:db8::/32, office ,users,bonn,west\n192.0.2.7,\"printer, \"\"new\"\"\"\n";
    let toml = "[[network]]\nprefix = [\"10.0.0.0/8\", \"2001:db8::/32\"]\nname = \"office\"\nrole = \"users\"\n\
                site = \"bonn\"\nregion = \"west\"\n\n[[network]]\nprefix = \"192.0.2.7\"\nname = 'printer, \"new\"'\n";
    let (csv, toml) = (read("n.csv", csv).unwrap(), read("n.toml", toml).unwrap());
    for address in ["10.1.2.3", "2001:db8::1", "192.0.2.7", "192.0.2.8"] {
        assert_eq!(csv.of(ip(address)), toml.of(ip(address)), "{address}");
    }
    assert_eq!((csv.prefixes(), toml.prefixes()), (3, 3));
    assert_eq!(
        csv.of(ip("192.0.2.7")).unwrap().name.as_deref(),
        Some("printer, \"new\"")
    );
    let ours = csv.of(ip("2001:db8::1")).unwrap();
    assert_eq!((ours.name.as_deref(), ours.tenant.as_deref()), (Some("office"), None));
    // Without a line of names columns are in the order of the manual, and others may be left out or moved.
    let plain = read("n.csv", "10.0.0.0/8,office,users,bonn,west\n").unwrap();
    assert_eq!(plain.of(ip("10.1.2.3")), csv.of(ip("10.1.2.3")));
    let moved = read("n.csv", "site,prefix\nbonn,10.0.0.0/8\n").unwrap();
    assert_eq!(moved.of(ip("10.1.2.3")).unwrap().site.as_deref(), Some("bonn"));
}

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    for (name, text, line) in [
        (
            "n.csv",
            "prefix,name\n10.0.0.0/8,a\n10.0.0.0/33,b\n",
            "networks n.csv:3: \"10.0.0.0/33\" is no network; write it like 10.0.0.0/8 or 2001:db8::/32",
        ),
        (
            "n.csv",
            "prefix,nane\n",
            "networks n.csv:1: unknown word \"nane\"; did you mean \"name\"?",
        ),
        (
            "n.csv",
            "10.0.0.1/8,a\n",
            "networks n.csv:1: \"10.0.0.1/8\" has bits behind its prefix; did you mean 10.0.0.0/8?",
        ),
        (
            "n.csv",
            "\n10.0.0.0/8,a\n10.0.0.0/8,b\n",
            "networks n.csv:3: 10.0.0.0/8 is in line 2 already",
        ),
        (
            "n.csv",
            "prefix,name\n10.0.0.0/8,a,b\n",
            "networks n.csv:2: 3 fields, of 2 that have a name",
        ),
        (
            "n.csv",
            "10.0.0.0/8,\"a\n",
            "networks n.csv:1: a quotation mark is not closed",
        ),
        (
            "n.csv",
            "10.0.0.0/8,\"a\"b\n",
            "networks n.csv:1: something stands behind a quotation mark that closes",
        ),
        (
            "n.toml",
            "[[network]]\nname = \"a\"\n",
            "networks n.toml:1: a network without a prefix",
        ),
        (
            "n.toml",
            "[[network]]\nprefix = \"10/8\"\n",
            "networks n.toml:2: \"10/8\" is no network; write it like 10.0.0.0/8 or 2001:db8::/32",
        ),
        (
            "n.toml",
            "[[network]]\nprefix = \"10.0.0.0/8\"\n\nsit = \"a\"\n",
            "networks n.toml:4: unknown word \"sit\"; did you mean \"site\"?",
        ),
        (
            "n.toml",
            "[[network]]\nprefix = \"10.0.0.0/8\"\nsite = 7\n",
            "networks n.toml:3: site is text in quotation marks",
        ),
        (
            "n.toml",
            "[networks]\na = 1\n",
            "networks n.toml:1: \"networks\" does not go here; write [[network]] above each network",
        ),
    ] {
        assert_eq!(read(name, text).unwrap_err(), line);
    }
    assert!(
        read("n.toml", "[[network]\n")
            .unwrap_err()
            .starts_with("networks n.toml:1: ")
    );
    let absent = read_networks(Path::new("absent.csv")).unwrap_err();
    assert!(absent.starts_with("networks absent.csv: cannot be read: "), "{absent}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[0-9a-f:./,\"\\n#prefixnam=\\[\\] ]{0,200}") {
        let _ = read("n.csv", &text);
        let _ = read("n.toml", &text);
    }
}

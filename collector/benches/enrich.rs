//! What enrichment costs a row, and what its columns cost in the store: the same made-up flows without it, with names and
//! services, and with databases and networks too.
//!
//! The databases are MaxMind's test files beside the checkout. `FLOWS` sets another number of flows.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowgauge_collector::enrich::files::Files;
use flowgauge_collector::enrich::networks::{Network, Networks};
use flowgauge_collector::enrich::{EnrichConfig, Enricher};
use flowgauge_collector::normalize::facts::Facts;
use flowgauge_collector::normalize::row::ipv4_to_u128;
use flowgauge_collector::normalize::{ExporterClock, NormalizingCounters, NormalizingPlan, Received};
use flowgauge_collector::store::{Store, StoreConfig};
use flowgauge_ie_registry::{ElementId, FLOWGAUGE_PEN, REVERSE_PEN, Registry};
use flowgauge_templates::ipfix::{FieldSpecifier, Template};
use flowgauge_templates::text::TextContext;

const T0: i64 = 1_767_225_600_000_000_000;
const S: i64 = 1_000_000_000;
const FLOWS_PER_SECOND: u64 = 100_000;
const NETWORKS: u64 = 10_000;

/// A biflow with a name asked for over TLS.
fn fields() -> Vec<FieldSpecifier> {
    let field = |element, length| FieldSpecifier { element, length };
    let iana = |id, length| field(ElementId::iana(id), length);
    let reverse = |id, length| field(ElementId::new(REVERSE_PEN, id), length);
    vec![
        iana(152, 8),
        iana(153, 8),
        iana(8, 4),
        iana(12, 4),
        iana(7, 2),
        iana(11, 2),
        iana(4, 1),
        iana(2, 8),
        iana(1, 8),
        reverse(2, 8),
        reverse(1, 8),
        field(ElementId::new(FLOWGAUGE_PEN, 32), 65535),
    ]
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Small numbers much more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        let part = self.below(1 << 20) as f64 / (1u64 << 20) as f64;
        ((end as f64).powf(part) as u64).min(end - 1)
    }
}

/// `servers` servers, in networks that the test databases know.
fn record(random: &mut Random, servers: u64, now_ms: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend((now_ms - random.skewed(60_000)).to_be_bytes());
    out.extend(now_ms.to_be_bytes());
    out.extend([
        10,
        random.skewed(16) as u8,
        random.skewed(256) as u8,
        random.below(256) as u8,
    ]);
    let server = random.skewed(servers);
    let base = match server % 3 {
        0 => 1 << 24 | 128 << 16,
        1 => 12 << 24 | 81 << 16 | 128 << 8,
        _ => 81 << 24 | 2 << 16 | 69 << 8,
    };
    out.extend((base + (server as u32 / 3)).to_be_bytes());
    out.extend((32_768 + random.below(28_000) as u16).to_be_bytes());
    let is_web = random.below(10) < 6;
    out.extend((if is_web { 443 } else { random.skewed(10_000) as u16 }).to_be_bytes());
    out.push(6);
    for _ in 0..2 {
        let packets = 1 + random.skewed(5_000);
        out.extend(packets.to_be_bytes());
        out.extend((packets * 700).to_be_bytes());
    }
    let name = if is_web && server.is_multiple_of(2) {
        format!("host-{server}.example.com")
    } else {
        String::new()
    };
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
}

fn cpu_seconds() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a rusage of this frame, which getrusage fills; zeroes are one as well.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn databases() -> Vec<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let files = ["GeoIP2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"].map(|name| shared.join("registry/geo").join(name));
    files.into_iter().filter(|path| path.exists()).collect()
}

fn networks(folder: &Path) -> PathBuf {
    let mut text = String::from("prefix,name,role,site\n");
    for n in 0..NETWORKS {
        let _ = writeln!(
            text,
            "10.{}.{}.0/24,net-{n},role-{},site-{}",
            n / 256,
            n % 256,
            n % 5,
            n % 50
        );
    }
    let path = folder.join("networks.csv");
    std::fs::write(&path, text).expect("a file of networks");
    path
}

/// CPU microseconds a row of making rows and, with a store, of keeping them; and octets a row there.
fn measure(count: u64, servers: u64, mut enricher: Option<&mut Enricher>, store: bool) -> (f64, f64) {
    let dir = tempfile::tempdir().expect("a directory for the store");
    let kept = store.then(|| Store::open(dir.path(), StoreConfig::default()).expect("a store"));
    let mut writer = kept.as_ref().map(|store| store.writer().expect("its writer"));
    let template = Template::compile(256, 0, &fields(), Registry::builtin());
    let plan = NormalizingPlan::compile(&template, &Default::default());
    let mut counters = NormalizingCounters::default();
    let mut making = 0.0;
    for is_real in [false, true] {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut octets = Vec::new();
        let begun = cpu_seconds();
        for number in 0..count {
            let now_ns = T0 + number as i64 * (S / FLOWS_PER_SECOND as i64);
            record(&mut random, servers, (now_ns / 1_000_000) as u64, &mut octets);
            if !is_real {
                // What making the records costs is taken off.
                black_box(&octets);
                continue;
            }
            let received = Received {
                exporter: ipv4_to_u128([198, 51, 100, 1]),
                domain: 1,
                received_ns: now_ns,
                export_ns: now_ns,
                clock: ExporterClock::Unknown,
                sampling: None,
                facts: Facts::default(),
                text: TextContext {
                    registry: Registry::builtin(),
                    scope: &(),
                },
            };
            for record in template.records(&octets) {
                let mut row = plan.row(&record, &received, &mut counters);
                if let Some(enricher) = enricher.as_deref_mut() {
                    enricher.enrich(&mut row);
                }
                match &mut writer {
                    Some(writer) => writer.add(now_ns, row).expect("a row"),
                    None => drop(black_box(row)),
                }
            }
        }
        if let (true, Some(writer)) = (is_real, &mut writer) {
            writer.commit(T0 + 3_600 * S).expect("a commit");
        }
        making = cpu_seconds() - begun - making;
    }
    drop(writer);
    let octets = kept.map_or(0.0, |store| store.status().octets as f64 / count as f64);
    (making * 1e6 / count as f64, octets)
}

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let count: u64 = std::env::var("FLOWS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let files = Files::open(&databases(), Some(&networks(folder.path()))).expect("the files of enrichment");
    let files = Arc::new(files);
    let plain = || Enricher::new(EnrichConfig::default(), Arc::default());
    let whole = || Enricher::new(EnrichConfig::default(), Arc::clone(&files));
    for (servers, what) in [(5_000, "5 000 servers"), (500_000, "500 000 servers")] {
        for store in [false, true] {
            let (base, base_octets) = measure(count, servers, None, store);
            let (names, names_octets) = measure(count, servers, Some(&mut plain()), store);
            let mut enricher = whole();
            let (all, all_octets) = measure(count, servers, Some(&mut enricher), store);
            let counters = enricher.counters();
            let part =
                counters.addresses_ready as f64 / (counters.addresses_ready + counters.addresses_looked_up) as f64;
            println!(
                "{what}, {}: without {base:.2} us, names and services {names:.2} us, with files {all:.2} us a row \
                 ({base_octets:.1}, {names_octets:.1}, {all_octets:.1} octets); {:.0} % of addresses ready, {} names",
                if store { "stored" } else { "rows only" },
                part * 100.0,
                counters.names.entries,
            );
        }
    }
    look_ups();
}

/// A look-up among a million of networks, none of them ready.
fn look_ups() {
    let mut random = Random(7);
    for count in [1_000u64, 100_000, 1_000_000] {
        let prefixes = (0..count).map(|n| {
            let address = std::net::Ipv4Addr::from_bits((n as u32) << 8);
            let network = Network {
                name: Some(format!("net-{}", n % 1_000).into()),
                ..Network::default()
            };
            (format!("{address}/24").parse().expect("a prefix"), network)
        });
        let networks = Networks::new(prefixes.collect());
        let begun = cpu_seconds();
        let mut found = 0u64;
        for _ in 0..2_000_000 {
            found += u64::from(networks.find(0xffff << 32 | u128::from(random.below(count << 8))));
        }
        black_box(found);
        println!(
            "{count} networks: {:.0} ns a look-up",
            (cpu_seconds() - begun) * 1e9 / 2e6
        );
    }
}

//! Ingest and queries of two million made-up flows: records a CPU second, octets a flow, query times.
//!
//! Records go through the normalising plan as they come off the wire. `FLOWS` sets another number of flows,
//! `ROLLUPS=off` leaves rollups out, and `ROLLUP_DAYS` asks rollups of so many days instead.

use std::hint::black_box;
use std::time::Instant;

use flowgauge_collector::normalize::columns::id;
use flowgauge_collector::normalize::row::{Row, ipv4_to_u128};
use flowgauge_collector::normalize::{NormalizingCounters, NormalizingPlan, Received};
use flowgauge_collector::query::{AggregateRequest, FlowsRequest, TierAsked, aggregate, filter, flows};
use flowgauge_collector::store::{Store, StoreConfig};
use flowgauge_ie_registry::{ElementId, FLOWGAUGE_PEN, REVERSE_PEN, Registry};
use flowgauge_templates::ipfix::{FieldSpecifier, Template};
use flowgauge_templates::text::TextContext;

const T0: i64 = 1_767_225_600_000_000_000;
const S: i64 = 1_000_000_000;
/// Flows that arrive in one second of the store's time.
const FLOWS_PER_SECOND: u64 = 100_000;

/// The TCP biflow record of our exporter.
fn fields() -> Vec<FieldSpecifier> {
    let iana = |id, length| FieldSpecifier {
        element: ElementId::iana(id),
        length,
    };
    let reverse = |id, length| FieldSpecifier {
        element: ElementId::new(REVERSE_PEN, id),
        length,
    };
    let own = |id, length| FieldSpecifier {
        element: ElementId::new(FLOWGAUGE_PEN, id),
        length,
    };
    vec![
        iana(152, 8),
        iana(153, 8),
        iana(8, 4),
        iana(12, 4),
        iana(7, 2),
        iana(11, 2),
        iana(4, 1),
        iana(60, 1),
        iana(10, 4),
        iana(2, 8),
        iana(1, 8),
        reverse(2, 8),
        reverse(1, 8),
        iana(6, 2),
        reverse(6, 2),
        iana(5, 1),
        iana(52, 1),
        iana(53, 1),
        reverse(5, 1),
        reverse(52, 1),
        reverse(53, 1),
        iana(136, 1),
        own(64, 4),
        own(65, 4),
        iana(56, 6),
        iana(80, 6),
        own(32, 65535),
    ]
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small numbers much more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        let part = self.below(1 << 20) as f64 / (1u64 << 20) as f64;
        ((end as f64).powf(part) as u64).min(end - 1)
    }
}

fn record(random: &mut Random, now_ms: u64, out: &mut Vec<u8>) {
    out.clear();
    let length = random.skewed(60_000);
    let packets = 1 + random.skewed(5_000);
    let is_web = random.below(10) < 6;
    out.extend((now_ms - length).to_be_bytes());
    out.extend(now_ms.to_be_bytes());
    out.extend([
        10,
        (random.skewed(16)) as u8,
        random.skewed(256) as u8,
        random.below(256) as u8,
    ]);
    out.extend(((192u32 << 24) + random.skewed(200_000) as u32 * 77).to_be_bytes());
    out.extend((32_768 + random.below(28_000) as u16).to_be_bytes());
    out.extend((if is_web { 443 } else { random.skewed(10_000) as u16 }).to_be_bytes());
    out.extend([6, 4]);
    out.extend((1 + random.below(4) as u32).to_be_bytes());
    for packets in [packets, packets / 2 + 1] {
        out.extend(packets.to_be_bytes());
        out.extend((packets * (64 + random.below(1_400))).to_be_bytes());
    }
    out.extend([
        0,
        0x1b,
        0,
        0x1b,
        0,
        64,
        64,
        0,
        57 - random.below(8) as u8,
        57,
        1 + random.below(3) as u8,
    ]);
    out.extend((1_000 + random.skewed(300_000) as u32).to_be_bytes());
    out.extend((100 + random.skewed(20_000) as u32).to_be_bytes());
    out.extend([2, 0, 0, 0, 0, random.below(200) as u8, 2, 0, 0, 0, 1, 1]);
    let name = if is_web {
        format!("host-{}.example.com", random.skewed(50_000))
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

/// Questions to rollups of `ROLLUP_DAYS` days of made-up flows.
fn rollups(days: i64) {
    const ROWS_PER_COMMIT: u64 = 2_000;
    let hour = 3_600 * S;
    let dir = tempfile::tempdir().expect("a directory for the store");
    let store = Store::open(dir.path(), StoreConfig::default()).expect("a store");
    let mut writer = store.writer().expect("its writer");
    let mut random = Random(7);
    for commit in 0..days * 24 {
        let now = T0 + commit * hour;
        for number in 0..ROWS_PER_COMMIT {
            let mut row = Row::new();
            let at = now + number as i64 * hour / ROWS_PER_COMMIT as i64;
            row.set_signed(id::START, at);
            row.set_signed(id::DURATION, S);
            row.set_ip(id::EXPORTER_IP, ipv4_to_u128([198, 51, 100, random.below(4) as u8]));
            row.set_ip(
                id::SRC_IP,
                (10 << 24 | u128::from(random.skewed(1 << 20))) | 0xffff << 32,
            );
            row.set_ip(
                id::DST_IP,
                (192 << 24 | u128::from(random.skewed(1 << 20))) | 0xffff << 32,
            );
            row.set_number(id::DST_PORT, random.skewed(1_000));
            row.set_number(id::PROTO, 6);
            row.set_number(id::OCTETS, 64 + random.skewed(10_000_000));
            row.set_number(id::PACKETS, 1 + random.skewed(1_000));
            writer.add(at, row).expect("a row");
        }
        writer.commit(now + hour - 1).expect("a commit");
        store.roll(now + hour);
    }
    let end = T0 + days * 24 * hour;
    let status = store.status();
    println!(
        "rollups of {days} days: files {:?}, octets {:?} (minutes, hours, days) of {} rows",
        status.rollup_files, status.rollup_octets, status.rows
    );
    let snapshot = store.snapshot();
    let questions: [(&str, &[&str], &str, TierAsked); 5] = [
        ("top sources of all days", &["src.ip"], "octets", TierAsked::Rollup),
        (
            "top sources of all days but 90 minutes",
            &["src.ip"],
            "octets",
            TierAsked::Rollup,
        ),
        (
            "top pairs of all days",
            &["src.ip", "dst.ip"],
            "octets",
            TierAsked::Rollup,
        ),
        (
            "different sources of all days by exporter",
            &["exporter.ip"],
            "unique(src.ip)",
            TierAsked::Rollup,
        ),
        ("the same top sources from flows", &["src.ip"], "octets", TierAsked::Raw),
    ];
    for (name, groups, metric, tier) in questions {
        let is_short = name.contains("90 minutes");
        let request = AggregateRequest {
            from_ns: Some(T0 + if is_short { 90 * 60 * S } else { 0 }),
            to_ns: Some(end),
            group_by: groups.iter().map(|name| (*name).to_owned()).collect(),
            metrics: vec![metric.to_owned()],
            tier,
            ..AggregateRequest::default()
        };
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let started = Instant::now();
                black_box(aggregate(&snapshot, &request).expect("an answer"));
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let first = times.first().copied().unwrap_or_default();
        times.sort_by(f64::total_cmp);
        let stats = aggregate(&snapshot, &request).expect("an answer").stats;
        println!(
            "{name:42} first {first:8.2} ms, best {:8.2} ms, {} windows, off by {:.0} at most",
            times.first().copied().unwrap_or_default(),
            stats.windows,
            stats.error_bound,
        );
    }
}

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let Some(days) = std::env::var("ROLLUP_DAYS").ok().and_then(|text| text.parse().ok()) {
        return rollups(days);
    }
    let count: u64 = std::env::var("FLOWS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000_000);
    let dir = tempfile::tempdir().expect("a directory for the store");
    let mut config = StoreConfig::default();
    // What they cost: once with them and once without.
    config.rollups.enabled = std::env::var("ROLLUPS").as_deref() != Ok("off");
    let store = Store::open(dir.path(), config).expect("a store");
    let mut writer = store.writer().expect("its writer");
    let template = Template::compile(256, 0, &fields(), Registry::builtin());
    let plan = NormalizingPlan::compile(&template, &Default::default());
    let mut counters = NormalizingCounters::default();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);

    // What making the records costs is measured apart and taken off.
    let mut octets = Vec::new();
    let (cpu, started) = (cpu_seconds(), Instant::now());
    for number in 0..count {
        record(&mut random, 1_767_225_600_000 + number / 100, &mut octets);
        black_box(&octets);
    }
    let (making_cpu, making) = (cpu_seconds() - cpu, started.elapsed().as_secs_f64());

    let (cpu, started) = (cpu_seconds(), Instant::now());
    for number in 0..count {
        let now_ns = T0 + (number as i64).saturating_mul(S) / FLOWS_PER_SECOND as i64;
        record(&mut random, (now_ns / 1_000_000) as u64, &mut octets);
        let received = Received {
            exporter: ipv4_to_u128([198, 51, 100, 1]),
            domain: 1,
            received_ns: now_ns,
            export_ns: now_ns,
            clock: flowgauge_collector::normalize::ExporterClock::Unknown,
            sampling: None,
            facts: flowgauge_collector::normalize::facts::Facts::default(),
            text: TextContext {
                registry: Registry::builtin(),
                scope: &(),
            },
        };
        for record in template.records(&octets) {
            let row = plan.row(&record, &received, &mut counters);
            writer.add(now_ns, row).expect("a row");
        }
        if number.is_multiple_of(1_000) {
            writer.handle_timeout(now_ns).expect("a timeout");
        }
    }
    let added = started.elapsed().as_secs_f64() - making;
    writer
        .commit(T0 + count as i64 * S / FLOWS_PER_SECOND as i64)
        .expect("a commit");
    let (searchable, committed_cpu) = (
        started.elapsed().as_secs_f64() - making,
        cpu_seconds() - cpu - making_cpu,
    );
    let before_close = store.status();
    writer.close(i64::MAX).expect("the end");
    let cpu = cpu_seconds() - cpu - making_cpu;
    let status = store.status();
    let totals = store.counters();
    println!(
        "flows            {count} ({} committed, {} lost)",
        totals.rows_committed, totals.rows_lost
    );
    println!("added            {added:.2} s, {:.0} records/s", count as f64 / added);
    println!(
        "searchable       {searchable:.2} s, {:.0} records/s",
        count as f64 / searchable
    );
    println!(
        "cpu              {committed_cpu:.2} s, {:.0} records a CPU second",
        count as f64 / committed_cpu
    );
    println!(
        "cpu with merges  {cpu:.2} s, {:.0} records a CPU second, {} merges",
        count as f64 / cpu,
        totals.merges
    );
    println!(
        "on disk          {:.1} octets a flow in {} segments",
        status.octets as f64 / count as f64,
        status.segments
    );
    println!(
        "before the end   {:.1} octets a flow in {} segments",
        before_close.octets as f64 / count as f64,
        before_close.segments
    );

    let snapshot = store.snapshot();
    let time = |name: &str, ask: &dyn Fn() -> String| {
        let first = Instant::now();
        let answer = ask();
        let first = first.elapsed();
        let best = (0..5).map(|_| {
            let started = Instant::now();
            black_box(ask());
            started.elapsed()
        });
        let best = best.min().unwrap_or(first);
        println!(
            "{name:42} first {:8.2} ms, best {:8.2} ms, {answer}",
            first.as_secs_f64() * 1e3,
            best.as_secs_f64() * 1e3
        );
    };
    let list = |text: &str| {
        let filter = filter::parse(text, 0).expect("a filter");
        let table = flows(
            &snapshot,
            &FlowsRequest {
                filter,
                ..FlowsRequest::default()
            },
        )
        .expect("an answer");
        format!("{} rows of {}", table.rows.len(), table.stats.rows_matched)
    };
    let top = |text: &str, group_by: &[&str], metrics: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let filter = filter::parse(text, 0).expect("a filter");
        let request = AggregateRequest {
            filter,
            group_by: names(group_by),
            metrics: names(metrics),
            ..AggregateRequest::default()
        };
        let table = aggregate(&snapshot, &request).expect("an answer");
        format!("{} rows of {}", table.rows.len(), table.stats.rows_matched)
    };
    time("newest 100", &|| list(""));
    time("host 10.3.7.9", &|| list("host 10.3.7.9"));
    time("net 10.3/16 and port 443", &|| list("net 10.3/16 and port 443"));
    time("tls.sni ~ *77.example.com", &|| list("tls.sni ~ \"*77.example.com\""));
    time("octets > 1M and duration > 10s", &|| {
        list("octets > 1M and duration > 10s")
    });
    time("totals", &|| top("", &[], &["octets", "packets", "flows"]));
    time("top sources by octets", &|| top("", &["src.ip"], &["octets"]));
    time("top 4-tuples by octets", &|| {
        top("", &["src.ip", "dst.ip", "src.port", "dst.port"], &["octets"])
    });
    time("port 443 and net 10.3/16, top sources", &|| {
        top("port 443 and net 10.3/16", &["src.ip"], &["octets"])
    });
    time("unique(src.ip) by dst.port", &|| {
        top("", &["dst.port"], &["unique(src.ip)"])
    });
    time("p95(tcp.rtt.server)", &|| top("", &[], &["p95(tcp.rtt.server)"]));
}

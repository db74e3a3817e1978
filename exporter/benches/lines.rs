//! What a JSON line costs: the destination with its thread, writing to where nothing is kept, beside the same records made
//! into values and printed, as `decode` does it.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowgauge_exporter::config::keys::{Origin, Setting};
use flowgauge_exporter::config::{Config, Destination, Times};
use flowgauge_exporter::exporting::layout::{self, Parts, Variant};
use flowgauge_exporter::exporting::limits;
use flowgauge_exporter::io::destination::{Context, SharedMetering, Worker};
use flowgauge_exporter::io::patience::Stop;
use flowgauge_exporter::metering::tcp::TcpPerformance;
use flowgauge_exporter::metering::{Direction, FlowEndReason, FlowKey, FlowRecord, Place, Records};
use flowgauge_ie_registry::Registry;
use flowgauge_templates::ipfix::list::TemplateScope;
use flowgauge_templates::ipfix::{RecordWriter, Template};
use flowgauge_templates::text::{TextContext, record_json};

const NOW_NS: i64 = 1_767_225_622_230_380_000;
const BATCHES: usize = 8;

/// Half of them TCP with its performance, half UDP.
fn records() -> Records {
    let mut records = Records::default();
    for place in 0..limits::BATCH_RECORDS {
        let is_tcp = place % 2 == 0;
        let forward = Direction {
            packets: 12,
            octets: 4_321,
            tcp_flags: if is_tcp { 0x1b } else { 0 },
            first_ns: NOW_NS,
            last_ns: NOW_NS + 90_000_000,
            tos: 0,
            ttl_min: 64,
            ttl_max: 64,
        };
        let mut record = FlowRecord {
            key: FlowKey {
                src: [10, 0, (place >> 8) as u8, place as u8].into(),
                dst: [192, 0, 2, 1].into(),
                src_port: 40_000 + place as u16,
                dst_port: if is_tcp { 443 } else { 53 },
                protocol: if is_tcp { 6 } else { 17 },
                vlan: [0, 0],
                interface: 1,
            },
            start_ns: NOW_NS,
            end_ns: NOW_NS + 90_000_000,
            forward,
            reverse: Direction {
                octets: 98_765,
                ..forward
            },
            end_reason: FlowEndReason::EndOfFlow,
            src_mac: [2, 0, 0, 0, 0, 1],
            dst_mac: [2, 0, 0, 0, 0, 2],
            icmp: [None, None],
            selector: 0,
            tcp: Place::NONE,
            tunnel: Place::NONE,
            labels: Place::NONE,
            application: Place::NONE,
            fold: Place::NONE,
            handshake_rtt_us: if is_tcp {
                [Some(20_100), Some(310)]
            } else {
                [None, None]
            },
        };
        if is_tcp {
            let mut tcp = TcpPerformance::default();
            tcp.directions[0].non_idle_bps = Some(12_345_678.5);
            tcp.directions[1].bufferbloat = Some(false);
            record.tcp = Place::push(&mut records.tcp, tcp);
        }
        records.flows.push(record);
    }
    records
}

fn context() -> Context {
    let given = |id: &'static str, value: &str| {
        let setting = Setting {
            values: vec![value.to_owned()],
            origin: Origin::Flag(format!("--{id}")),
        };
        (id, setting)
    };
    let settings = [given("read", "none.pcap"), given("to", "json:-")].into();
    let config = Config::build(&settings).expect("all that is needed");
    Context {
        stop: Arc::new(Stop::new(config.exporting.drain_timeout, true)),
        config: config.exporting,
        metering: Arc::new(SharedMetering::default()),
        identity: Arc::default(),
        selectors: Arc::new([]),
        spares: Arc::default(),
        geo: None,
        from_files: true,
    }
}

struct NoLists;

impl TemplateScope for NoLists {
    fn template(&self, _: u16) -> Option<&Arc<Template>> {
        None
    }
}

/// The fields alone, as values that are then printed.
fn print_values(records: &Records, templates: &mut HashMap<Variant, Template>, room: &mut [u8], out: &mut Vec<u8>) {
    let context = TextContext {
        registry: Registry::builtin(),
        scope: &NoLists,
    };
    out.clear();
    for record in &records.flows {
        let parts = Parts {
            record,
            records,
            selectors: &[],
        };
        let variant = Variant::of(&parts, Times::Milliseconds);
        let template = templates
            .entry(variant)
            .or_insert_with(|| Template::compile(256, 0, &layout::specifiers(variant), Registry::builtin()));
        let mut writer = RecordWriter::new(room);
        layout::write(variant, &parts, &mut writer);
        let written = writer.written();
        for decoded in template.records(&room[..written]) {
            serde_json::to_writer(&mut *out, &record_json(&decoded, context)).expect("memory takes all");
            out.push(b'\n');
        }
    }
}

fn lines(criterion: &mut Criterion) {
    let batch = Arc::new(records());
    let mut group = criterion.benchmark_group("lines");
    group.throughput(Throughput::Elements((BATCHES * batch.len()) as u64));
    group.bench_function("values, printed", |bencher| {
        let (mut templates, mut room, mut out) = (HashMap::new(), vec![0; 65_535], Vec::new());
        bencher.iter(|| {
            for _ in 0..BATCHES {
                print_values(&batch, &mut templates, &mut room, &mut out);
                black_box(&out);
            }
        });
    });
    group.bench_function("destination", |bencher| {
        let destination = Destination::parse("json:/dev/null").expect("a destination");
        bencher.iter(|| {
            let worker = Worker::start(&destination, &context()).expect("nothing is always there");
            (0..BATCHES).for_each(|_| worker.queue.push_waiting(1, batch.clone()));
            worker.queue.close();
            let exported = worker.join().snapshot().exported;
            assert_eq!(exported, (BATCHES * batch.len()) as u64);
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = lines
}
criterion_main!(benches);

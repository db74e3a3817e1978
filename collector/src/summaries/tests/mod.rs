//! Pieces, images, files and merges: summaries come in Messages through the Collecting Process, as they do from exporters.

mod files;
mod hostile;
mod merging;
mod pieces;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use flowgauge_ie_registry::{ElementId, Registry, ids};
use flowgauge_sketches::image::{FAMILY_FREQUENCY, FAMILY_HLL};
use flowgauge_sketches::{Cardinality, Item, Kind, List, Quantiles};
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter};
use flowgauge_templates::management::{ExportingConfig, ExportingSession, TemplateId, TransportKind};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::record::{ItemRow, RankRow, Readable};
use super::{Summaries, SummariesConfig, SummariesRequest, summaries};
use crate::collecting::{CollectingProcess, ProcessConfig, SessionKey};
use crate::io::listener::Transport;

/// 2026-01-01T00:00:00Z.
pub const T0_MS: i64 = 1_767_225_600_000;
pub const MINUTE_MS: i64 = 60_000;
const NS_PER_MS: i64 = 1_000_000;

/// A record as an exporter writes it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub metric: &'static str,
    pub kind: u8,
    pub window_ms: (i64, i64),
    pub readable: Option<Readable>,
    /// Family, parameter, octets of the whole, octets before the part, the part.
    pub part: Option<(u8, u16, usize, usize, Vec<u8>)>,
}

impl Sent {
    /// A summary of the minute `at`, with an image in one piece.
    pub fn new(metric: &'static str, at: i64, readable: Readable, image: Option<(u8, u16, Vec<u8>)>) -> Sent {
        let kind = match &readable {
            Readable::Counter(_) => Kind::Counter,
            Readable::Cardinality(_) => Kind::Cardinality,
            Readable::Quantiles { .. } => Kind::Quantiles,
            Readable::FrequentItems { .. } => Kind::FrequentItems,
        };
        let start = T0_MS + at * MINUTE_MS;
        Sent {
            metric,
            kind: kind as u8,
            window_ms: (start, start + MINUTE_MS),
            readable: Some(readable),
            part: image.map(|(family, parameter, octets)| (family, parameter, octets.len(), 0, octets)),
        }
    }

    pub fn counter(metric: &'static str, at: i64, sum: u64) -> Sent {
        Sent::new(metric, at, Readable::Counter(sum), None)
    }

    pub fn cardinality(metric: &'static str, at: i64, sketch: &Cardinality) -> Sent {
        let image = (FAMILY_HLL, sketch.parameter(), sketch.image());
        Sent::new(metric, at, Readable::Cardinality(sketch.estimate()), Some(image))
    }

    pub fn quantiles(metric: &'static str, at: i64, sketch: &Quantiles) -> Sent {
        let ranks = [0.5, 0.99];
        let rows = ranks.iter().zip(sketch.estimates(&ranks)).map(|(rank, one)| RankRow {
            rank: *rank,
            limits: [one.value, one.lower, one.upper],
        });
        let readable = Readable::Quantiles {
            weight: sketch.weight(),
            confidence: 0.99,
            rows: rows.collect(),
        };
        let image = (sketch.family(), sketch.parameter(), sketch.image());
        Sent::new(metric, at, readable, Some(image))
    }

    /// A list of names, of which `most` can be read.
    pub fn list(metric: &'static str, at: i64, list: &List, most: usize) -> Sent {
        let rows = list.rows(most).into_iter().map(|row| ItemRow {
            item: String::from_utf8(row.item.octets().to_vec()).unwrap(),
            weights: [row.weight, row.limits[0], row.limits[1]],
        });
        let readable = Readable::FrequentItems {
            weight: list.weight(),
            rows: rows.collect(),
        };
        let image = (FAMILY_FREQUENCY, list.parameter(), list.image());
        Sent::new(metric, at, readable, Some(image))
    }

    pub fn without_image(mut self) -> Sent {
        self.part = None;
        self
    }

    /// The same in records with at most `octets` of the image; the first has what can be read.
    pub fn split(&self, octets: usize) -> Vec<Sent> {
        let (family, parameter, whole, _, image) = self.part.clone().unwrap();
        let parts = image.chunks(octets).enumerate().map(|(at, part)| Sent {
            readable: self.readable.clone().filter(|_| at == 0),
            part: Some((family, parameter, whole, at * octets, part.to_vec())),
            ..self.clone()
        });
        parts.collect()
    }
}

/// An exporter at an address and port, with one transport session.
pub struct Exporter {
    peer: SocketAddr,
    session: ExportingSession,
    templates: HashMap<Vec<FieldSpecifier>, TemplateId>,
}

impl Exporter {
    pub fn new(peer: &str, domain: u32) -> Exporter {
        let config = ExportingConfig {
            max_message_octets: 60_000,
            ..ExportingConfig::of(TransportKind::Tcp, domain)
        };
        Exporter {
            peer: peer.parse().unwrap(),
            session: ExportingSession::new(config),
            templates: HashMap::new(),
        }
    }

    fn template(&mut self, fields: Vec<FieldSpecifier>) -> TemplateId {
        let session = &mut self.session;
        *self
            .templates
            .entry(fields)
            .or_insert_with_key(|fields| session.add_template(fields).unwrap())
    }

    /// Messages with these records.
    pub fn messages(&mut self, records: &[Sent]) -> Vec<Vec<u8>> {
        let now = T0_MS * NS_PER_MS;
        let f = |element: ElementId, length: u16| FieldSpecifier::new(element, length);
        let rank_rows = self.template(vec![
            f(ids::SUMMARY_QUANTILE_RANK, 8),
            f(ids::SUMMARY_QUANTILE_VALUE, 8),
            f(ids::LOWER_CI_LIMIT, 8),
            f(ids::UPPER_CI_LIMIT, 8),
        ]);
        let item_rows = self.template(vec![
            f(ids::SUMMARY_ITEM, u16::MAX),
            f(ids::SUMMARY_ITEM_WEIGHT, 8),
            f(ids::SUMMARY_ITEM_LOWER_BOUND, 8),
            f(ids::SUMMARY_ITEM_UPPER_BOUND, 8),
        ]);
        for record in records {
            let mut fields = vec![
                f(ids::FLOW_START_MILLISECONDS, 8),
                f(ids::FLOW_END_MILLISECONDS, 8),
                f(ids::SUMMARY_METRIC, u16::MAX),
                f(ids::SUMMARY_KIND, 1),
            ];
            fields.extend(match &record.readable {
                None => vec![],
                Some(Readable::Counter(_)) => vec![f(ids::SKETCH_STREAM_WEIGHT, 8)],
                Some(Readable::Cardinality(_)) => vec![
                    f(ids::SKETCH_ESTIMATE, 8),
                    f(ids::LOWER_CI_LIMIT, 8),
                    f(ids::UPPER_CI_LIMIT, 8),
                    f(ids::CONFIDENCE_LEVEL, 8),
                ],
                Some(Readable::Quantiles { .. }) => vec![
                    f(ids::SKETCH_STREAM_WEIGHT, 8),
                    f(ids::CONFIDENCE_LEVEL, 8),
                    f(ids::SUB_TEMPLATE_LIST, u16::MAX),
                ],
                Some(Readable::FrequentItems { .. }) => {
                    vec![f(ids::SKETCH_STREAM_WEIGHT, 8), f(ids::SUB_TEMPLATE_LIST, u16::MAX)]
                }
            });
            if record.part.is_some() {
                fields.extend([
                    f(ids::SKETCH_FAMILY, 1),
                    f(ids::SKETCH_PARAMETER, 2),
                    f(ids::SKETCH_IMAGE_OCTETS, 4),
                    f(ids::SECTION_OFFSET, 2),
                    f(ids::SKETCH_IMAGE, u16::MAX),
                ]);
            }
            let template = self.template(fields);
            self.session.require(now, rank_rows).unwrap();
            self.session.require(now, item_rows).unwrap();
            let rows = [rank_rows.number(), item_rows.number()];
            self.session
                .record(now, template, |writer| write(record, rows, writer))
                .unwrap();
        }
        self.session.flush(now);
        std::iter::from_fn(|| self.session.poll_message())
            .map(|message| message.bytes)
            .collect()
    }
}

fn write(record: &Sent, [rank_rows, item_rows]: [u16; 2], w: &mut RecordWriter<'_>) {
    w.milliseconds(record.window_ms.0 * NS_PER_MS);
    w.milliseconds(record.window_ms.1 * NS_PER_MS);
    w.variable(record.metric.as_bytes());
    w.u8(record.kind);
    let list = |w: &mut RecordWriter<'_>, template: u16, octets: &[u8]| {
        w.variable(&[&[4u8][..], &template.to_be_bytes(), octets].concat());
    };
    match &record.readable {
        None => {}
        Some(Readable::Counter(sum)) => w.u64(*sum),
        Some(Readable::Cardinality(one)) => {
            for value in [one.value, one.lower, one.upper, one.confidence] {
                w.f64(value);
            }
        }
        Some(Readable::Quantiles {
            weight,
            confidence,
            rows,
        }) => {
            w.u64(*weight);
            w.f64(*confidence);
            let octets = rows.iter().flat_map(|row| {
                let values = [row.rank, row.limits[0], row.limits[1], row.limits[2]];
                values.into_iter().flat_map(f64::to_be_bytes)
            });
            list(w, rank_rows, &octets.collect::<Vec<u8>>());
        }
        Some(Readable::FrequentItems { weight, rows }) => {
            w.u64(*weight);
            let octets = rows.iter().flat_map(|row| {
                let item = [&[row.item.len() as u8][..], row.item.as_bytes()].concat();
                item.into_iter()
                    .chain(row.weights.into_iter().flat_map(u64::to_be_bytes))
            });
            list(w, item_rows, &octets.collect::<Vec<u8>>());
        }
    }
    if let Some((family, parameter, whole, offset, octets)) = &record.part {
        w.u8(*family);
        w.u16(*parameter);
        w.u32(*whole as u32);
        w.u16(*offset as u16);
        w.variable(octets);
    }
}

/// A collector's half that matters here.
pub struct Receiver {
    pub directory: TempDir,
    pub kept: Arc<Summaries>,
    pub process: CollectingProcess,
}

impl Receiver {
    pub fn new() -> Receiver {
        Receiver::on(tempfile::tempdir().unwrap(), SummariesConfig::default())
    }

    pub fn on(directory: TempDir, config: SummariesConfig) -> Receiver {
        let kept = Arc::new(Summaries::open(directory.path(), config).unwrap());
        let process = ProcessConfig {
            listeners: vec![Transport::Tcp],
            summaries: Some(Arc::clone(&kept)),
            ..ProcessConfig::default()
        };
        Receiver {
            directory,
            kept,
            process: CollectingProcess::new(process, Registry::new()),
        }
    }

    /// Another run on the same directory, as after a crash: nothing is closed.
    pub fn crash(self, config: SummariesConfig) -> Receiver {
        Receiver::on(self.directory, config)
    }

    /// Takes records of an exporter; none of them becomes a flow.
    pub fn take(&mut self, exporter: &mut Exporter, records: &[Sent]) {
        for message in exporter.messages(records) {
            self.take_message(exporter, &message);
        }
    }

    pub fn take_message(&mut self, exporter: &Exporter, message: &[u8]) {
        let key = SessionKey {
            listener: 0,
            peer: exporter.peer,
            connection: u64::from(exporter.peer.port()),
        };
        let mut rows = Vec::new();
        self.process.handle(T0_MS * NS_PER_MS, key, message, &mut rows);
        assert!(rows.is_empty(), "summaries are no flows");
    }

    /// Writes what waits, and looks whether everything is on the accounts.
    pub fn settle(&self) -> super::SummaryCounters {
        self.kept.handle_timeout(T0_MS * NS_PER_MS).unwrap();
        let (counters, totals) = (self.kept.counters(), self.process.totals());
        assert!(counters.is_balanced(), "{counters:?}");
        assert!(totals.balanced, "{totals:?}");
        assert_eq!(totals.sum.records, totals.sum.summaries);
        counters
    }

    pub fn ask(&self, request: &SummariesRequest) -> Json {
        self.settle();
        summaries(&self.kept.segments(), request).unwrap().to_json()
    }

    pub fn metric(&self, metric: &str) -> Json {
        self.ask(&asking(metric))
    }
}

pub fn asking(metric: &str) -> SummariesRequest {
    SummariesRequest {
        metric: Some(metric.to_owned()),
        ..SummariesRequest::default()
    }
}

/// Numbers without order, the same for the same seed (xorshift).
pub fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// `count` names out of `of`, few of them often.
pub fn names(seed: u64, of: u64, count: usize) -> Vec<String> {
    let mut next = numbers(seed);
    let mut one = || {
        let spread = next() % (1 + next() % of);
        format!("host-{spread}.example.com")
    };
    (0..count).map(|_| one()).collect()
}

pub fn list_of(names: &[String]) -> List {
    let mut list = List::default();
    for name in names {
        list.update(Item::new(name.as_bytes()), 1);
    }
    list
}

pub fn cardinality_of(names: &[String]) -> Cardinality {
    let mut sketch = Cardinality::default();
    names.iter().for_each(|name| sketch.update(name.as_bytes()));
    sketch
}

//! An exporter's and a collector's session beside each other, in virtual time.

mod hostile;
mod lifetimes;
mod netflow;
mod oracle;
mod transfer;

use flowgauge_ie_registry::{ElementId, Registry};

use super::*;
use crate::ipfix::write::MessageBuffer;
use crate::ipfix::{FieldSpecifier, RecordWriter};
use crate::text::{TextContext, record_json};

pub(super) const S: i64 = 1_000_000_000;
pub(super) const START: i64 = 1_767_225_600 * S;

pub(super) fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(ElementId::iana(id), length)
}

/// sourceIPv4Address, octetDeltaCount in 8 octets, interfaceName of any length.
pub(super) fn fields() -> Vec<FieldSpecifier> {
    vec![iana(8, 4), iana(1, 8), FieldSpecifier::variable(ElementId::iana(82))]
}

pub(super) fn write(number: u64, name: &str) -> impl Fn(&mut RecordWriter<'_>) {
    move |out| {
        out.ipv4([10, 0, 0, 1].into());
        out.u64(number);
        out.variable(name.as_bytes());
    }
}

pub(super) struct Pair {
    pub(super) exporter: ExportingSession,
    pub(super) collector: CollectingSession,
    pub(super) registry: Registry,
    /// Records as text, in the order they came out.
    pub(super) records: Vec<String>,
    /// What else happened.
    pub(super) log: Vec<String>,
}

impl Pair {
    pub(super) fn new(transport: TransportKind) -> Self {
        Self::with(ExportingConfig::of(transport, 7))
    }

    pub(super) fn with(config: ExportingConfig) -> Self {
        Self {
            exporter: ExportingSession::new(config),
            collector: CollectingSession::new(config.transport, CollectingConfig::default()),
            registry: Registry::new(),
            records: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn sent(&mut self, now_ns: i64) -> Vec<Vec<u8>> {
        self.exporter.flush(now_ns);
        std::iter::from_fn(|| self.exporter.poll_message())
            .map(|message| message.bytes)
            .collect()
    }

    pub(super) fn receive(&mut self, now_ns: i64, message: &[u8]) -> Result<(), crate::DecodeError> {
        let (records, log) = (&mut self.records, &mut self.log);
        self.collector
            .handle_message(now_ns, message, &mut self.registry, &mut |event| match event {
                Event::Records {
                    records: found,
                    scope,
                    registry,
                    waited_ns,
                    ..
                } => {
                    let context = TextContext { registry, scope };
                    records.extend(found.map(|r| serde_json::to_string(&record_json(&r, context)).unwrap()));
                    if let Some(waited) = waited_ns {
                        log.push(format!("waited {} s", waited / S));
                    }
                }
                Event::Template { template, change, .. } => log.push(format!("template {} {change:?}", template.id())),
                Event::Withdrawn { id, .. } => log.push(format!("withdrawn {id}")),
                Event::Pending { set_id, .. } => log.push(format!("pending {set_id}")),
                Event::Error(error) => log.push(error.to_string()),
                Event::Sequence {
                    outcome: SequenceOutcome::InOrder | SequenceOutcome::First,
                    ..
                }
                | Event::Message(_) => {}
                Event::Sequence { outcome, .. } => log.push(format!("{outcome:?}")),
            })
    }

    pub(super) fn pass(&mut self, now_ns: i64) {
        for message in self.sent(now_ns) {
            self.receive(now_ns, &message).unwrap();
        }
    }
}

pub(super) fn template_message(set_id: u16, records: &[crate::ipfix::TemplateRecord]) -> Vec<u8> {
    let mut wire = Vec::new();
    records.iter().for_each(|record| record.write(&mut wire));
    let mut buffer = MessageBuffer::start(Vec::new(), 65_535, 7);
    let start = buffer.start_set(set_id);
    buffer.push(&wire);
    buffer.finish_set(start);
    buffer.finish(0, 0)
}

/// Writes the length that a Message has come to into its header.
pub(super) fn set_length(message: &mut [u8]) {
    let length = (message.len() as u16).to_be_bytes();
    message.get_mut(2..4).unwrap().copy_from_slice(&length);
}

//! One Message on its way through its session: its Sets in order, each by itself.

use std::sync::Arc;

use flowgauge_ie_registry::Registry;

use super::super::TransportKind;
use super::super::domain::DomainTemplates;
use super::super::habits::Counted;
use super::super::pending::{PendingSet, PendingSets};
use super::super::type_information;
use super::event::{CollectingCounters, Event, TemplateChange};
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::header::Version;
use crate::ipfix::list::TemplateScope as _;
use crate::ipfix::{
    MIN_TEMPLATE_ID, MessageHeader, OPTIONS_TEMPLATE_SET_ID, Set, Sets, TEMPLATE_SET_ID, Template, TemplateRecord,
    TemplateRecords,
};
use crate::netflow::{fixed, v9};

/// One Message on its way through its session.
pub(super) struct Handling<'h, F> {
    pub transport: TransportKind,
    pub templates: &'h mut DomainTemplates,
    pub pending: &'h mut PendingSets,
    /// Fields of all templates of the session.
    pub fields: &'h mut usize,
    pub counters: &'h mut CollectingCounters,
    pub now_ns: i64,
    pub header: MessageHeader,
    pub registry: &'h mut Registry,
    pub sink: &'h mut F,
    /// Whether type records named an element that was not known before.
    pub learned: bool,
}

impl<F: FnMut(Event<'_, '_>)> Handling<'_, F> {
    /// How many Data Records there were, if all could be counted.
    pub fn sets(&mut self, sets: Sets<'_>) -> Option<Counted> {
        let mut records = Some(Counted::default());
        for set in sets {
            let counted = match set {
                Ok(set) => self.set(&set),
                Err(error) => {
                    self.fault(error);
                    None
                }
            };
            records = records.zip(counted).map(|(sum, of_set)| Counted {
                flows: sum.flows.wrapping_add(of_set.flows),
                options: sum.options.wrapping_add(of_set.options),
            });
        }
        records
    }

    fn set(&mut self, set: &Set<'_>) -> Option<Counted> {
        let version9 = self.header.version == Version::Netflow9;
        match set.id {
            MIN_TEMPLATE_ID.. => self.data_set(set),
            TEMPLATE_SET_ID | OPTIONS_TEMPLATE_SET_ID if !version9 => {
                let options = set.id == OPTIONS_TEMPLATE_SET_ID;
                self.template_records(TemplateRecords::new(set.body, set.offset, options), set)
            }
            v9::TEMPLATE_SET_ID | v9::OPTIONS_TEMPLATE_SET_ID if version9 => {
                let options = set.id == v9::OPTIONS_TEMPLATE_SET_ID;
                self.template_records(v9::TemplateRecords::new(set.body, set.offset, options), set)
            }
            _ => {
                let (needed, available) = (usize::from(MIN_TEMPLATE_ID), usize::from(set.id));
                let (kind, offset) = (DecodeErrorKind::ReservedSetId, set.offset - 4);
                self.fault(DecodeError {
                    kind,
                    layer: Layer::Set,
                    offset,
                    needed,
                    available,
                });
                Some(Counted::default())
            }
        }
    }

    fn template_records(
        &mut self,
        records: impl Iterator<Item = Result<TemplateRecord, DecodeError>>,
        set: &Set<'_>,
    ) -> Option<Counted> {
        for record in records {
            match record {
                Ok(record) => self.template_record(record, set),
                Err(error) => self.fault(error),
            }
        }
        Some(Counted::default())
    }

    /// The records of versions 5 and 7, which need no template announced.
    pub fn fixed(&mut self, message: &fixed::Message<'_>, template: &Arc<Template>) -> Option<Counted> {
        let header = self.header;
        let body = message.records();
        let registry = &*self.registry;
        let handed = hand_on(&header, template, body, self.templates, registry, None, self.sink);
        let records = self.counted(handed, false, fixed::HEADER_OCTETS);
        if let Some(error) = message.fault() {
            self.fault(error);
        }
        // The next number counts what this header says, whether all of it came or not.
        let flows = records.and(u32::try_from(message.count()).ok())?;
        Some(Counted { flows, options: 0 })
    }

    pub fn fault(&mut self, error: DecodeError) {
        self.counters.errors.count(error.kind);
        (self.sink)(Event::Error(error));
    }

    fn template_fault(&mut self, kind: DecodeErrorKind, id: u16, set: &Set<'_>) {
        let (offset, available) = (set.offset, usize::from(id));
        self.fault(DecodeError {
            kind,
            layer: Layer::Template,
            offset,
            needed: 0,
            available,
        });
    }

    fn template_record(&mut self, record: TemplateRecord, set: &Set<'_>) {
        match record {
            TemplateRecord::Withdrawn { id } => self.withdrawal(id, set),
            TemplateRecord::Announced {
                id,
                scope_field_count,
                fields,
            } => {
                let parts = (id, scope_field_count, &*fields);
                match self.templates.announce(self.now_ns, parts, self.registry, self.fields) {
                    Ok((template, change)) => self.announced(&template, change),
                    Err(kind) => self.template_fault(kind, id, set),
                }
            }
        }
    }

    fn announced(&mut self, template: &Arc<Template>, change: TemplateChange) {
        self.counters.templates += 1;
        self.counters.replaced_templates += u64::from(change == TemplateChange::Replaced);
        (self.sink)(Event::Template {
            domain: self.header.domain,
            template,
            change,
        });
        for set in self.pending.take(self.header.domain, template.id()) {
            let waited_ns = Some(self.now_ns.saturating_sub(set.received_ns));
            self.records(&set.header, template, &set.body, 0, waited_ns);
        }
    }

    fn withdrawal(&mut self, id: u16, set: &Set<'_>) {
        // "Template Withdrawals MUST NOT be sent ... over UDP" (RFC 7011 section 8.4): there, a forged datagram could
        // end any template.
        if !self.transport.is_reliable() {
            return self.template_fault(DecodeErrorKind::WithdrawalOverUdp, id, set);
        }
        let ended = match id {
            TEMPLATE_SET_ID | OPTIONS_TEMPLATE_SET_ID if id == set.id => {
                self.templates.withdraw_all(id == OPTIONS_TEMPLATE_SET_ID, self.fields)
            }
            _ => usize::from(self.templates.withdraw(id, self.fields)),
        };
        if ended == 0 && id >= MIN_TEMPLATE_ID {
            return self.template_fault(DecodeErrorKind::UnknownWithdrawal, id, set);
        }
        self.counters.withdrawn_templates += ended as u64;
        (self.sink)(Event::Withdrawn {
            domain: self.header.domain,
            id,
        });
    }

    fn data_set(&mut self, set: &Set<'_>) -> Option<Counted> {
        let header = self.header;
        let records = match self.templates.template(set.id) {
            // Flow records change nothing here, so their template is borrowed where it lies.
            Some(template) if !template.is_options() => {
                let registry = &*self.registry;
                let handed = hand_on(&header, template, set.body, self.templates, registry, None, self.sink);
                Some((self.counted(handed, false, set.offset), false))
            }
            Some(template) => {
                let template = Arc::clone(template);
                Some((self.records(&header, &template, set.body, set.offset, None), true))
            }
            None => None,
        };
        if let Some((records, is_options)) = records {
            let count = u32::try_from(records?).ok()?;
            let (flows, options) = if is_options { (0, count) } else { (count, 0) };
            return Some(Counted { flows, options });
        }
        let (set_id, octets) = (set.id, set.body.len());
        self.pending.push(PendingSet {
            header,
            set_id,
            received_ns: self.now_ns,
            body: set.body.into(),
        });
        (self.sink)(Event::Pending {
            header: &self.header,
            set_id,
            octets,
        });
        None
    }

    /// How many records there were; `None` when the last was cut.
    fn records(
        &mut self,
        header: &MessageHeader,
        template: &Arc<Template>,
        body: &[u8],
        offset: usize,
        waited_ns: Option<i64>,
    ) -> Option<usize> {
        let learned = if template.is_options() && type_information::describes_types(template) {
            type_information::learn(template, body, self.registry)
        } else {
            type_information::Learned::default()
        };
        let handed = hand_on(
            header,
            template,
            body,
            self.templates,
            self.registry,
            waited_ns,
            self.sink,
        );
        self.learned(learned, offset);
        self.counted(handed, template.is_options(), offset)
    }

    /// Takes the count of a Set's records, and its fault if the last was cut.
    #[inline]
    fn counted(&mut self, (count, error): (usize, Option<DecodeError>), options: bool, offset: usize) -> Option<usize> {
        let counters = &mut *self.counters;
        let counter = if options {
            &mut counters.options_records
        } else {
            &mut counters.flow_records
        };
        *counter += count as u64;
        match error {
            Some(error) => {
                self.fault(error.shifted(offset));
                None
            }
            None => Some(count),
        }
    }

    fn learned(&mut self, learned: type_information::Learned, offset: usize) {
        self.counters.typed_elements += learned.accepted;
        for _ in 0..learned.refused {
            let kind = DecodeErrorKind::TypeRecord;
            self.fault(DecodeError {
                kind,
                layer: Layer::Record,
                offset,
                needed: 0,
                available: 0,
            });
        }
        if learned.accepted == 0 {
            return;
        }
        self.learned = true;
        // What follows in this very Message gains by them too; the other domains do at its end.
        for template in self.templates.retype(self.registry) {
            let change = TemplateChange::Retyped;
            (self.sink)(Event::Template {
                domain: self.header.domain,
                template: &template,
                change,
            });
        }
    }
}

/// Hands the records of a Set to `sink`; says how many there were, and what was wrong with the last.
#[inline]
fn hand_on(
    header: &MessageHeader,
    template: &Arc<Template>,
    body: &[u8],
    scope: &DomainTemplates,
    registry: &Registry,
    waited_ns: Option<i64>,
    sink: &mut impl FnMut(Event<'_, '_>),
) -> (usize, Option<DecodeError>) {
    let mut records = template.records(body);
    sink(Event::Records {
        header,
        template,
        records: &mut records,
        scope,
        registry,
        waited_ns,
    });
    (records.finish(), records.error())
}

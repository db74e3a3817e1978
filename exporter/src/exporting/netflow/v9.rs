//! NetFlow version 9 (RFC 3954): templates once and again, a FlowSet for each run of flows of one template.
//!
//! Both directions of a biflow go into one packet, so that a Flow Record has left or has not. Within a batch, records are
//! ordered by template, as with IPFIX: a change of template costs a FlowSet.

use std::collections::VecDeque;

use super::options::{self, OptionsRecord};
use super::packet::Packet;
use super::table::{self, Field, VARIANTS, Variant};
use super::uniflow::{directions, span};
use super::uptime::{Admission, PacketTime, Uptime};
use super::{Left, NetFlowConfig, clock};
use crate::exporting::encoder::{Datagram, Encoder};
use crate::exporting::limits::{FLOW_TEMPLATES, NETFLOW_SPARE_PACKETS};
use crate::exporting::{Loss, Statistics, Volume};
use crate::metering::Records;
use crate::metering::record::FlowRecord;
use crate::metering::sampling::Selector;

/// The FlowSets of Template Records and of Options Template Records.
const TEMPLATE_SET: u16 = 0;
const OPTIONS_TEMPLATE_SET: u16 = 1;
/// "Template IDs 0-255 are reserved"; then one for each variant, then those of options.
const FIRST_TEMPLATE: u16 = 256;
const FIRST_OPTIONS_TEMPLATE: u16 = FIRST_TEMPLATE + VARIANTS as u16;
/// Records of one template that end their packet: packets of one length leave by one system call.
const RUN_RECORDS: u32 = 32;
const MS_PER_S: i64 = 1000;
const NS_PER_S: i64 = 1_000_000_000;

/// A template of flows that was announced.
#[derive(Debug)]
struct Template {
    variant: Variant,
    fields: Vec<Field>,
    octets: usize,
}

impl Template {
    fn id(&self) -> u16 {
        FIRST_TEMPLATE + self.variant.0
    }

    /// Its Template Record, behind the identifier.
    fn record(&self) -> Vec<u8> {
        let count = self.fields.len() as u16;
        let fields = self.fields.iter().flat_map(|field| [field.number, field.octets]);
        std::iter::once(count)
            .chain(fields)
            .flat_map(u16::to_be_bytes)
            .collect()
    }
}

/// Templates, sequence numbers and clocks of one destination.
#[derive(Debug)]
pub struct NetFlow9 {
    config: NetFlowConfig,
    uptime: Uptime,
    /// Of the next packet: "all Export Packets sent", whatever is in them.
    sequence: u32,
    packet: Packet,
    templates: Vec<Template>,
    /// The place of each variant in `templates`, plus one.
    places: Vec<u16>,
    /// Templates of options, which are their fields.
    options_templates: Vec<Vec<Field>>,
    sampling: Vec<OptionsRecord>,
    /// When all templates went last, and how many packets had gone by then.
    refreshed_ns: Option<i64>,
    refreshed_sequence: u32,
    statistics_ns: Option<i64>,
    /// By which clock sampling was last told: from captures, time may go back behind that.
    told_ns: i64,
    order: Vec<u64>,
    ready: VecDeque<Datagram>,
    spares: Vec<Vec<u8>>,
    left: Left,
}

impl NetFlow9 {
    /// Has said nothing yet.
    #[must_use]
    pub fn new(config: NetFlowConfig, selectors: &[Selector]) -> Self {
        Self {
            config,
            uptime: Uptime::new(MS_PER_S),
            sequence: 0,
            packet: Packet::default(),
            templates: Vec::new(),
            places: vec![0; VARIANTS],
            options_templates: Vec::new(),
            sampling: options::sampling(selectors),
            refreshed_ns: None,
            refreshed_sequence: 0,
            statistics_ns: None,
            told_ns: i64::MAX,
            order: Vec::new(),
            ready: VecDeque::new(),
            spares: Vec::new(),
            left: Left::default(),
        }
    }

    /// Orders the batch by the template of each record's first direction, those of one template as they came.
    fn sort(&mut self, records: &Records) {
        self.order.clear();
        self.order
            .extend(records.flows.iter().enumerate().map(|(place, record)| {
                let first = directions(record, records).into_iter().flatten().next();
                let variant = first.map_or(Variant::default(), |flow| Variant::of(&flow, false));
                u64::from(variant.0) << 32 | place as u64
            }));
        self.order.sort_unstable();
    }

    fn write_biflow(&mut self, now_ns: i64, record: &FlowRecord, records: &Records) {
        let (start_ms, end_ms) = span(record);
        let absolute = !self.uptime.can_place(start_ms, end_ms);
        let flows = directions(record, records);
        let mut reduced = false;
        let variants = flows.map(|flow| flow.map(|flow| Variant::of(&flow, absolute)));
        let places = variants.map(|variant| variant.map(|variant| self.template(variant, &mut reduced)));
        if places.contains(&Some(None)) {
            return Left::leave(&mut self.left.refused, record);
        }
        self.left.reduced += u64::from(reduced);
        let sizes = places.map(|place| {
            let template = self.templates.get(place.flatten()?)?;
            Some((template.id(), template.octets))
        });
        self.make_room(sizes);
        if !self.packet.is_open() && self.is_refresh_due(now_ns) {
            self.refresh(now_ns);
            self.make_room(sizes);
        }
        if !absolute && self.uptime.admit(start_ms, end_ms) == Admission::NextPacket {
            self.close();
            self.uptime.admit(start_ms, end_ms);
        }
        let time = self.uptime.open().unwrap_or(PacketTime::UNUSED);
        for (flow, place) in flows.iter().zip(places) {
            if let (Some(flow), Some(template)) = (flow, place.flatten().and_then(|place| self.templates.get(place))) {
                table::write(template.variant, flow, time, self.packet.record(template.id()));
                self.packet.flows += 1;
            }
        }
        self.packet.flow_records += 1;
    }

    /// Ends the packet if these records do not fit into it.
    #[inline]
    fn make_room(&mut self, sizes: [Option<(u16, usize)>; 2]) {
        if self.packet.octets_with(sizes.into_iter().flatten()) > self.config.max_octets {
            self.close();
        }
    }

    /// The place of the template for a variant, announced if it is new; none when templates have run out.
    #[inline]
    pub(super) fn template(&mut self, variant: Variant, reduced: &mut bool) -> Option<usize> {
        match self.places.get(usize::from(variant.0)) {
            Some(place) if *place > 0 => Some(usize::from(*place) - 1),
            _ => self.new_template(variant, reduced),
        }
    }

    #[cold]
    fn new_template(&mut self, variant: Variant, reduced: &mut bool) -> Option<usize> {
        let less = variant.reduced();
        // What has nothing to leave out finds room that the others leave.
        let most = if less.is_some() {
            FLOW_TEMPLATES / 2
        } else {
            FLOW_TEMPLATES
        };
        if self.templates.len() >= most {
            *reduced = true;
            return less.and_then(|less| self.template(less, reduced));
        }
        let fields = table::fields(variant);
        let template = Template {
            variant,
            octets: table::octets(&fields),
            fields,
        };
        self.announce(TEMPLATE_SET, template.id(), &template.record());
        self.templates.push(template);
        let place = self.templates.len();
        *self.places.get_mut(usize::from(variant.0))? = place as u16;
        Some(place - 1)
    }

    /// Writes a Template Record or an Options Template Record.
    fn announce(&mut self, set: u16, id: u16, record: &[u8]) {
        self.make_room([Some((set, 2 + record.len())), None]);
        let out = self.packet.record(set);
        out.extend(id.to_be_bytes());
        out.extend_from_slice(record);
    }

    fn write_options(&mut self, record: &OptionsRecord) {
        let known = self
            .options_templates
            .iter()
            .position(|fields| *fields == record.fields);
        let place = known.unwrap_or_else(|| {
            // No more than there are forms of options.
            self.options_templates.push(record.fields.clone());
            let place = self.options_templates.len() - 1;
            self.announce(
                OPTIONS_TEMPLATE_SET,
                options_id(place),
                &options::template(&record.fields),
            );
            place
        });
        let id = options_id(place);
        self.make_room([Some((id, record.values.len())), None]);
        self.packet.record(id).extend_from_slice(&record.values);
        // A FlowSet for each: nfcapd reads the first record of one.
        self.packet.end_set();
    }

    fn tell_sampling(&mut self, clock_ns: i64) {
        self.told_ns = clock_ns;
        let records = std::mem::take(&mut self.sampling);
        records.iter().for_each(|record| self.write_options(record));
        self.sampling = records;
    }

    /// "When one of these expiry conditions is met, the Exporter MUST send the Template FlowSet and Options Template."
    fn is_refresh_due(&self, now_ns: i64) -> bool {
        let interval_ns = i64::from(self.config.template_refresh_s) * NS_PER_S;
        let packets = u64::from(self.sequence.wrapping_sub(self.refreshed_sequence));
        let is_old = |since: i64| now_ns.saturating_sub(since) >= interval_ns;
        let most = self.config.template_refresh_messages;
        self.refreshed_ns.is_some_and(is_old) || (most > 0 && packets >= most)
    }

    fn refresh(&mut self, now_ns: i64) {
        self.refreshed_ns = Some(now_ns);
        self.refreshed_sequence = self.sequence;
        let templates = std::mem::take(&mut self.templates);
        for template in &templates {
            self.announce(TEMPLATE_SET, template.id(), &template.record());
        }
        self.templates = templates;
        let templates = std::mem::take(&mut self.options_templates);
        for (place, fields) in templates.iter().enumerate() {
            self.announce(OPTIONS_TEMPLATE_SET, options_id(place), &options::template(fields));
        }
        self.options_templates = templates;
        self.tell_sampling(self.told_ns);
    }

    fn close(&mut self) {
        if !self.packet.is_open() {
            return;
        }
        let time = self.uptime.close();
        let (flow_records, records) = (self.packet.flow_records, self.packet.flows);
        let buffer = self.spares.pop().unwrap_or_default();
        let bytes = self.packet.finish(time, self.sequence, self.config.domain, buffer);
        self.sequence = self.sequence.wrapping_add(1);
        self.ready.push_back(Datagram {
            bytes,
            flow_records,
            records,
        });
    }

    /// How many templates were announced, and how many records there are to say about sampling.
    #[cfg(test)]
    pub(super) fn announced(&self) -> (usize, usize) {
        (self.templates.len(), self.sampling.len())
    }

    fn set_clock(&mut self, now_ns: i64) {
        // From files the clock is that of the flows, once there are some.
        if !self.config.from_files || self.refreshed_ns.is_none() {
            self.uptime.set_clock(now_ns);
        }
    }
}

fn options_id(place: usize) -> u16 {
    FIRST_OPTIONS_TEMPLATE + place as u16
}

impl Encoder for NetFlow9 {
    fn handle_records(&mut self, now_ns: i64, records: &Records) {
        self.left.leave_others(records);
        if records.flows.is_empty() {
            return;
        }
        let clock_ns = clock(self.config.from_files, now_ns, records);
        self.uptime.set_clock(clock_ns);
        self.refreshed_ns.get_or_insert(now_ns);
        self.statistics_ns.get_or_insert(now_ns);
        if clock_ns < self.told_ns {
            self.tell_sampling(clock_ns);
            self.close();
        }
        self.sort(records);
        let order = std::mem::take(&mut self.order);
        let (mut run, mut records_of_run) = (None, 0);
        for entry in &order {
            let (variant, place) = (entry >> 32, *entry as u32 as usize);
            let Some(record) = records.flows.get(place) else {
                continue;
            };
            if run != Some(variant) {
                if records_of_run >= RUN_RECORDS {
                    self.close();
                }
                (run, records_of_run) = (Some(variant), 0);
            }
            records_of_run += 1;
            self.write_biflow(now_ns, record, records);
        }
        self.order = order;
        self.close();
    }

    fn handle_statistics(&mut self, now_ns: i64, statistics: &Statistics) {
        self.statistics_ns = Some(now_ns);
        self.set_clock(now_ns);
        self.write_options(&options::statistics(statistics));
        self.close();
    }

    fn handle_timeout(&mut self, now_ns: i64) -> bool {
        self.set_clock(now_ns);
        if self.is_refresh_due(now_ns) {
            self.refresh(now_ns);
            self.close();
        }
        let interval_ns = i64::from(self.config.template_refresh_s) * NS_PER_S;
        now_ns.saturating_sub(*self.statistics_ns.get_or_insert(now_ns)) >= interval_ns
    }

    fn poll_message(&mut self) -> Option<Datagram> {
        self.ready.pop_front()
    }

    fn ready(&self) -> impl Iterator<Item = usize> {
        self.ready.iter().map(|datagram| datagram.bytes.len())
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spares.len() < NETFLOW_SPARE_PACKETS {
            self.spares.push(buffer);
        }
    }

    fn take_reduced(&mut self) -> u64 {
        std::mem::take(&mut self.left.reduced)
    }

    fn take_refused(&mut self) -> [(Loss, Volume); 2] {
        self.left.take()
    }
}

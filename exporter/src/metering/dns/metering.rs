//! What messages do to the table of transactions, and what time does.

use flowgauge_templates::packet::{Fragment, Headers, IpVersion, Network, TcpFlags, Transport, protocol};

use super::answers::AnswerReader;
use super::counters::DnsCounters;
use super::message::Message;
use super::name::Name;
use super::record::{DnsAnswers, DnsStatus, DnsTransaction, TextRange};
use super::stream::{Segment, Streams};
use super::transactions::{Arrived, Conversation, Transactions};
use crate::limits;
use crate::metering::key::{KeyHasher, PackedKey};
use crate::metering::record::FlowEndReason;
use crate::metering::records::{Place, Records};

/// Ports of DNS and of mDNS (RFC 1035 section 4.2, RFC 6762 section 3).
const PORT: u16 = 53;
const MDNS_PORT: u16 = 5353;
const UDP_HEADER_OCTETS: usize = 8;
/// Where mDNS speaks to everybody.
const MDNS_V4: u128 = 0xffff_e000_00fb;
const MDNS_V6: u128 = 0xff02_0000_0000_0000_0000_0000_0000_00fb;

/// Ports on which DNS is spoken, over UDP and TCP; mDNS has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports([u16; Ports::MOST]);

impl Ports {
    /// How many there can be: so few that every packet can be held against all of them.
    pub const MOST: usize = 4;

    /// One to four ports.
    pub fn new(ports: &[u16]) -> Option<Ports> {
        let first = *ports.first().filter(|_| ports.len() <= Ports::MOST)?;
        let mut all = [first; Ports::MOST];
        all.iter_mut().zip(ports).for_each(|(place, port)| *place = *port);
        Some(Ports(all))
    }

    #[inline(always)]
    fn has(&self, port: u16) -> bool {
        self.0.iter().fold(false, |has, known| has | (*known == port))
    }
}

impl Default for Ports {
    fn default() -> Ports {
        Ports([PORT; Ports::MOST])
    }
}

/// How transactions are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Whether they are made at all.
    pub enabled: bool,
    /// Where messages are looked for.
    pub ports: Ports,
    /// A transaction without a response for this long behind its last query is unanswered, ns.
    pub timeout_ns: i64,
    /// Transactions that wait at most.
    pub max_open: usize,
    /// The answers of one response in this many are read; 0 for none.
    pub answers_interval: u32,
}

impl Default for DnsConfig {
    fn default() -> DnsConfig {
        DnsConfig {
            enabled: true,
            ports: Ports::default(),
            timeout_ns: 5_000_000_000,
            max_open: limits::DNS_OPEN_TRANSACTIONS,
            answers_interval: limits::DNS_ANSWERS_INTERVAL,
        }
    }
}

/// A packet on its way here.
#[derive(Clone, Copy, Debug)]
pub(in crate::metering) struct DnsPacket<'p> {
    pub key: PackedKey,
    pub hash: u32,
    pub from_high: bool,
    pub now_ns: i64,
    pub interface: u32,
    pub selector: u32,
    pub network: &'p Network,
    pub headers: &'p Headers<'p>,
}

/// The transactions of one Metering Process.
#[derive(Debug)]
pub struct Dns {
    config: DnsConfig,
    pairing: Pairing,
    streams: Streams,
}

/// All but the streams, which hand messages to it.
#[derive(Debug)]
struct Pairing {
    timeout_ns: i64,
    answers_interval: u32,
    counters: DnsCounters,
    open: Transactions,
    answers: AnswerReader,
    /// Responses since the last one whose answers were read.
    since_sample: u32,
    name: Name,
}

impl Dns {
    /// None open.
    pub fn new(config: DnsConfig) -> Dns {
        let most = match config.enabled {
            true => config.max_open.clamp(1, limits::MAX_DNS_OPEN_TRANSACTIONS),
            false => 1,
        };
        Dns {
            pairing: Pairing {
                timeout_ns: config.timeout_ns.max(1),
                answers_interval: config.answers_interval,
                counters: DnsCounters::default(),
                open: Transactions::new(most),
                answers: AnswerReader::default(),
                since_sample: 0,
                name: Name::ROOT,
            },
            streams: Streams::new(limits::DNS_STREAMS),
            config,
        }
    }

    /// Whether packets between these ports are looked at.
    #[inline(always)]
    pub(in crate::metering) fn wants(&self, [src, dst]: [u16; 2]) -> bool {
        let ports = &self.config.ports;
        ((ports.has(src) | ports.has(dst)) || src == MDNS_PORT || dst == MDNS_PORT) && self.config.enabled
    }

    /// Takes in the messages of a packet.
    pub(in crate::metering) fn handle_packet(&mut self, packet: &DnsPacket<'_>, hasher: &KeyHasher, out: &mut Records) {
        let headers = packet.headers;
        let is_mdns =
            headers.ports.contains(&MDNS_PORT) && !headers.ports.iter().any(|port| self.config.ports.has(*port));
        match (&headers.transport, packet.network.protocol) {
            (Transport::Udp, protocol::UDP) if headers.payload_octets > 0 => {
                let stated = match packet.network.fragment {
                    Fragment::First => usize::from(headers.datagram_octets).saturating_sub(UDP_HEADER_OCTETS),
                    _ => headers.payload_octets as usize,
                };
                let from = Source {
                    packet,
                    hasher,
                    is_mdns,
                    is_tcp: false,
                };
                self.pairing.handle_message(&from, headers.payload, stated, out);
            }
            (Transport::Tcp(tcp), _) if !is_mdns && packet.network.fragment == Fragment::Whole => {
                let segment = Segment {
                    key: packet.key,
                    hash: packet.hash,
                    from_high: packet.from_high,
                    now_ns: packet.now_ns,
                    sequence: tcp.sequence,
                    is_syn: tcp.flags.any(TcpFlags::SYN),
                    is_last: tcp.flags.any(TcpFlags::FIN | TcpFlags::RST),
                    payload: headers.payload,
                    octets: headers.payload_octets as usize,
                };
                let from = Source {
                    packet,
                    hasher,
                    is_mdns,
                    is_tcp: true,
                };
                let (pairing, streams) = (&mut self.pairing, &mut self.streams);
                streams.handle(&segment, |octets, stated| {
                    pairing.handle_message(&from, octets, stated, out);
                });
            }
            _ => {}
        }
    }
}

impl Dns {
    /// Ends the transactions whose time is over at `now_ns`; true when there are more than may wait to be taken.
    pub(in crate::metering) fn handle_timeout(&mut self, now_ns: i64, out: &mut Records) -> bool {
        self.streams.handle_timeout(now_ns);
        while let Some(place) = self.pairing.open.oldest() {
            let waits_ns = now_ns.wrapping_sub(self.pairing.open.get(place).last_ns);
            // As unsigned numbers, times from after now, as when the clock was set back, are far too long ago too.
            if (waits_ns as u64) < self.pairing.timeout_ns as u64 {
                return false;
            }
            if out.len() >= limits::MAX_PENDING_RECORDS {
                return true;
            }
            self.pairing.end(place, FlowEndReason::IdleTimeout, out);
        }
        false
    }

    /// Ends all transactions; false when there are more than may wait to be taken.
    pub(in crate::metering) fn finish(&mut self, out: &mut Records) -> bool {
        while let Some(place) = self.pairing.open.oldest() {
            if out.len() >= limits::MAX_PENDING_RECORDS {
                return false;
            }
            self.pairing.end(place, FlowEndReason::ForcedEnd, out);
        }
        true
    }

    /// The account so far.
    pub fn counters(&self) -> DnsCounters {
        DnsCounters {
            open: self.pairing.open.len() as u64,
            streams: self.streams.counters(),
            ..self.pairing.counters.clone()
        }
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.pairing.open.octets() + self.streams.octets()
    }
}

/// Where a message is from.
#[derive(Clone, Copy)]
struct Source<'s> {
    packet: &'s DnsPacket<'s>,
    hasher: &'s KeyHasher,
    is_mdns: bool,
    is_tcp: bool,
}

impl Source<'_> {
    /// Who asks whom. Those who ask one question by mDNS are answered by whoever knows: the server does not count.
    #[inline]
    fn conversation(&self, is_response: bool) -> Conversation {
        let DnsPacket {
            key, hash, from_high, ..
        } = *self.packet;
        let client_is_high = from_high != is_response;
        if !self.is_mdns {
            return Conversation {
                key,
                hash,
                client_is_high,
            };
        }
        let (client, port) = match client_is_high {
            true => (key.high, key.ports_vlan >> 32 & 0xffff),
            false => (key.low, key.ports_vlan >> 48),
        };
        let key = PackedKey {
            low: client,
            high: match key.version() {
                IpVersion::V4 => MDNS_V4,
                IpVersion::V6 => MDNS_V6,
            },
            ports_vlan: port << 48 | u64::from(MDNS_PORT) << 32 | key.ports_vlan & 0xffff_ffff,
            ..key
        };
        Conversation {
            key,
            hash: self.hasher.hash(&key),
            client_is_high: false,
        }
    }

    fn arrived(&self, octets: usize) -> Arrived {
        Arrived {
            now_ns: self.packet.now_ns,
            interface: self.packet.interface,
            selector: self.packet.selector,
            octets: octets.min(usize::from(u16::MAX)) as u16,
        }
    }
}

impl Pairing {
    /// Takes in a message of `stated` octets, of which `octets` were captured.
    #[inline]
    fn handle_message(&mut self, from: &Source<'_>, octets: &[u8], stated: usize, out: &mut Records) {
        self.counters.messages += 1;
        self.counters.tcp_messages += u64::from(from.is_tcp);
        let message = match Message::read(octets, stated, from.is_mdns, &mut self.name) {
            Ok(message) => message,
            Err(fault) => {
                self.counters.faults[fault as usize] += 1;
                return;
            }
        };
        self.counters.cut_messages += u64::from(message.is_cut);
        if let Some(fault) = message.fault {
            self.counters.used_with_fault[fault as usize] += 1;
        }
        let to_everybody = from.is_mdns && from.packet.headers.ports == [MDNS_PORT; 2];
        let conversation = from.conversation(message.is_response());
        let arrived = from.arrived(stated);
        match (message.is_response(), to_everybody) {
            (false, true) => self.counters.multicast_queries += 1,
            (false, false) => self.ask(&conversation, &message, &arrived, out),
            (true, _) => {
                self.counters.responses += 1;
                let place = match to_everybody {
                    true => None,
                    false => self.open.find(&conversation, &message, &self.name),
                };
                let place = place.filter(|place| self.is_in_time(*place, arrived.now_ns));
                self.counters.multicast_responses += u64::from(to_everybody);
                self.answer(place, from, &message, &arrived, octets, out);
            }
        }
    }

    fn is_in_time(&self, place: u32, now_ns: i64) -> bool {
        now_ns.saturating_sub(self.open.get(place).last_ns) < self.timeout_ns
    }

    #[inline]
    fn ask(&mut self, conversation: &Conversation, message: &Message, arrived: &Arrived, out: &mut Records) {
        self.counters.queries += 1;
        if let Some(place) = self.open.find(conversation, message, &self.name) {
            if self.is_in_time(place, arrived.now_ns) && self.open.get(place).retries < u8::MAX {
                self.counters.retries += 1;
                self.open.repeat(place, arrived.now_ns);
                return;
            }
            self.end(place, FlowEndReason::IdleTimeout, out);
        }
        self.counters.opened += 1;
        if let Some(place) = self.open.add(conversation, message, &self.name, arrived) {
            self.end(place, FlowEndReason::LackOfResources, out);
        }
    }

    /// Makes the record of a response, and of its query when that is known.
    #[inline]
    fn answer(
        &mut self,
        place: Option<u32>,
        from: &Source<'_>,
        message: &Message,
        arrived: &Arrived,
        octets: &[u8],
        out: &mut Records,
    ) {
        let answer_lists = self.sample(message, octets, out);
        let query = place.map(|place| self.open.get(place));
        let start = out.octets.len();
        query
            .map_or(&self.name, |query| &query.name)
            .write_text(&mut out.octets);
        let packet = from.packet;
        let start_ns = query.map_or(arrived.now_ns, |query| query.start_ns.min(arrived.now_ns));
        let transaction = DnsTransaction {
            key: packet.key.oriented(
                !packet.from_high,
                query.map_or(arrived.interface, |query| query.interface),
            ),
            start_ns,
            end_ns: arrived.now_ns,
            status: match query {
                Some(_) => DnsStatus::Answered,
                None => DnsStatus::NoQuery,
            },
            end_reason: FlowEndReason::EndOfFlow,
            id: message.id,
            qname: TextRange::since(start, &out.octets),
            qtype: query.map_or(message.qtype, |query| query.qtype),
            qclass: query.map_or(message.qclass, |query| query.qclass),
            rcode: Some(message.rcode),
            flags: message.flags,
            latency_us: query.map(|_| u32::try_from((arrived.now_ns - start_ns) / 1000).unwrap_or(u32::MAX)),
            query_octets: query.map(|query| query.octets),
            response_octets: Some(arrived.octets),
            answers: message.counts[1],
            retries: query.map_or(0, |query| query.retries),
            edns: query.and_then(|query| query.edns).or(message.edns),
            extended_error: message.extended_error,
            client_subnet: query.and_then(|query| query.client_subnet).or(message.client_subnet),
            selector: arrived.selector,
            answer_lists,
        };
        out.dns.push(transaction);
        match place {
            Some(place) => {
                self.counters.answered += 1;
                self.open.remove(place);
            }
            None => self.counters.without_query += 1,
        }
    }

    /// Reads the answers of one response in so many.
    #[inline]
    fn sample(&mut self, message: &Message, octets: &[u8], out: &mut Records) -> Place {
        if self.answers_interval == 0 {
            return Place::NONE;
        }
        self.since_sample += 1;
        if self.since_sample < self.answers_interval {
            return Place::NONE;
        }
        self.since_sample = 0;
        self.counters.answers_sampled += 1;
        match self.answers.read(octets, message, &mut self.counters, &mut out.octets) {
            Some(answers) => Place::push(
                &mut out.dns_answers,
                DnsAnswers {
                    interval: self.answers_interval,
                    ..answers
                },
            ),
            None => Place::NONE,
        }
    }

    /// Makes the record of a query without a response.
    fn end(&mut self, place: u32, reason: FlowEndReason, out: &mut Records) {
        let query = self.open.get(place);
        let start = out.octets.len();
        query.name.write_text(&mut out.octets);
        let conversation = &query.conversation;
        out.dns.push(DnsTransaction {
            key: conversation.key.oriented(conversation.client_is_high, query.interface),
            start_ns: query.start_ns,
            end_ns: query.last_ns,
            status: DnsStatus::Unanswered,
            end_reason: reason,
            id: query.id,
            qname: TextRange::since(start, &out.octets),
            qtype: query.qtype,
            qclass: query.qclass,
            rcode: None,
            flags: query.flags,
            latency_us: None,
            query_octets: Some(query.octets),
            response_octets: None,
            answers: 0,
            retries: query.retries,
            edns: query.edns,
            extended_error: None,
            client_subnet: query.client_subnet,
            selector: query.selector,
            answer_lists: Place::NONE,
        });
        let counter = match reason {
            FlowEndReason::IdleTimeout => &mut self.counters.timed_out,
            FlowEndReason::LackOfResources => &mut self.counters.evicted,
            _ => &mut self.counters.stopped,
        };
        *counter += 1;
        self.open.remove(place);
    }
}

//! A collector that others wrote: netflow_parser.

use std::collections::BTreeMap;

use netflow_parser::variable_versions::v9;
use netflow_parser::{FieldValue, NetflowPacket, NetflowParser};

use super::{Expected, Flows, add};

/// Octets by field number.
type Fields = BTreeMap<u16, Vec<u8>>;

/// What one or more datagrams said.
#[derive(Debug, Default)]
pub struct Heard {
    pub datagrams: u64,
    /// Records of flows.
    pub records: u64,
    /// Flow Records, as the encoder says.
    pub flow_records: u64,
    pub flows: Flows,
    pub templates: usize,
    pub options_templates: usize,
    /// Options records: scope and fields.
    pub options: Vec<(Vec<u8>, Fields)>,
    /// Every field number that was there, with its octets.
    pub fields: BTreeMap<u16, usize>,
    /// sysUptime of each.
    pub uptimes: Vec<u32>,
    /// Sampling of each header of version 5.
    pub sampling: Vec<u16>,
}

impl Heard {
    pub fn add(&mut self, other: Heard, flow_records: u64) {
        self.datagrams += 1;
        self.records += other.records;
        self.flow_records += flow_records;
        for (flow, (packets, octets)) in other.flows {
            add(&mut self.flows, flow, packets, octets);
        }
        self.templates += other.templates;
        self.options_templates += other.options_templates;
        self.options.extend(other.options);
        self.fields.extend(other.fields);
        self.uptimes.extend(other.uptimes);
        self.sampling.extend(other.sampling);
    }
}

pub struct Peer {
    parser: NetflowParser,
    pub domain: u32,
    /// What the next header should say.
    pub sequence: u32,
}

fn octets(value: &FieldValue) -> Vec<u8> {
    let mut out = Vec::new();
    value.write_be_bytes(&mut out).expect("it writes what it reads");
    out
}

fn number(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

impl Peer {
    pub fn new(domain: u32) -> Self {
        Self {
            parser: NetflowParser::builder().build().unwrap(),
            domain,
            sequence: 0,
        }
    }

    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let result = self.parser.parse_bytes(bytes);
        assert!(result.error.is_none(), "{:?}", result.error);
        let [packet] = &*result.packets else {
            panic!("{} packets in a datagram", result.packets.len());
        };
        match packet {
            NetflowPacket::V9(packet) => self.hear_9(packet),
            NetflowPacket::V5(packet) => self.hear_5(packet),
            other => panic!("{other:?}"),
        }
    }

    fn hear_9(&mut self, packet: &v9::V9) -> Heard {
        let header = &packet.header;
        assert_eq!((header.source_id, header.sequence_number), (self.domain, self.sequence));
        self.sequence = self.sequence.wrapping_add(1);
        let boot_ms = i64::from(header.unix_secs) * 1000 - i64::from(header.sys_up_time);
        let mut heard = Heard {
            uptimes: vec![header.sys_up_time],
            ..Heard::default()
        };
        for set in &packet.flowsets {
            assert_eq!(set.header.length % 4, 0, "FlowSets are aligned");
            match &set.body {
                v9::FlowSetBody::Template(templates) => heard.templates += templates.templates.len(),
                v9::FlowSetBody::OptionsTemplate(templates) => heard.options_templates += templates.templates.len(),
                v9::FlowSetBody::Data(data) => {
                    for record in &data.fields {
                        let fields: Fields = record
                            .iter()
                            .map(|(field, value)| (u16::from(*field), octets(value)))
                            .collect();
                        heard.records += 1;
                        heard
                            .fields
                            .extend(fields.iter().map(|(number, octets)| (*number, octets.len())));
                        let (flow, packets, octets) = flow_of_9(boot_ms, header.sys_up_time, &fields);
                        add(&mut heard.flows, flow, packets, octets);
                    }
                }
                v9::FlowSetBody::OptionsData(data) => {
                    for record in &data.fields {
                        let [v9::ScopeDataField::System(scope)] = &*record.scope_fields else {
                            panic!("{:?}", record.scope_fields);
                        };
                        let fields = record.options_fields.iter();
                        let fields = fields
                            .map(|(field, value)| (u16::from(*field), octets(value)))
                            .collect();
                        heard.options.push((scope.clone(), fields));
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        // "The total number of records in the Export Packet": templates of both kinds, options, flows.
        let all = heard.templates + heard.options_templates + heard.options.len() + heard.records as usize;
        assert_eq!(usize::from(header.count), all);
        heard
    }

    fn hear_5(&mut self, packet: &netflow_parser::static_versions::v5::V5) -> Heard {
        let header = &packet.header;
        let engine = u32::from(header.engine_type) << 8 | u32::from(header.engine_id);
        assert_eq!((engine, header.flow_sequence), (self.domain, self.sequence));
        assert_eq!(usize::from(header.count), packet.flowsets.len());
        assert!((1..=30).contains(&header.count));
        self.sequence = self.sequence.wrapping_add(u32::from(header.count));
        let export_ms = i64::from(header.unix_secs) * 1000 + i64::from(header.unix_nsecs / 1_000_000);
        let boot_ms = export_ms - i64::from(header.sys_up_time);
        let mut heard = Heard {
            records: packet.flowsets.len() as u64,
            uptimes: vec![header.sys_up_time],
            sampling: vec![header.sampling_interval],
            ..Heard::default()
        };
        for record in &packet.flowsets {
            assert!(record.first <= record.last && record.last <= header.sys_up_time);
            assert_eq!((record.next_hop.octets(), record.src_as, record.dst_as), ([0; 4], 0, 0));
            let protocol = record.protocol_number;
            let ports = [6, 17, 33, 132, 136].contains(&protocol);
            let flow = Expected {
                addresses: [record.src_addr, record.dst_addr].map(|address| address.octets().to_vec()),
                ports: ports.then_some([record.src_port, record.dst_port]),
                protocol,
                tcp_flags: (protocol == 6).then_some(record.tcp_flags),
                tos: record.tos,
                icmp: [1, 58].contains(&protocol).then_some(record.dst_port),
                interfaces: [record.input, record.output].map(u32::from),
                times_ms: [record.first, record.last].map(|since| boot_ms + i64::from(since)),
            };
            add(&mut heard.flows, flow, record.d_pkts.into(), record.d_octets.into());
        }
        heard
    }
}

fn flow_of_9(boot_ms: i64, uptime_ms: u32, fields: &Fields) -> (Expected, u64, u64) {
    let get = |id: u16| fields.get(&id).map(|octets| number(octets));
    let must = |id: u16| get(id).unwrap_or_else(|| panic!("no field {id} in {fields:?}"));
    let address = |v4: u16, v6: u16| match (fields.get(&v4), fields.get(&v6)) {
        (Some(address), None) | (None, Some(address)) => address.clone(),
        both => panic!("{both:?}"),
    };
    assert_eq!(must(60), if fields.contains_key(&8) { 4 } else { 6 });
    let times_ms = match (get(22), get(21)) {
        (Some(first), Some(last)) => {
            assert!(first <= last && last <= u64::from(uptime_ms));
            [first, last].map(|since| boot_ms + since as i64)
        }
        _ => [must(152), must(153)].map(|ms| ms as i64),
    };
    let flow = Expected {
        addresses: [address(8, 27), address(12, 28)],
        ports: get(7).map(|src| [src as u16, must(11) as u16]),
        protocol: must(4) as u8,
        tcp_flags: get(6).map(|flags| flags as u8),
        tos: must(5) as u8,
        icmp: get(32).map(|icmp| icmp as u16),
        interfaces: [get(10), get(14)].map(|index| index.unwrap_or(0) as u32),
        times_ms,
    };
    (flow, must(2), must(1))
}

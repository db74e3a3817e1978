//! Records of every kind of exporter as rows: times, sampling, addresses, what no column takes.

use std::sync::Arc;

use flowgauge_ie_registry::{DataType, ElementId, Registry};
use flowgauge_templates::ipfix::{FieldSpecifier, Template};
use flowgauge_templates::text::TextContext;
use proptest::prelude::*;

use super::codes::{KIND_DNS, KIND_FLOW};
use super::columns::{COLUMNS, ColumnId, id};
use super::facts::Facts;
use super::plan::PlanField;
use super::row::{CellRef, Row, ip_to_u128, ipv4_to_u128};
use super::sampling::Rate;
use super::{ExporterClock, NormalizingCounters, NormalizingPlan, Received};
use crate::limits;

const EXPORT: i64 = 1_767_225_600_000_000_000;
const MS: i64 = 1_000_000;

fn received() -> Received<'static> {
    Received {
        exporter: ipv4_to_u128([198, 51, 100, 1]),
        domain: 7,
        received_ns: EXPORT + 5 * MS + 123,
        export_ns: EXPORT,
        clock: ExporterClock::Unknown,
        sampling: None,
        facts: Facts::default(),
        text: TextContext {
            registry: Registry::builtin(),
            scope: &(),
        },
    }
}

/// Fields by name with their octets, through a real template.
fn row_with(fields: &[(&str, &[u8])], received: &Received<'_>) -> (Row, NormalizingCounters) {
    let registry = Registry::builtin();
    let specifiers: Vec<_> = fields
        .iter()
        .map(|(name, octets)| {
            let element = match name.split_once('.') {
                Some((pen, id)) => ElementId::new(pen.parse().unwrap(), id.parse().unwrap()),
                None => registry.by_name(name).unwrap_or_else(|| panic!("{name}")).id,
            };
            FieldSpecifier {
                element,
                length: octets.len() as u16,
            }
        })
        .collect();
    let template = Template::compile(256, 0, &specifiers, registry);
    let body: Vec<u8> = fields.iter().flat_map(|(_, octets)| octets.iter().copied()).collect();
    let plan = NormalizingPlan::compile(&template, &Arc::default());
    let mut counters = NormalizingCounters::default();
    let record = template.records(&body).next().unwrap();
    let row = plan.row(&record, received, &mut counters);
    assert_eq!(counters.rows, 1);
    (row, counters)
}

fn row(fields: &[(&str, &[u8])]) -> Row {
    row_with(fields, &received()).0
}

fn other(row: &Row) -> Vec<(String, String)> {
    row.other()
        .map(|(name, cell)| {
            let text = match cell {
                CellRef::Text(text) => text.to_owned(),
                CellRef::Number(value) => value.to_string(),
                other => format!("{other:?}"),
            };
            (name.to_string(), text)
        })
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_biflow_fills_its_columns() {
    let start = (EXPORT / MS - 2_000).to_be_bytes();
    let end = (EXPORT / MS - 500).to_be_bytes();
    let (row, counters) = row_with(
        &[
            ("flowStartMilliseconds", &start),
            ("flowEndMilliseconds", &end),
            ("sourceIPv4Address", &[10, 0, 0, 1]),
            ("destinationIPv4Address", &[192, 0, 2, 1]),
            ("sourceTransportPort", &[0x80, 0]),
            ("destinationTransportPort", &[0, 53]),
            ("protocolIdentifier", &[17]),
            ("octetDeltaCount", &[1, 0]),
            ("packetDeltaCount", &[2]),
            ("reverseOctetDeltaCount", &[0, 0, 3]),
            ("tcpControlBits", &[0x12]),
            ("reverseTcpControlBits", &[0x01, 0x11]),
            ("sourceMacAddress", &[0, 1, 2, 3, 4, 5]),
            ("dnsQueryName", b"www.example.com\0\0"),
            ("dnsResponseTimeMicroseconds", &[0, 0, 1, 0]),
            ("tcpBufferbloat", &[1]),
            ("tcpNonIdleThroughputBitsPerSecond", &1.5e6f64.to_be_bytes()),
            ("paddingOctets", &[0, 0]),
        ],
        &received(),
    );
    let expected = [
        (id::START, CellRef::Signed(EXPORT - 2_000 * MS)),
        (id::DURATION, CellRef::Signed(1_500 * MS)),
        (id::RECEIVED, CellRef::Signed(EXPORT + 5 * MS)),
        (id::KIND, CellRef::Number(KIND_FLOW)),
        (id::SRC_IP, CellRef::Ip(ipv4_to_u128([10, 0, 0, 1]))),
        (id::DST_IP, CellRef::Ip(ipv4_to_u128([192, 0, 2, 1]))),
        (id::SRC_PORT, CellRef::Number(0x8000)),
        (id::DST_PORT, CellRef::Number(53)),
        (id::PROTO, CellRef::Number(17)),
        (id::IP_VERSION, CellRef::Number(4)),
        (id::OCTETS, CellRef::Number(256)),
        (id::PACKETS, CellRef::Number(2)),
        (id::REV_OCTETS, CellRef::Number(3)),
        (id::TCP_FLAGS, CellRef::Number(0x12)),
        (id::REV_TCP_FLAGS, CellRef::Number(0x111)),
        (id::EXPORTER_IP, CellRef::Ip(ipv4_to_u128([198, 51, 100, 1]))),
        (id::EXPORTER_DOMAIN, CellRef::Number(7)),
        (id::SRC_MAC, CellRef::Number(0x01_0203_0405)),
        (id::DNS_QNAME, CellRef::Text("www.example.com")),
        (id::DNS_LATENCY, CellRef::Signed(256_000)),
        (id::TCP_NON_IDLE_BPS, CellRef::Float(1.5e6)),
        (id::TCP_BUFFERBLOAT, CellRef::Bool(true)),
    ];
    // In the order of the table, nothing else.
    assert_eq!(row.cells().collect::<Vec<_>>(), expected);
    assert_eq!(other(&row), pairs(&[]));
    assert_eq!(
        counters,
        NormalizingCounters {
            rows: 1,
            ..NormalizingCounters::default()
        }
    );
}

fn times(fields: &[(&str, &[u8])], received: &Received<'_>) -> (i64, i64, NormalizingCounters) {
    let (row, counters) = row_with(fields, received);
    (
        row.signed(id::START).unwrap() - EXPORT,
        row.signed(id::DURATION).unwrap(),
        counters,
    )
}

#[test]
fn times_come_in_every_form() {
    let up_first = ("flowStartSysUpTime", &[0, 0, 0x03, 0xe8][..]);
    let up_last = ("flowEndSysUpTime", &[0, 0, 0x07, 0xd0][..]);
    let booted = (EXPORT / MS - 10_000).to_be_bytes();
    let plain = NormalizingCounters {
        rows: 1,
        ..NormalizingCounters::default()
    };

    let (start, duration, counters) = times(
        &[up_first, up_last, ("systemInitTimeMilliseconds", &booted)],
        &received(),
    );
    assert_eq!((start, duration, counters), (-9_000 * MS, 1_000 * MS, plain));

    // The start of the exporter came in an options record.
    let known = Received {
        clock: ExporterClock::StartedAt(EXPORT - 5_000 * MS),
        ..received()
    };
    let (start, duration, counters) = times(&[up_first, up_last], &known);
    assert_eq!((start, duration, counters), (-4_000 * MS, 1_000 * MS, plain));

    // Nobody told: the export time, and how long it was.
    let (start, duration, counters) = times(&[up_first, up_last], &received());
    assert_eq!((start, duration), (-1_000 * MS, 1_000 * MS));
    assert_eq!(
        counters,
        NormalizingCounters {
            times_from_export: 1,
            ..plain
        }
    );

    let delta = [0, 0, 0x27, 0x10];
    let (start, duration, counters) = times(
        &[
            ("flowStartDeltaMicroseconds", &delta),
            ("flowEndDeltaMicroseconds", &[0; 4]),
        ],
        &received(),
    );
    assert_eq!((start, duration, counters), (-10 * MS, 10 * MS, plain));

    let seconds = ((EXPORT / 1_000_000_000) as u32).to_be_bytes();
    let (start, duration, counters) = times(
        &[
            ("flowEndSeconds", &seconds),
            ("flowDurationMilliseconds", &[0, 0, 0, 9]),
        ],
        &received(),
    );
    assert_eq!((start, duration, counters), (-9 * MS, 9 * MS, plain));

    let (start, duration, counters) = times(&[("protocolIdentifier", &[6])], &received());
    assert_eq!((start, duration), (0, 0));
    assert_eq!(
        counters,
        NormalizingCounters {
            times_from_export: 1,
            ..plain
        }
    );

    // The more exact one of two; the other one is kept.
    let ms = (EXPORT / MS + 1).to_be_bytes();
    let (row, counters) = row_with(
        &[
            ("flowStartSeconds", &seconds),
            ("flowStartMilliseconds", &ms),
            ("flowEndMilliseconds", &ms),
        ],
        &received(),
    );
    assert_eq!(
        (row.signed(id::START), row.signed(id::DURATION)),
        (Some(EXPORT + MS), Some(0))
    );
    assert_eq!(other(&row), pairs(&[("flowStartSeconds", "2026-01-01T00:00:00Z")]));
    assert_eq!(counters, plain);

    let early = (EXPORT / MS - 1).to_be_bytes();
    let (_, duration, counters) = times(
        &[("flowStartMilliseconds", &ms), ("flowEndMilliseconds", &early)],
        &received(),
    );
    assert_eq!(duration, -2 * MS);
    assert_eq!(
        counters,
        NormalizingCounters {
            times_reversed: 1,
            ..plain
        }
    );

    // As far from now as the field can say.
    let (row, _) = row_with(
        &[("flowStartMilliseconds", &[0xff; 8]), ("flowEndMilliseconds", &[0; 8])],
        &received(),
    );
    assert!(row.signed(id::START).is_some());
}

#[test]
fn sampling_multiplies_and_stays_known() {
    let counted: [(&str, &[u8]); 2] = [("octetDeltaCount", &[100]), ("packetDeltaCount", &[3])];
    let with = |more: &[(&'static str, &'static [u8])], received: &Received<'_>| {
        let fields: Vec<_> = counted.iter().copied().chain(more.iter().copied()).collect();
        let (row, counters) = row_with(&fields, received);
        (
            row.number(id::OCTETS),
            row.number(id::PACKETS),
            row.number(id::SAMPLING),
            counters.rows_scaled,
        )
    };
    let none = received();
    let told = Received {
        sampling: Some(Rate::one_in(50)),
        ..received()
    };
    assert_eq!(with(&[], &none), (Some(100), Some(3), None, 0));
    assert_eq!(
        with(&[("samplingInterval", &[0, 0, 0, 10])], &none),
        (Some(1_000), Some(30), Some(10), 1)
    );
    assert_eq!(
        with(&[("samplingPacketInterval", &[0, 0, 0, 8])], &none),
        (Some(800), Some(24), Some(8), 1)
    );
    let one_in_hundred: [(&'static str, &'static [u8]); 2] = [
        ("samplingPacketInterval", &[0, 0, 0, 1]),
        ("samplingPacketSpace", &[0, 0, 0, 99]),
    ];
    assert_eq!(with(&one_in_hundred, &none), (Some(10_000), Some(300), Some(100), 1));
    assert_eq!(with(&[], &told), (Some(5_000), Some(150), Some(50), 1));
    assert_eq!(
        with(&[("samplingInterval", &[1])], &told),
        (Some(100), Some(3), Some(1), 0)
    );
    assert_eq!(
        with(&[("samplingInterval", &[0])], &none),
        (Some(100), Some(3), Some(1), 0),
        "0 is 1"
    );
    let (row, _) = row_with(&[("octetDeltaCount", &[0xff; 8]), ("samplingInterval", &[2])], &none);
    assert_eq!(row.number(id::OCTETS), Some(u64::MAX), "it stops at the largest number");
}

#[test]
fn one_of_two_address_families_is_empty() {
    let v6 = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    for fields in [
        [("sourceIPv4Address", &[0; 4][..]), ("sourceIPv6Address", &v6[..])],
        [("sourceIPv6Address", &v6[..]), ("sourceIPv4Address", &[0; 4][..])],
    ] {
        let row = row(&fields);
        assert_eq!(
            row.get(id::SRC_IP),
            Some(CellRef::Ip(ip_to_u128("2001:db8::1".parse().unwrap())))
        );
        assert_eq!(row.number(id::IP_VERSION), Some(6));
    }
    let row = row(&[("sourceIPv4Address", &[0; 4]), ("sourceIPv6Address", &[0; 16])]);
    assert_eq!(row.number(id::IP_VERSION), Some(4), "a source of 0.0.0.0 is one");
}

#[test]
fn what_no_column_takes_is_kept_by_name() {
    let (row, counters) = row_with(
        &[
            ("32473.9999", &[0x00, 0xff]),
            ("forwardingStatus", &[0x40]),
            ("ipNextHopIPv4Address", &[192, 0, 2, 254]),
            ("octetDeltaCount", &[5]),
            ("octetTotalCount", &[9]),
            ("flowLabelIPv6", &[0, 0, 1, 2]),
            ("postSourceMacAddress", &[1, 2, 3, 4, 5, 6]),
            ("observationTimeMilliseconds", &[0, 0, 1, 0x9b, 0x76, 0xda, 0xd8, 0]),
            ("mplsTopLabelStackSection", &[1, 2, 3]),
            // A basicList of two ports (RFC 6313 section 4.5.1).
            ("basicList", &[3, 0, 7, 0, 2, 0, 53, 1, 0xbb]),
        ],
        &received(),
    );
    assert_eq!(row.number(id::OCTETS), Some(5));
    // 20 bits of the first three octets.
    assert_eq!(row.get(id::MPLS_LABELS), Some(CellRef::Text("4128")));
    let kept = other(&row);
    let kept: Vec<_> = kept
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            ("32473.9999", "00ff"),
            ("forwardingStatus", "64"),
            ("ipNextHopIPv4Address", "192.0.2.254"),
            ("octetTotalCount", "9"),
            ("flowLabelIPv6", "258"),
            ("postSourceMacAddress", "01:02:03:04:05:06"),
            (
                "basicList",
                "[{\"sourceTransportPort\":53},{\"sourceTransportPort\":443}]"
            ),
        ]
    );
    assert!(
        row.signed(id::START).is_some_and(|start| start != EXPORT),
        "the observation time is a start"
    );
    assert_eq!(counters.values_mistyped, 0);
}

#[test]
fn octets_that_do_not_fit_are_kept_and_counted() {
    let registry = Registry::builtin();
    let field = |name: &str| PlanField {
        element: registry
            .by_name(name)
            .map_or(ElementId::default(), |element| element.id),
        name: Arc::from(name),
        data_type: registry
            .by_name(name)
            .map_or(DataType::OctetArray, |element| element.data_type),
    };
    let fields = [
        "sourceIPv4Address",
        "octetDeltaCount",
        "flowStartMilliseconds",
        "tcpBufferbloat",
    ];
    let plan = NormalizingPlan::compile_fields(fields.map(field).into(), &Arc::default());
    let mut counters = NormalizingCounters::default();
    let octets: [&[u8]; 4] = [&[1, 2, 3], &[0; 9], &[1, 2], &[]];
    let row = plan.row_of(octets.into_iter().enumerate(), &received(), &mut counters);
    let kept = other(&row);
    assert_eq!(kept[0], ("sourceIPv4Address".to_owned(), "010203".to_owned()));
    // Two octets of a time are a reduced size of it.
    assert_eq!((kept.len(), counters.values_mistyped), (3, 3), "{kept:?}");
    assert!(row.get(id::SRC_IP).is_none() && row.get(id::OCTETS).is_none());
}

#[test]
fn icmp_type_and_code_come_in_one_number_too() {
    let row = row(&[("icmpTypeCodeIPv4", &[3, 1]), ("reverseIcmpTypeCodeIPv4", &[8, 0])]);
    assert_eq!(
        (row.number(id::ICMP_TYPE), row.number(id::ICMP_CODE)),
        (Some(3), Some(1))
    );
    assert_eq!(
        (row.number(id::REV_ICMP_TYPE), row.number(id::REV_ICMP_CODE)),
        (Some(8), Some(0))
    );
    let row = super::tests::row(&[
        ("icmpTypeIPv4", &[8]),
        ("icmpCodeIPv4", &[0]),
        ("icmpTypeCodeIPv4", &[8, 0]),
    ]);
    assert_eq!(
        (row.number(id::ICMP_TYPE), row.number(id::ICMP_CODE)),
        (Some(8), Some(0))
    );
}

#[test]
fn a_kind_of_black_hole_is_one_and_is_kept() {
    let row = row(&[("tcpBlackholeKind", &[2])]);
    assert_eq!(row.get(id::TCP_BLACKHOLED), Some(CellRef::Bool(true)));
    assert_eq!(other(&row), pairs(&[("tcpBlackholeKind", "2")]));
}

#[test]
fn long_text_and_many_elements_are_cut_and_counted() {
    let long = "ä".repeat(limits::TEXT_VALUE_OCTETS);
    let (row, counters) = row_with(&[("dnsQueryName", long.as_bytes())], &received());
    let Some(CellRef::Text(kept)) = row.get(id::DNS_QNAME) else {
        panic!()
    };
    assert!(kept.len() <= limits::TEXT_VALUE_OCTETS && long.starts_with(kept));
    assert_eq!(counters.values_cut, 1);

    let fields = (0..limits::OTHER_ELEMENTS_PER_ROW + 3)
        .map(|number| PlanField {
            element: ElementId::new(1, number as u16),
            name: Arc::from(format!("1.{number}")),
            data_type: DataType::OctetArray,
        })
        .collect();
    let plan = NormalizingPlan::compile_fields(fields, &Arc::default());
    let mut counters = NormalizingCounters::default();
    let octets = (0..limits::OTHER_ELEMENTS_PER_ROW + 3).map(|at| (at, &[1u8][..]));
    let row = plan.row_of(octets, &received(), &mut counters);
    assert_eq!(
        (row.other().count(), counters.values_cut),
        (limits::OTHER_ELEMENTS_PER_ROW, 3)
    );
}

#[test]
fn rows_in_used_buffers_hold_nothing_of_the_row_before() {
    for _ in 0..3 {
        let row = row(&[("dnsQueryName", b"a.example"), ("32473.9999", &[1])]);
        assert_eq!(row.other().count(), 1);
        drop(row);
        let row = super::tests::row(&[("protocolIdentifier", &[6])]);
        assert_eq!(row.get(id::DNS_QNAME), None);
        assert!(!row.has_other());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any octets in any fields make a row whose cells have their columns' kinds and order.
    #[test]
    fn any_octets_make_a_row(
        fields in proptest::collection::vec((0..600usize, proptest::collection::vec(any::<u8>(), 0..20)), 0..40)
    ) {
        let elements: Vec<_> = Registry::builtin().iter().collect();
        let plan_fields = fields.iter().map(|(at, _)| {
            let element = elements[at * 7 % elements.len()];
            PlanField { element: element.id, name: Arc::from(element.name.as_ref()), data_type: element.data_type }
        });
        let plan = NormalizingPlan::compile_fields(plan_fields.collect(), &Arc::default());
        let mut counters = NormalizingCounters::default();
        let octets = fields.iter().map(|(_, octets)| octets.as_slice()).enumerate();
        let row = plan.row_of(octets, &received(), &mut counters);
        let cells: Vec<(ColumnId, CellRef<'_>)> = row.cells().collect();
        prop_assert!(cells.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (column, cell) in cells {
            use super::columns::ColumnKind::{Bool, Duration, Float, Ip, Mac, Number, Text, Time};
            let fits = matches!(
                (COLUMNS[usize::from(column.0)].kind, cell),
                (Time | Duration, CellRef::Signed(_)) | (Number | Mac, CellRef::Number(_)) | (Ip, CellRef::Ip(_))
                    | (Float, CellRef::Float(_)) | (Bool, CellRef::Bool(_)) | (Text, CellRef::Text(_))
            );
            prop_assert!(fits, "{column:?} {cell:?}");
        }
        prop_assert_eq!(counters.rows, 1);
    }
}

/// A record of fields with any element, as octets.
fn row_of_elements(fields: &[(ElementId, u16, &[u8])]) -> Row {
    let specifiers: Vec<_> = fields
        .iter()
        .map(|(element, length, _)| FieldSpecifier::new(*element, *length))
        .collect();
    let template = Template::compile(256, 0, &specifiers, Registry::builtin());
    let plan = NormalizingPlan::compile(&template, &Arc::default());
    let octets = fields.iter().map(|(_, _, octets)| *octets).enumerate();
    plan.row_of(octets, &received(), &mut NormalizingCounters::default())
}

#[test]
fn elements_of_other_vendors_land_in_our_columns() {
    let of = ElementId::new;
    let row = row_of_elements(&[
        // ntop
        (of(35_632, 119), 4, b"DNS\0"),
        (of(35_632, 205), 16, b"www.example.org\0"),
        (of(35_632, 207), 1, &[28]),
        (of(35_632, 208), 1, &[3]),
        (of(35_632, 123), 4, &[0, 0, 0, 5]),
        (of(0, 23), 4, &[0, 0, 1, 0]),
        (of(0, 24), 4, &[0, 0, 0, 2]),
        // Cisco AVC
        (of(9, 12_235), 14, b"\x03\0\0P4\x02site.org"),
        (of(9, 9_268), 4, &[0, 0, 0, 7]),
        // NetScaler
        (of(5_951, 144), 2, &[1, 148]),
        // YAF
        (of(6_871, 14), 1, &[0x02]),
        (of(6_871, 15), 1, &[0x18]),
        (of(6_871, 16_399), 1, &[0x12]),
        (of(6_871, 294), 8, b"\0\0\0\0\0\0\0\0"),
        // CESNET, of the same meaning as YAF's, which is empty here
        (of(8_057, 808), 8, b"tls.site"),
    ]);
    let text = |column| match row.get(column) {
        Some(CellRef::Text(text)) => text.to_owned(),
        other => format!("{other:?}"),
    };
    let texts = [id::APP_NAME, id::DNS_QNAME, id::HTTP_HOST, id::TLS_SNI].map(text);
    assert_eq!(texts, ["DNS", "www.example.org", "site.org", "tls.site"]);
    let numbers = [
        (id::DNS_QTYPE, 28),
        (id::DNS_RCODE, 3),
        (id::REV_OCTETS, 256),
        (id::REV_PACKETS, 2),
        (id::TCP_RETRANSMITS, 7),
        (id::HTTP_STATUS, 404),
        (id::TCP_FLAGS, 0x1a),
        (id::REV_TCP_FLAGS, 0x12),
    ];
    for (column, number) in numbers {
        assert_eq!(row.number(column), Some(number), "{}", column.column().name);
    }
    // ntop's latency is half of the round trip, in milliseconds.
    assert_eq!(row.signed(id::TCP_RTT_CLIENT), Some(10 * MS));
}

#[test]
fn a_columns_own_element_wins_over_another_vendors() {
    let own = ElementId::new(32_473, 32);
    let theirs = ElementId::new(6_871, 294);
    let row = row_of_elements(&[(theirs, 6, b"theirs"), (own, 4, b"ours")]);
    assert_eq!(row.get(id::TLS_SNI), Some(CellRef::Text("ours")));
    assert_eq!(other(&row), [("sslServerName".to_owned(), "theirs".to_owned())]);
    // Without nProbe's elements, the counters behind a middlebox are what they say.
    let row = row_of_elements(&[(ElementId::iana(23), 4, &[0, 0, 1, 0])]);
    assert_eq!(row.number(id::REV_OCTETS), None);
}

/// YAF puts what it inspected into a subTemplateMultiList: here HTTP hosts in a basicList, and a DNS name in a list of
/// records, whose address is not the flow's.
#[test]
fn values_in_lists_land_in_our_columns() {
    struct Scope([Arc<Template>; 2]);
    impl flowgauge_templates::ipfix::list::TemplateScope for Scope {
        fn template(&self, id: u16) -> Option<&Arc<Template>> {
            self.0.iter().find(|template| template.id() == id)
        }
    }
    let variable = |pen, element| FieldSpecifier::variable(ElementId::new(pen, element));
    let template = |id, fields: &[FieldSpecifier]| Arc::new(Template::compile(id, 0, fields, Registry::builtin()));
    let scope = Scope([
        template(300, &[variable(0, 291)]),
        template(301, &[variable(6_871, 179), FieldSpecifier::new(ElementId::iana(8), 4)]),
    ]);
    // RFC 6313 section 4.5.1: semantics, field with its enterprise, then values that say their length.
    let mut hosts = vec![0xff, 0x80, 117, 0xff, 0xff];
    hosts.extend(6_871u32.to_be_bytes());
    hosts.extend(b"\x08host.org\x05later");
    let http = [&[hosts.len() as u8][..], &hosts].concat();
    let dns = [b"\x0cexample.org.".as_slice(), &[192, 0, 2, 9]].concat();
    let group = |id: u16, content: &[u8]| {
        [
            &id.to_be_bytes()[..],
            &(4 + content.len() as u16).to_be_bytes(),
            content,
        ]
        .concat()
    };
    let list = [&[0xff][..], &group(300, &http), &group(301, &dns)].concat();
    let field = PlanField {
        element: ElementId::iana(293),
        name: Arc::from("subTemplateMultiList"),
        data_type: DataType::SubTemplateMultiList,
    };
    let plan = NormalizingPlan::compile_fields(vec![field], &Arc::default());
    let received = Received {
        text: TextContext {
            registry: Registry::builtin(),
            scope: &scope,
        },
        ..received()
    };
    let row = plan.row_of(
        [(0, &*list)].into_iter(),
        &received,
        &mut NormalizingCounters::default(),
    );
    assert_eq!(row.get(id::HTTP_HOST), Some(CellRef::Text("host.org")));
    assert_eq!(row.get(id::DNS_QNAME), Some(CellRef::Text("example.org")));
    assert_eq!(row.get(id::SRC_IP), None);
    assert!(other(&row)[0].1.contains("later"), "the list is kept whole");
}

/// What counts packets is a flow, also when it says what became of a query in it.
#[test]
fn transactions_are_told_from_flows() {
    let status = ("dnsTransactionStatus", &[1u8][..]);
    let name = ("dnsQueryName", &b"example.com"[..]);
    let kind = |fields: &[(&str, &[u8])]| row_with(fields, &received()).0.number(id::KIND);
    assert_eq!(kind(&[status, name]), Some(KIND_DNS));
    assert_eq!(kind(&[name]), Some(KIND_FLOW));
    for counter in [
        "packetDeltaCount",
        "octetDeltaCount",
        "reverseOctetDeltaCount",
        "initiatorPackets",
    ] {
        assert_eq!(kind(&[status, name, (counter, &[1])]), Some(KIND_FLOW), "{counter}");
    }
}

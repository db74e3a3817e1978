//! An element that no registry knows is kept, named by its exporter's type records (RFC 5610), and searched by that name.

use flowgauge_ie_registry::{DataType, Element, ElementId, ids};
use flowgauge_templates::ipfix::FieldSpecifier;
use flowgauge_templates::management::type_information::{TYPE_RECORD_FIELDS, TYPE_RECORD_SCOPE, write_type_record};
use flowgauge_templates::management::{ExportingConfig, ExportingSession, TransportKind};

use crate::support::collector::Collector;
use crate::support::{program, succeed, text};

const QUEUE_DEPTH: ElementId = ElementId::new(64_999, 7);
const NAMELESS: ElementId = ElementId::new(64_999, 8);
const NOW: i64 = 1_767_225_600_000_000_000;

fn message() -> Vec<u8> {
    let mut session = ExportingSession::new(ExportingConfig::of(TransportKind::Udp, 1));
    let types = session
        .add_options_template(TYPE_RECORD_SCOPE, &TYPE_RECORD_FIELDS)
        .unwrap();
    let fields = [
        FieldSpecifier::new(ids::SOURCE_IPV4_ADDRESS, 4),
        FieldSpecifier::new(ids::OCTET_DELTA_COUNT, 8),
        FieldSpecifier::new(QUEUE_DEPTH, 4),
        FieldSpecifier::new(NAMELESS, 2),
    ];
    let flows = session.add_template(&fields).unwrap();
    let element = Element::new(QUEUE_DEPTH, "queueDepth", DataType::Unsigned32);
    session
        .record(NOW, types, |out| write_type_record(&element, out))
        .unwrap();
    for depth in [5u32, 6, 7] {
        session
            .record(NOW, flows, |out| {
                out.ipv4([192, 0, 2, 1].into());
                out.u64(100);
                out.u32(depth);
                out.u16(0xbeef);
            })
            .unwrap();
    }
    session.flush(NOW);
    session.poll_message().unwrap().bytes
}

#[test]
fn and_found_by_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("store"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&message(), ("127.0.0.1", collector.port)).unwrap();
    assert_eq!(collector.wait_for(3), 3);
    let found = |filter: &str| {
        let arguments = ["query", "--url", &collector.url, filter, "--format", "ndjson"];
        text(&succeed(&program("flowgauge-collector"), &arguments).stdout)
            .lines()
            .count()
    };
    assert_eq!(found("queueDepth > 5"), 2);
    assert_eq!(found("queueDepth = 6 and src.ip = 192.0.2.1"), 1);
    assert_eq!(found("64999.8 exists"), 3);
}

//! Datagrams of one protocol, one behind the other, through a Collecting Process: it must not panic, its accounts must
//! balance, and what it holds must stay small.

use std::net::{IpAddr, SocketAddr};

use flowgauge_collector::collecting::{CollectingProcess, ProcessConfig, SessionKey};
use flowgauge_collector::io::listener::Transport;
use flowgauge_ie_registry::Registry;

const START_NS: i64 = 1_767_225_600_000_000_000;
const NS_PER_S: i64 = 1_000_000_000;
/// No input makes more rows of its octets than this: the least record is of one octet.
const ROWS_PER_OCTET: usize = 1;

/// Each datagram is behind its length (two octets); its first octets become `version`, so that none is wasted on others'.
/// The upper bits of the length say which of four exporters sends it, and whether a minute passes.
pub fn run(version: &[u8], input: &[u8]) {
    let config = ProcessConfig {
        listeners: vec![Transport::Udp],
        ..ProcessConfig::default()
    };
    let mut process = CollectingProcess::new(config, Registry::new());
    let (mut now_ns, mut rest, mut made) = (START_NS, input, 0);
    while let Some((head, behind)) = rest.split_first_chunk::<2>() {
        let head = u16::from_be_bytes(*head);
        let length = usize::from(head & 0x0fff).min(behind.len());
        let (datagram, behind) = behind.split_at(length);
        rest = behind;
        let mut datagram = datagram.to_vec();
        for (octet, of_version) in datagram.iter_mut().zip(version) {
            *octet = *of_version;
        }
        let peer = IpAddr::from([192, 0, 2, (head >> 12 & 3) as u8]);
        let key = SessionKey {
            listener: 0,
            peer: SocketAddr::new(peer, 4_000),
            connection: 0,
        };
        if head >> 14 & 1 == 1 {
            now_ns += 60 * NS_PER_S;
            process.handle_timeout(now_ns);
        }
        let mut rows = Vec::new();
        process.handle(now_ns, key, &datagram, &mut rows);
        made += rows.len();
        let totals = process.totals();
        assert!(totals.balanced, "{totals:?}");
        assert_eq!(totals.sum.internal_faults, 0);
        assert_eq!(totals.sum.rows, made as u64);
    }
    assert!(made <= input.len() * ROWS_PER_OCTET + 4, "{made} rows of {} octets", input.len());
    assert!(process.sessions() <= 4);
    // Nothing is left to balance when all that waits is given up.
    process.handle_timeout(now_ns + 24 * 3_600 * NS_PER_S);
    assert!(process.totals().balanced);
    assert_eq!(process.totals().sets_waiting, 0);
}

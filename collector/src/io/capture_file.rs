//! Flow exports in packet captures: the UDP datagrams, and the IPFIX Messages of TCP streams.

use std::net::SocketAddr;
use std::path::Path;

use flowgauge_templates::packet::{Fragment, Headers, LinkType, Transport, parse, protocol};
use pcap::{Capture, Linktype, Precision};

use super::input::{Fault, Item, Received, protocol_of};
use super::tcp_stream::TcpStreams;
use crate::failure::Failure;

type Sink<'s> = dyn FnMut(Item<'_>) -> Result<(), Failure> + 's;

/// Reads a pcap or pcapng file. Datagrams that are no flow exports are passed over.
///
/// # Errors
/// When the file cannot be read to its end; everything before the place is handed out.
pub fn read(path: &Path, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let open = |precision| Capture::from_file_with_precision(path, precision);
    let mut capture = open(Precision::Nano)
        .map_err(|error| Failure::running(format!("input {}: {}", path.display(), one_line(&error))))?;
    let link_type = link_type(capture.get_datalink());
    let mut streams = TcpStreams::default();
    let mut number = 0u64;
    loop {
        let packet = match capture.next_packet() {
            Ok(packet) => packet,
            Err(pcap::Error::NoMorePackets) => return Ok(()),
            Err(error) => {
                return Err(Failure::running(format!(
                    "input {}: after packet {number}: {}",
                    path.display(),
                    one_line(&error)
                )));
            }
        };
        number += 1;
        // With Precision::Nano the second part counts nanoseconds whatever the file counted.
        let time_ns = packet.header.ts.tv_sec * 1_000_000_000 + packet.header.ts.tv_usec;
        let headers = parse(link_type, packet.data, packet.header.len);
        handle(&headers, time_ns, number, &mut streams, sink)?;
    }
}

fn one_line(error: &pcap::Error) -> String {
    error.to_string().lines().collect::<Vec<_>>().join(", ")
}

/// libpcap numbers raw IP by the platform's DLT; the rest are as in the file.
fn link_type(datalink: Linktype) -> LinkType {
    LinkType(u16::try_from(datalink.0).unwrap_or(u16::MAX))
}

fn handle(
    headers: &Headers<'_>,
    time_ns: i64,
    place: u64,
    streams: &mut TcpStreams,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let Some(network) = &headers.network else { return Ok(()) };
    let [from_port, to_port] = headers.ports;
    let (from, to) = (
        SocketAddr::new(network.src(), from_port),
        SocketAddr::new(network.dst(), to_port),
    );
    match headers.transport {
        Transport::Udp if network.protocol == protocol::UDP => {
            if protocol_of(headers.payload).is_none() {
                return Ok(());
            }
            if network.fragment != Fragment::Whole {
                return sink(Item::Fault(Fault {
                    place,
                    reason: "fragment",
                }));
            }
            if (headers.payload.len() as u64) < u64::from(headers.payload_octets) {
                return sink(Item::Fault(Fault {
                    place,
                    reason: "cut_by_snap_length",
                }));
            }
            let received = Received {
                time_ns,
                from,
                to,
                stream: false,
                bytes: headers.payload,
                place,
            };
            sink(Item::Received(received))
        }
        Transport::Tcp(tcp) => streams.handle_segment((from, to), &tcp, headers.payload, &mut |message| {
            let item = match message {
                Ok(bytes) => Item::Received(Received {
                    time_ns,
                    from,
                    to,
                    stream: true,
                    bytes,
                    place,
                }),
                Err(reason) => Item::Fault(Fault { place, reason }),
            };
            sink(item)
        }),
        _ => Ok(()),
    }
}

//! IPFIX Messages out of captured TCP segments: put in order, cut by their length (RFC 7011 section 10.4).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use flowgauge_templates::ipfix::message_length;
use flowgauge_templates::packet::{Tcp, TcpFlags};

use crate::failure::Failure;
use crate::limits::{CAPTURED_STREAM_OCTETS, CAPTURED_STREAMS};

/// What a stream gives: a Message, or why none can follow.
pub type StreamItem<'a> = Result<&'a [u8], &'static str>;

/// One direction of a connection.
#[derive(Debug, Default)]
struct Stream {
    next: Option<u32>,
    in_order: Vec<u8>,
    early: BTreeMap<u32, Vec<u8>>,
    octets: usize,
    /// It has carried Messages.
    carried: bool,
    /// Not IPFIX, or broken: its further segments are passed over.
    over: bool,
}

/// Every stream of a capture.
#[derive(Debug, Default)]
pub struct TcpStreams {
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
}

impl TcpStreams {
    /// Takes one segment and hands the Messages it completes to `sink`.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn handle_segment(
        &mut self,
        ends: (SocketAddr, SocketAddr),
        tcp: &Tcp<'_>,
        payload: &[u8],
        sink: &mut dyn FnMut(StreamItem<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let syn = tcp.flags.any(TcpFlags::SYN);
        if payload.is_empty() && !syn {
            return Ok(());
        }
        if self.streams.len() >= CAPTURED_STREAMS && !self.streams.contains_key(&ends) {
            return sink(Err("too_many_streams"));
        }
        let stream = self.streams.entry(ends).or_default();
        if syn {
            *stream = Stream {
                next: Some(tcp.sequence.wrapping_add(1)),
                ..Stream::default()
            };
        }
        if stream.over || payload.is_empty() {
            return Ok(());
        }
        // A stream without its SYN is taken up where the capture begins, if a Message begins there.
        let next = *stream.next.get_or_insert(tcp.sequence);
        let sequence = tcp.sequence.wrapping_add(u32::from(syn));
        stream.take(next, sequence, payload);
        if stream.octets > CAPTURED_STREAM_OCTETS {
            stream.end();
            return sink(Err("stream_gap"));
        }
        stream.cut(sink)
    }
}

impl Stream {
    fn take(&mut self, next: u32, sequence: u32, payload: &[u8]) {
        let behind = next.wrapping_sub(sequence);
        if behind != 0 && behind >= 1 << 31 {
            self.octets += payload.len();
            self.early.insert(sequence, payload.to_vec());
            return;
        }
        self.append(behind, payload);
        // Segments that came early follow as soon as they touch the end.
        while let Some(next) = self.next
            && let Some(sequence) = self
                .early
                .keys()
                .copied()
                .find(|sequence| next.wrapping_sub(*sequence) < 1 << 31)
            && let Some(early) = self.early.remove(&sequence)
        {
            self.octets -= early.len();
            self.append(next.wrapping_sub(sequence), &early);
        }
    }

    /// Appends what of a payload is new when its first `known` octets are not.
    fn append(&mut self, known: u32, payload: &[u8]) {
        let fresh = payload.get(known as usize..).unwrap_or_default();
        self.in_order.extend_from_slice(fresh);
        self.next = self.next.map(|next| next.wrapping_add(fresh.len() as u32));
    }

    fn cut(&mut self, sink: &mut dyn FnMut(StreamItem<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut done = 0;
        loop {
            let rest = self.in_order.get(done..).unwrap_or_default();
            match message_length(rest) {
                Ok(Some(length)) if length <= rest.len() => {
                    let (message, _) = rest.split_at(length);
                    done += length;
                    self.carried = true;
                    sink(Ok(message))?;
                }
                Ok(_) => break,
                Err(_) => {
                    // Streams that never carried IPFIX are other people's, and no fault.
                    let carried = self.carried;
                    self.end();
                    return if carried { sink(Err("not_ipfix")) } else { Ok(()) };
                }
            }
        }
        self.in_order.drain(..done);
        Ok(())
    }

    fn end(&mut self) {
        *self = Stream {
            over: true,
            ..Stream::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(domain: u8) -> Vec<u8> {
        let mut bytes = vec![0; 20];
        bytes[1] = 10;
        bytes[3] = 20;
        bytes[15] = domain;
        bytes
    }

    fn segments(parts: &[(u32, &[u8])]) -> (Vec<u8>, Vec<&'static str>) {
        let ends = ("10.0.0.1:5000".parse().unwrap(), "10.0.0.2:4739".parse().unwrap());
        let mut streams = TcpStreams::default();
        let (mut domains, mut faults) = (Vec::new(), Vec::new());
        for (sequence, payload) in parts {
            let flags = if payload.is_empty() {
                TcpFlags::SYN
            } else {
                TcpFlags::ACK
            };
            let tcp = Tcp {
                sequence: *sequence,
                acknowledgment: 0,
                flags,
                window: None,
                options: &[],
            };
            streams
                .handle_segment(ends, &tcp, payload, &mut |item| {
                    match item {
                        Ok(bytes) => domains.push(bytes[15]),
                        Err(reason) => faults.push(reason),
                    }
                    Ok(())
                })
                .unwrap();
        }
        (domains, faults)
    }

    #[test]
    fn segments_out_of_order_and_twice_give_each_message_once() {
        let bytes: Vec<u8> = (1..=4).flat_map(message).collect();
        let start = u32::MAX - 10;
        let at = |from: usize| start.wrapping_add(1 + from as u32);
        let parts: &[(u32, &[u8])] = &[
            (start, &[]),
            (at(0), &bytes[..15]),
            (at(50), &bytes[50..]),
            (at(0), &bytes[..15]),
            (at(30), &bytes[30..50]),
            (at(10), &bytes[10..35]),
        ];
        assert_eq!(segments(parts), (vec![1, 2, 3, 4], vec![]));
    }

    #[test]
    fn other_streams_are_passed_over_and_broken_ones_told() {
        assert_eq!(segments(&[(1, b"GET / HTTP/1.1"), (15, &message(1))]), (vec![], vec![]));
        let broken = [message(1), b"oops".to_vec()].concat();
        assert_eq!(segments(&[(1, &broken)]), (vec![1], vec!["not_ipfix"]));
    }
}

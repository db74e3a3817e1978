//! Datagrams made by hand from the specification, cut ones and arbitrary bytes. Captured ones are compared with another
//! decoder by the collector's tests.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::error::DecodeErrorKind;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn block(format: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = words(&[format, body.len() as u32]);
    bytes.extend_from_slice(body);
    bytes
}

/// Header of agent 192.0.2.1, sub-agent 7, datagram 11, up for 5 s.
fn datagram(samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = words(&[5, 1, 0xc000_0201, 7, 11, 5000, samples.len() as u32]);
    samples.iter().for_each(|sample| bytes.extend_from_slice(sample));
    bytes
}

fn flow_sample(records: &[Vec<u8>]) -> Vec<u8> {
    // Source: class 0, index 3. One in 400. Came by interface 3, discarded for reason 2.
    let mut body = words(&[1, 3, 400, 800, 0, 3, 1 << 30 | 2, records.len() as u32]);
    records.iter().for_each(|record| body.extend_from_slice(record));
    block(1, &body)
}

#[test]
fn a_flow_sample_is_read_with_its_records() {
    let gateway = words(&[
        1,
        0x0a00_0001,
        64500,
        64501,
        64502,
        2,
        2,
        2,
        64510,
        64511,
        1,
        1,
        64512,
        1,
        0x0001_0002,
        100,
    ]);
    let mut header = words(&[1, 68, 4, 5]);
    header.extend_from_slice(&[1, 2, 3, 4, 5, 0, 0, 0]);
    let bytes = datagram(&[flow_sample(&[
        block(1, &header),
        block(1003, &gateway),
        block(4242 << 12 | 9, &[1, 2, 3, 4]),
    ])]);
    let datagram = Datagram::parse(&bytes).unwrap();
    assert_eq!(datagram.agent, Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
    assert_eq!(
        (datagram.sub_agent, datagram.sequence, datagram.uptime_ms),
        (7, 11, 5000)
    );
    let samples: Vec<_> = datagram.samples().map(Result::unwrap).collect();
    let [Sample::Flow(sample)] = &samples[..] else {
        panic!("{samples:?}")
    };
    assert_eq!((sample.source.class, sample.source.index), (0, 3));
    assert_eq!((sample.sampling_rate, sample.sample_pool), (400, 800));
    assert_eq!(
        (sample.input, sample.output),
        (Interface::Index(3), Interface::Discarded(2))
    );
    let records: Vec<_> = sample.records.clone().map(Result::unwrap).collect();
    let [
        FlowRecord::Header(raw),
        FlowRecord::Gateway {
            path,
            src_as,
            communities,
            ..
        },
        FlowRecord::Other { format, body },
    ] = &records[..]
    else {
        panic!("{records:?}")
    };
    assert_eq!(
        (raw.frame_length, raw.stripped, raw.header),
        (68, 4, &[1, 2, 3, 4, 5][..])
    );
    assert_eq!(path.numbers().collect::<Vec<_>>(), [64510, 64511, 64512]);
    assert_eq!((*src_as, path.last(), communities.len()), (64501, Some(64512), 4));
    assert_eq!(
        (format.enterprise(), format.number(), *body),
        (4242, 9, &[1, 2, 3, 4][..])
    );
}

#[test]
fn a_record_that_cannot_be_read_costs_only_itself() {
    let bytes = datagram(&[
        flow_sample(&[block(1002, &words(&[9, 0])), block(1020, &words(&[80, 8080]))]),
        flow_sample(&[]),
    ]);
    let datagram = Datagram::parse(&bytes).unwrap();
    let samples: Vec<_> = datagram.samples().map(Result::unwrap).collect();
    assert_eq!(samples.len(), 2);
    let Sample::Flow(sample) = &samples[0] else { panic!() };
    let records: Vec<_> = sample.records.clone().collect();
    assert_eq!(records[0].unwrap_err().kind, DecodeErrorKind::AddressType);
    assert_eq!(records[1], Ok(FlowRecord::NatPort { src: 80, dst: 8080 }));
}

#[test]
fn a_cut_datagram_gives_what_is_whole_and_one_error() {
    let bytes = datagram(&[flow_sample(&[]), flow_sample(&[])]);
    let cut = &bytes[..bytes.len() - 4];
    let samples: Vec<_> = Datagram::parse(cut).unwrap().samples().collect();
    assert!(samples[0].is_ok());
    assert_eq!(samples[1].as_ref().unwrap_err().kind, DecodeErrorKind::Truncated);
    assert_eq!(samples.len(), 2);
    for length in 0..28 {
        assert_eq!(
            Datagram::parse(&bytes[..length]).unwrap_err().kind,
            DecodeErrorKind::Truncated,
            "{length}"
        );
    }
}

#[test]
fn interfaces_have_forms() {
    let sample = |interface: u32| {
        let bytes = datagram(&[block(1, &words(&[1, 3, 400, 800, 0, interface, 0, 0]))]);
        let sample = Datagram::parse(&bytes).unwrap().samples().next().unwrap().unwrap();
        let Sample::Flow(sample) = sample else { panic!() };
        sample.input
    };
    assert_eq!(sample(0x3fff_ffff), Interface::Internal);
    assert_eq!(sample(2 << 30 | 4), Interface::Several(4));
    assert_eq!(sample(3 << 30), Interface::Other(3, 0));
    assert_eq!(sample(70_000), Interface::Index(70_000));
}

/// Walks everything there is and counts it.
fn walk(bytes: &[u8]) -> (usize, usize) {
    let Ok(datagram) = Datagram::parse(bytes) else {
        return (0, 0);
    };
    let (mut samples, mut records) = (0, 0);
    for sample in datagram.samples() {
        samples += 1;
        match sample {
            Ok(
                Sample::Flow(FlowSample { records: list, .. })
                | Sample::Discarded(DiscardedPacket { records: list, .. }),
            ) => {
                for record in list {
                    records += 1;
                    if let Ok(FlowRecord::Gateway { path, .. }) = record {
                        assert!(path.numbers().count() * 4 <= bytes.len());
                    }
                }
            }
            Ok(Sample::Counters(sample)) => records += sample.records.count(),
            Ok(Sample::Unknown { .. }) | Err(_) => {}
        }
    }
    (samples, records)
}

proptest! {
    #[test]
    fn any_octets_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), is_headed: bool) {
        if is_headed && bytes.len() > 28 {
            bytes[..28].copy_from_slice(&words(&[5, 1, 1, 0, 0, 0, u32::MAX]));
        }
        let (samples, records) = walk(&bytes);
        // Each sample has a header of eight octets, the last one may be the error.
        prop_assert!(samples <= bytes.len() / 8 + 1);
        prop_assert!(records <= bytes.len() / 8 + samples);
    }

    #[test]
    fn any_change_to_a_sound_datagram_ends(at in 0usize..200, octet: u8) {
        let mut bytes = datagram(&[
            flow_sample(&[block(1003, &words(&[1, 1, 1, 1, 1, 2, 2, 2, 1, 2, 1, 1, 3, 1, 5, 100]))]),
            block(4, &words(&[1, 0, 9, 1, 1, 8, 1, 2])),
        ]);
        let at = at % bytes.len();
        bytes[at] = octet;
        walk(&bytes);
    }
}

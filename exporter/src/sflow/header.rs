//! What sFlow shows of a frame: a header protocol, octets from there on, and how long all of it was on the wire.
//!
//! Lengths of frames count the check sequence (4 octets), which captures lack: it is declared as stripped, as section 5 of
//! the specification has it. What a capture puts in front of a packet was never on the wire and counts nowhere.

use flowgauge_templates::packet::LinkType;

/// Octets of the frame check sequence.
const CHECK_OCTETS: u32 = 4;

/// VLAN id and priority of the outermost tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// 12 bits.
    pub vlan: u16,
    /// 3 bits.
    pub priority: u16,
}

/// Numbers of header protocols.
mod protocol {
    pub const ETHERNET: u32 = 1;
    pub const TOKEN_RING: u32 = 3;
    pub const FDDI: u32 = 4;
    pub const IPV4: u32 = 11;
    pub const IPV6: u32 = 12;
    pub const MPLS: u32 = 13;
    pub const WIRELESS: u32 = 15;
}

/// A sampled header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampledHeader<'f> {
    /// How the octets begin.
    pub protocol: u32,
    /// Octets on the wire, the check sequence and what is stripped included.
    pub frame_length: u32,
    /// Octets of these that are not there.
    pub stripped: u32,
    /// What was captured.
    pub octets: &'f [u8],
    /// The tag, on the frame or stripped from it.
    pub tag: Option<Tag>,
}

impl<'f> SampledHeader<'f> {
    /// The header of a frame; none where sFlow has no format for its link.
    pub fn of(link_type: LinkType, octets: &'f [u8], wire_length: u32) -> Option<SampledHeader<'f>> {
        let wire_length = wire_length.max(u32::try_from(octets.len()).unwrap_or(u32::MAX));
        let framed = |protocol, least: usize| {
            (octets.len() >= least).then(|| SampledHeader {
                protocol,
                frame_length: wire_length.saturating_add(CHECK_OCTETS),
                stripped: CHECK_OCTETS,
                octets,
                tag: None,
            })
        };
        match link_type {
            LinkType::ETHERNET => framed(protocol::ETHERNET, 14).map(|header| SampledHeader {
                tag: tag(octets, 12),
                ..header
            }),
            LinkType::TOKEN_RING => framed(protocol::TOKEN_RING, 14),
            LinkType::FDDI => framed(protocol::FDDI, 13),
            LinkType::IEEE802_11 => framed(protocol::WIRELESS, 10),
            LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 | LinkType::IPV4 | LinkType::IPV6 => {
                packet(octets, wire_length, 0)
            }
            LinkType::NULL | LinkType::LOOP => packet(octets, wire_length, 4),
            LinkType::LINUX_SLL => cooked(octets, wire_length, 16, 14),
            LinkType::LINUX_SLL2 => cooked(octets, wire_length, 20, 0),
            _ => None,
        }
    }
}

/// The tag whose EtherType is here.
fn tag(octets: &[u8], at: usize) -> Option<Tag> {
    let [kind, value] = [at, at + 2].map(|at| word(octets, at));
    let value = value?;
    matches!(kind?, 0x8100 | 0x88a8 | 0x9100).then_some(Tag {
        vlan: value & 0xfff,
        priority: value >> 13,
    })
}

fn word(octets: &[u8], at: usize) -> Option<u16> {
    let octets = octets.get(at..at + 2)?;
    octets.try_into().ok().map(u16::from_be_bytes)
}

/// An IP packet behind so many octets of the capture.
fn packet(octets: &[u8], wire_length: u32, skip: usize) -> Option<SampledHeader<'_>> {
    let packet = octets.get(skip..)?;
    let protocol = match packet.first()? >> 4 {
        4 if packet.len() >= 20 => protocol::IPV4,
        6 if packet.len() >= 40 => protocol::IPV6,
        _ => return None,
    };
    Some(SampledHeader {
        protocol,
        frame_length: wire_length.saturating_sub(skip as u32),
        stripped: 0,
        octets: packet,
        tag: None,
    })
}

/// A packet behind a header that Linux makes in place of the link's own; tags that it has left are taken off.
fn cooked(octets: &[u8], wire_length: u32, header: usize, kind_at: usize) -> Option<SampledHeader<'_>> {
    let mut kind = word(octets, kind_at)?;
    let (mut at, mut outer) = (header, None);
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100) && at < header + 8 {
        let value = word(octets, at)?;
        outer.get_or_insert(Tag {
            vlan: value & 0xfff,
            priority: value >> 13,
        });
        kind = word(octets, at + 2)?;
        at += 4;
    }
    let stripped = (at - header) as u32;
    let found = match kind {
        0x0800 | 0x86dd => packet(octets, wire_length, at),
        0x8847 | 0x8848 => octets.get(at..).map(|packet| SampledHeader {
            protocol: protocol::MPLS,
            frame_length: wire_length.saturating_sub(at as u32),
            stripped: 0,
            octets: packet,
            tag: None,
        }),
        _ => None,
    };
    found.map(|header| SampledHeader {
        frame_length: header.frame_length + stripped,
        stripped,
        tag: outer,
        ..header
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(tags: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(tags);
        frame.extend([8, 0, 0x45]);
        frame.resize(80, 0);
        frame
    }

    #[test]
    fn frames_count_their_check_sequence() {
        let frame = ethernet(&[]);
        let header = SampledHeader::of(LinkType::ETHERNET, &frame, 1514).unwrap();
        assert_eq!((header.protocol, header.frame_length, header.stripped), (1, 1518, 4));
        assert_eq!((header.octets.len(), header.tag), (80, None));
        let frame = ethernet(&[0x81, 0, 0x60, 0x64]);
        let header = SampledHeader::of(LinkType::ETHERNET, &frame, 80).unwrap();
        assert_eq!(header.tag, Some(Tag { vlan: 100, priority: 3 }));
        assert_eq!(SampledHeader::of(LinkType::ETHERNET, &frame[..13], 60), None);
    }

    #[test]
    fn what_the_capture_puts_in_front_counts_nowhere() {
        let mut packet = vec![0x45; 20];
        let of = |link, octets: &[u8]| {
            let header = SampledHeader::of(link, octets, octets.len() as u32 + 100).unwrap();
            (
                header.protocol,
                header.frame_length,
                header.stripped,
                header.octets.len(),
                header.tag,
            )
        };
        assert_eq!(of(LinkType::RAW, &packet), (11, 120, 0, 20, None));
        packet.splice(0..0, [2, 0, 0, 0]);
        assert_eq!(of(LinkType::NULL, &packet), (11, 120, 0, 20, None));
        let mut cooked = vec![0; 14];
        cooked.extend([0x81, 0, 0x20, 5, 8, 0]);
        cooked.extend([0x45; 20]);
        let tag = Some(Tag { vlan: 5, priority: 1 });
        assert_eq!(of(LinkType::LINUX_SLL, &cooked), (11, 124, 4, 20, tag));
        let mut cooked = vec![0x86, 0xdd];
        cooked.resize(20, 0);
        cooked.extend([0x60; 40]);
        assert_eq!(of(LinkType::LINUX_SLL2, &cooked), (12, 140, 0, 40, None));
        let mut cooked = vec![0x88, 0x47];
        cooked.resize(30, 0);
        assert_eq!(of(LinkType::LINUX_SLL2, &cooked), (13, 110, 0, 10, None));
    }

    #[test]
    fn links_without_a_format_have_no_header() {
        let mut arp = vec![8, 6];
        arp.resize(60, 0);
        for (link, octets) in [
            (LinkType::LINUX_SLL2, &arp[..]),
            (LinkType::RAW, &[0x55; 60][..]),
            (LinkType::NULL, &[2, 0][..]),
            (LinkType::NFLOG, &[0x45; 60][..]),
            (LinkType::LINUX_SLL, &[][..]),
        ] {
            assert_eq!(SampledHeader::of(link, octets, 60), None);
        }
    }
}

//! Sequence numbers of Messages that are numbered when they are sent (RFC 7011 section 3.1): each stream of a session counts
//! the Data Records of each Observation Domain.

use crate::exporting::Outgoing;

/// Streams that count. Only SCTP has more than one.
pub(super) const STREAMS: u16 = 2;

/// Sequence numbers of each stream and Observation Domain.
#[derive(Debug, Default)]
pub(super) struct Sequences(Vec<(u32, [u32; STREAMS as usize])>);

impl Sequences {
    /// Puts the stream's own number into the Message's header.
    pub fn number(&mut self, stream: u16, message: &mut Outgoing) {
        let Some(Ok(domain)) = message.bytes.get(12..16).map(<[u8; 4]>::try_from) else {
            return;
        };
        let domain = u32::from_be_bytes(domain);
        // An exporter has two: that of the flows, and 0 for its statistics.
        let place = self.0.iter().position(|(of, _)| *of == domain).unwrap_or_else(|| {
            self.0.push((domain, [0; STREAMS as usize]));
            self.0.len() - 1
        });
        let next = self
            .0
            .get_mut(place)
            .and_then(|(_, next)| next.get_mut(usize::from(stream)));
        if let (Some(next), Some(field)) = (next, message.bytes.get_mut(8..12)) {
            field.copy_from_slice(&next.to_be_bytes());
            *next = next.wrapping_add(message.records);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporting::Content;

    #[test]
    fn each_stream_and_domain_counts_for_itself() {
        let mut sequences = Sequences::default();
        let mut numbered = |domain: u8, stream, records| {
            let mut message = Outgoing {
                bytes: vec![0; 20],
                flow_records: records,
                records,
                content: Content::Flows,
                first_record: 0,
            };
            message.bytes[15] = domain;
            sequences.number(stream, &mut message);
            u32::from_be_bytes(message.bytes[8..12].try_into().unwrap())
        };
        assert_eq!([numbered(7, 1, 5), numbered(7, 0, 3), numbered(7, 1, 1)], [0, 0, 5]);
        assert_eq!([numbered(7, 0, 1), numbered(7, 1, 1), numbered(0, 1, 1)], [3, 6, 0]);
    }
}

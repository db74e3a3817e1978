//! An export packet of version 9 while it is being filled: its header, its FlowSets and its count (RFC 3954 section 5).

use super::uptime::PacketTime;

/// Octets of the header.
pub const HEADER_OCTETS: usize = 20;
/// Octets of a FlowSet's header.
const SET_OCTETS: usize = 4;
/// FlowSets begin at multiples of this.
const ALIGNMENT: usize = 4;

/// The open packet; empty while none is open.
#[derive(Debug, Default)]
pub struct Packet {
    bytes: Vec<u8>,
    /// Where the open FlowSet begins, and its number.
    set: Option<(usize, u16)>,
    /// Templates and records.
    count: u16,
    /// Flow Records of ours that ended in it, and records of flows.
    pub flow_records: u32,
    pub flows: u32,
}

impl Packet {
    /// Whether there is something in it.
    pub fn is_open(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Octets with its FlowSets filled up.
    pub fn octets(&self) -> usize {
        self.bytes.len().next_multiple_of(ALIGNMENT)
    }

    /// Octets with records of `sizes` in these FlowSets behind.
    pub fn octets_with(&self, sizes: impl IntoIterator<Item = (u16, usize)>) -> usize {
        let mut octets = self.bytes.len().max(HEADER_OCTETS);
        let mut set = self.set.map(|(_, id)| id);
        for (id, size) in sizes {
            if set != Some(id) {
                octets = octets.next_multiple_of(ALIGNMENT) + SET_OCTETS;
                set = Some(id);
            }
            octets += size;
        }
        octets.next_multiple_of(ALIGNMENT)
    }

    /// Begins a record in a FlowSet, in the open one if it is that, and counts it.
    #[inline]
    pub fn record(&mut self, set: u16) -> &mut Vec<u8> {
        if self.set.is_none_or(|(_, open)| open != set) {
            self.begin_set(set);
        }
        self.count = self.count.saturating_add(1);
        &mut self.bytes
    }

    fn begin_set(&mut self, set: u16) {
        self.end_set();
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_OCTETS, 0);
        }
        self.set = Some((self.bytes.len(), set));
        self.bytes.extend(set.to_be_bytes());
        self.bytes.extend([0; 2]);
    }

    /// "The Exporter SHOULD insert some padding bytes so that the subsequent FlowSet starts at a 4-byte aligned boundary."
    pub fn end_set(&mut self) {
        let Some((start, _)) = self.set.take() else { return };
        self.bytes.resize(self.octets(), 0);
        let length = (self.bytes.len() - start) as u16;
        self.put(start + 2, length.to_be_bytes());
    }

    fn put<const N: usize>(&mut self, at: usize, octets: [u8; N]) {
        if let Some(place) = self.bytes.get_mut(at..at + N) {
            place.copy_from_slice(&octets);
        }
    }

    /// Writes the header and gives the packet away; `buffer` is for the next one.
    pub fn finish(&mut self, time: PacketTime, sequence: u32, domain: u32, mut buffer: Vec<u8>) -> Vec<u8> {
        self.end_set();
        self.put(0, 9u16.to_be_bytes());
        self.put(2, self.count.to_be_bytes());
        self.put(4, time.uptime_ms().to_be_bytes());
        self.put(8, time.seconds().to_be_bytes());
        self.put(12, sequence.to_be_bytes());
        self.put(16, domain.to_be_bytes());
        buffer.clear();
        self.count = 0;
        self.flow_records = 0;
        self.flows = 0;
        std::mem::replace(&mut self.bytes, buffer)
    }
}

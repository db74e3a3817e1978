//! A datagram under construction: samples until the path takes no more, and a header that is filled in when it leaves.

use std::net::IpAddr;

use super::clock::Moment;
use super::xdr::Xdr;

const VERSION: u32 = 5;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// agent_address.
    pub agent: IpAddr,
    /// sub_agent_id.
    pub sub_agent: u32,
}

/// Samples that leave together.
#[derive(Debug)]
pub struct Datagram {
    identity: Identity,
    most: usize,
    /// Samples, each behind its format and length.
    samples: Vec<u8>,
    count: u32,
    /// When the first of them came.
    began: Option<Moment>,
    sequence: u32,
    sent: Vec<u8>,
}

impl Datagram {
    /// Without samples; at most this many octets.
    pub fn new(identity: Identity, most: usize) -> Datagram {
        Datagram {
            identity,
            most,
            samples: Vec::with_capacity(most),
            count: 0,
            began: None,
            sequence: 0,
            sent: Vec::with_capacity(most),
        }
    }

    /// The octets of one sample that there can be at most, its format and length not counted.
    pub fn room(&self) -> usize {
        self.most - self.header_octets() - 8
    }

    /// Whether there is no sample yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many samples there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether a sample of so many octets goes into it as well.
    pub fn takes(&self, octets: usize) -> bool {
        self.header_octets() + self.samples.len() + 8 + octets <= self.most
    }

    /// When the first sample came; none without any.
    pub fn began(&self) -> Option<Moment> {
        self.began
    }

    /// One more sample, which comes now.
    pub fn push(&mut self, now: Moment, format: u32, sample: &[u8]) {
        self.began.get_or_insert(now);
        let mut xdr = Xdr(&mut self.samples);
        xdr.word(format);
        xdr.opaque(sample, usize::MAX);
        self.count += 1;
    }

    /// The octets to send; what comes next goes into a new one.
    pub fn finish(&mut self, uptime_ms: u32) -> &[u8] {
        self.sequence = self.sequence.wrapping_add(1);
        self.sent.clear();
        let mut xdr = Xdr(&mut self.sent);
        xdr.word(VERSION);
        address(&mut xdr, self.identity.agent);
        xdr.words(&[self.identity.sub_agent, self.sequence, uptime_ms, self.count]);
        self.sent.extend_from_slice(&self.samples);
        self.samples.clear();
        (self.count, self.began) = (0, None);
        &self.sent
    }

    fn header_octets(&self) -> usize {
        match self.identity.agent {
            IpAddr::V4(_) => 28,
            IpAddr::V6(_) => 40,
        }
    }
}

fn address(xdr: &mut Xdr<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            xdr.word(1);
            xdr.fixed(&address.octets());
        }
        IpAddr::V6(address) => {
            xdr.word(2);
            xdr.fixed(&address.octets());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fill_it_to_the_octet() {
        for (agent, header) in [("192.0.2.1", 28), ("2001:db8::1", 40)] {
            let identity = Identity {
                agent: agent.parse().unwrap(),
                sub_agent: 7,
            };
            let mut datagram = Datagram::new(identity, 200);
            assert_eq!(datagram.room(), 200 - header - 8);
            assert!(datagram.takes(datagram.room()) && !datagram.takes(datagram.room() + 4));
            let [first, second] = [1, 2].map(Moment);
            datagram.push(first, 1, &[9; 40]);
            let left = 200 - header - 48 - 8;
            assert!(datagram.takes(left) && !datagram.takes(left + 1));
            datagram.push(second, 2, &vec![8; left]);
            assert_eq!((datagram.began(), datagram.count()), (Some(first), 2));
            assert_eq!(datagram.finish(5).len(), 200);
            assert!(datagram.is_empty() && datagram.began().is_none());
            // Empty ones say that the agent is there; each has the next number.
            let octets = datagram.finish(0x01_02_03_04).to_vec();
            assert_eq!(octets.len(), header);
            assert_eq!(octets[header - 16..], [0, 0, 0, 7, 0, 0, 0, 2, 1, 2, 3, 4, 0, 0, 0, 0]);
        }
    }
}

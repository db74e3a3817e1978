//! What makes datagrams of records, so that one way of sending serves every protocol over UDP.

use super::{ExportingProcess, Loss, Statistics, Volume};
use crate::metering::Records;

/// What one datagram carries away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The octets.
    pub bytes: Vec<u8>,
    /// Flow Records that have left with it.
    pub flow_records: u32,
    /// Records of any kind in it.
    pub records: u32,
}

/// Makes datagrams: the Exporting Process of IPFIX, and those of NetFlow.
pub trait Encoder {
    /// Encodes a batch. Every datagram that is then ready is of it, or of options.
    fn handle_records(&mut self, now_ns: i64, records: &Records);

    /// Encodes the statistics of the exporter, where the protocol has a place for them.
    fn handle_statistics(&mut self, now_ns: i64, statistics: &Statistics);

    /// Lets time pass. Says whether statistics are due.
    fn handle_timeout(&mut self, now_ns: i64) -> bool;

    /// The next datagram.
    fn poll_message(&mut self) -> Option<Datagram>;

    /// Octets of those that [`Self::poll_message`] will give, in its order.
    fn ready(&self) -> impl Iterator<Item = usize>;

    /// Gives a buffer back.
    fn recycle(&mut self, buffer: Vec<u8>);

    /// Records that went out with less than they have since this was last asked.
    fn take_reduced(&mut self) -> u64;

    /// Records that no datagram will carry since this was last asked, and why.
    fn take_refused(&mut self) -> [(Loss, Volume); 2];
}

impl Encoder for ExportingProcess {
    fn handle_records(&mut self, now_ns: i64, records: &Records) {
        ExportingProcess::handle_records(self, now_ns, records, 0);
    }

    fn handle_statistics(&mut self, now_ns: i64, statistics: &Statistics) {
        ExportingProcess::handle_statistics(self, now_ns, statistics);
    }

    fn handle_timeout(&mut self, now_ns: i64) -> bool {
        ExportingProcess::handle_timeout(self, now_ns)
    }

    fn poll_message(&mut self) -> Option<Datagram> {
        ExportingProcess::poll_message(self).map(|message| Datagram {
            bytes: message.bytes,
            flow_records: message.flow_records,
            records: message.records,
        })
    }

    fn ready(&self) -> impl Iterator<Item = usize> {
        ExportingProcess::ready(self).map(|message| message.bytes.len())
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        ExportingProcess::recycle(self, buffer);
    }

    fn take_reduced(&mut self) -> u64 {
        ExportingProcess::take_reduced(self)
    }

    fn take_refused(&mut self) -> [(Loss, Volume); 2] {
        let volume = Volume {
            flows: ExportingProcess::take_refused(self),
            ..Volume::default()
        };
        [(Loss::Failed, volume), (Loss::NotExpressible, Volume::default())]
    }
}

//! NetFlow over UDP: the datagrams of [`crate::exporting::netflow`], sent as those of IPFIX are.

use std::sync::Arc;

use super::destination::Context;
use super::udp::Udp;
use crate::config::{Destination, Endpoint};
use crate::exporting::DestinationAccounts;
use crate::exporting::netflow::{NetFlow5, NetFlow9, NetFlowConfig, faults};

impl Context {
    fn netflow(&self) -> NetFlowConfig {
        NetFlowConfig {
            domain: self.config.domain,
            max_octets: usize::from(self.config.mtu),
            template_refresh_s: u32::try_from(self.config.template_refresh.as_secs())
                .unwrap_or(u32::MAX)
                .max(1),
            template_refresh_messages: self.config.template_refresh_messages,
            from_files: self.from_files,
        }
    }
}

/// A collector of version 9.
pub fn version9(endpoint: &Endpoint, context: &Context, accounts: Arc<DestinationAccounts>) -> Udp<NetFlow9> {
    warn(&Destination::NetFlow9(endpoint.clone()), context);
    let encoder = NetFlow9::new(context.netflow(), &context.selectors);
    Udp::with(encoder, endpoint, context, accounts)
}

/// A collector of version 5.
pub fn version5(endpoint: &Endpoint, context: &Context, accounts: Arc<DestinationAccounts>) -> Udp<NetFlow5> {
    warn(&Destination::NetFlow5(endpoint.clone()), context);
    let encoder = NetFlow5::new(context.netflow(), &context.selectors);
    Udp::with(encoder, endpoint, context, accounts)
}

/// Says once what this collector will never be told right.
fn warn(destination: &Destination, context: &Context) {
    let is_v5 = matches!(destination, Destination::NetFlow5(_));
    for fault in faults(is_v5, context.config.domain, &context.selectors) {
        tracing::warn!("{destination}: {fault}");
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::super::stories::{PATIENCE, batch, context, finish, start};
    use crate::exporting::Loss;

    /// A third of the batch is IPv6.
    const RECORDS: u64 = 300;

    #[test]
    fn each_record_leaves_or_is_counted() {
        for (scheme, exported, wordless) in [("netflow9", RECORDS, 0), ("netflow5", RECORDS * 2 / 3, RECORDS / 3)] {
            let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
            receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let context = context(PATIENCE);
            let worker = start(&format!("{scheme}://{}", receiver.local_addr().unwrap()), &context);
            worker.queue.push_waiting(1, batch(RECORDS as usize));
            let accounts = finish(worker, &context);
            assert_eq!(
                (accounts.exported, accounts.lost_total()),
                (exported, wordless),
                "{accounts}"
            );
            assert_eq!(accounts.lost_for(Loss::NotExpressible), wordless);
            let mut buffer = [0; 2048];
            let (mut datagrams, mut octets) = (0, 0);
            while let Ok(length) = receiver.recv(&mut buffer) {
                (datagrams, octets) = (datagrams + 1, octets + length as u64);
            }
            assert_eq!((datagrams, octets), (accounts.messages, accounts.octets));
        }
    }

    #[test]
    fn a_closed_port_is_told() {
        for scheme in ["netflow9", "netflow5"] {
            let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let context = context(PATIENCE);
            let worker = start(&format!("{scheme}://{address}"), &context);
            for _ in 0..3 {
                worker.queue.push_waiting(1, batch(RECORDS as usize));
                std::thread::sleep(Duration::from_millis(50));
            }
            let accounts = finish(worker, &context);
            assert!(
                accounts.lost_for(Loss::Refused) > 0 && accounts.send_errors > 0,
                "{accounts}"
            );
        }
    }
}

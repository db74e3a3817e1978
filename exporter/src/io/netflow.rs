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

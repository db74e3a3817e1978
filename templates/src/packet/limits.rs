//! Bounds that the bytes of a frame can reach, so that no frame costs more than a few dozen steps.

/// VLAN tags read on one frame (802.1Q and 802.1ad, any order). A frame with more is [`super::Fault::TagLimit`].
pub const MAX_VLAN_TAGS: usize = 8;

/// Headers followed below the network layer of one frame: tags, label stacks, sessions, frames in frames. More are
/// [`super::Fault::TagLimit`].
pub const MAX_LINK_LAYERS: usize = 16;

/// MPLS labels read in one stack. A deeper stack is [`super::Fault::TagLimit`].
pub const MAX_MPLS_LABELS: usize = 16;

/// IPv6 extension headers (and authentication headers) read in one packet. A longer chain is
/// [`super::Fault::ExtensionLimit`].
pub const MAX_EXTENSION_HEADERS: usize = 16;

/// Options looked at in one hop-by-hop header in search of a jumbo payload length (RFC 2675).
pub const MAX_HOP_BY_HOP_OPTIONS: usize = 16;

/// Tunnels opened around one packet. A packet that wraps yet another one is metered as it is, with
/// [`super::Fault::TunnelLimit`].
pub const MAX_TUNNELS: usize = 8;

/// Extension headers skipped in one GTP-U message. A message with more is not opened.
pub const MAX_GTP_EXTENSION_HEADERS: usize = 8;

/// Words of present bits read in one radiotap header. What follows more of them is not read as flags.
pub const MAX_RADIOTAP_WORDS: usize = 8;

/// Attributes looked at in one netfilter log message in search of the packet. Without it, [`super::Fault::NotIp`].
pub const MAX_NETFILTER_ATTRIBUTES: usize = 32;

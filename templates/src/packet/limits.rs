//! Bounds that the bytes of a frame can reach, so that no frame costs more than a few dozen steps.

/// VLAN tags read on one frame (802.1Q and 802.1ad, any order). A frame with more is [`super::Fault::TagLimit`].
pub const MAX_VLAN_TAGS: usize = 8;

/// MPLS labels read on one frame. A deeper stack is [`super::Fault::TagLimit`].
pub const MAX_MPLS_LABELS: usize = 16;

/// IPv6 extension headers (and authentication headers) read in one packet. A longer chain is
/// [`super::Fault::ExtensionLimit`].
pub const MAX_EXTENSION_HEADERS: usize = 16;

/// Options looked at in one hop-by-hop header in search of a jumbo payload length (RFC 2675).
pub const MAX_HOP_BY_HOP_OPTIONS: usize = 16;

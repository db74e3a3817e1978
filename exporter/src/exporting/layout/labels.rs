//! The MPLS labels below a flow, of the first packet of each direction that had some (RFC 3032).

use super::variant::*;
use crate::metering::labels::LabelRecord;

super::group! { |v, l: &LabelRecord|
    if v.has(LABELS) => {
        value MPLS_TOP_LABEL_STACK_SECTION[3] => section(l.top[0]);
        value MPLS_LABEL_STACK_DEPTH[1]       => [l.depth[0]];
    }
    if v.has(REVERSE_LABELS) => {
        value REVERSE_MPLS_TOP_LABEL_STACK_SECTION[3] => section(l.top[1]);
        value REVERSE_MPLS_LABEL_STACK_DEPTH[1]       => [l.depth[1]];
    }
}

/// Label, class and bottom of stack; the element leaves the time to live out.
fn section(entry: u32) -> [u8; 3] {
    let [a, b, c, _] = entry.to_be_bytes();
    [a, b, c]
}

//! What one biflow's record says about the MPLS labels below it (RFC 3032).

use flowgauge_templates::packet::Link;

use super::pool::{Pool, PoolPlace};

/// Label stacks of the first packet of each direction that had one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelRecord {
    /// Top entry, forward and reverse: 20 bits label, 3 bits class, bottom of stack, 8 bits time to live.
    pub top: [u32; 2],
    /// Entries of the stack, forward and reverse; 0 where there was none.
    pub depth: [u8; 2],
}

impl LabelRecord {
    fn keep(&mut self, link: &Link<'_>, way: usize) {
        if let (Some(depth @ 0), Some(top)) = (self.depth.get_mut(way), self.top.get_mut(way)) {
            *depth = link.mpls_labels;
            *top = link.mpls[0];
        }
    }
}

/// Where a flow's labels are, if it has any.
pub(super) type LabelPlace = PoolPlace;

/// The labels of all flows that have some.
pub(super) type Labels = Pool<LabelRecord>;

impl Labels {
    /// Keeps the stack of a packet, unless its direction has one already.
    #[cold]
    pub fn keep(&mut self, place: &mut LabelPlace, link: &Link<'_>, way: usize) {
        if *place == LabelPlace::NONE {
            *place = self.add(LabelRecord::default());
        }
        if let Some(record) = self.get_mut(*place) {
            record.keep(link, way);
        }
    }
}

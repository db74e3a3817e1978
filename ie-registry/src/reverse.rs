//! Reverse elements of biflows: IANA's under an enterprise number of their own, CERT's and ours by one bit (RFC 5103 section 6).

use crate::element::{CERT_PEN, FLOWGAUGE_PEN, REVERSE_BIT, REVERSE_PEN};
use crate::{Element, ElementId, Registry, table};

impl Registry {
    /// The number of the reverse counterpart of an element, where there is one.
    ///
    /// `None` for elements that are not reversible, for reverse elements themselves, and for vendors that
    /// have no rule ("No facility is provided for allocating reverse counterparts of enterprise-specific
    /// Information Elements", RFC 5103 section 6.2).
    pub fn reverse_id(id: ElementId) -> Option<ElementId> {
        if !table::element(id)?.reversible {
            return None;
        }
        match id.pen {
            0 => Some(ElementId::new(REVERSE_PEN, id.id)),
            CERT_PEN | FLOWGAUGE_PEN => Some(ElementId::new(id.pen, id.id | REVERSE_BIT)),
            _ => None,
        }
    }

    /// The number of the element that a reverse element is the counterpart of.
    pub fn forward_id(id: ElementId) -> Option<ElementId> {
        let forward = match id.pen {
            REVERSE_PEN => ElementId::iana(id.id),
            CERT_PEN | FLOWGAUGE_PEN if id.id & REVERSE_BIT != 0 => ElementId::new(id.pen, id.id & !REVERSE_BIT),
            _ => return None,
        };
        (Registry::reverse_id(forward)? == id).then_some(forward)
    }

    /// The reverse counterpart of an element: `packetDeltaCount` gives `reversePacketDeltaCount`.
    pub fn reverse_of(&self, element: &Element) -> Option<&Element> {
        self.element(Registry::reverse_id(element.id)?)
    }
}

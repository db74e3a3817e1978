//! Values of one record in the form in which they go out, put in as they are found.
//!
//! They stand in the order of the protocol's fields all the time, so that a record is one copy. The first value of a
//! field stays: a record tells of a conversation's first exchange.

use flowgauge_ie_registry::ElementId;

use super::protocol::{Field, Kind};
use super::text;
use crate::limits;

/// Values of one record. See [`super::Conversation`].
#[derive(Debug, Default)]
pub struct Values {
    fields: &'static [Field],
    present: u32,
    octets: Vec<u8>,
    /// Text under way.
    text: Vec<u8>,
    changed: bool,
    cut: u64,
}

impl Values {
    /// Begins the record of a protocol: every text empty, every number absent.
    pub(super) fn begin(&mut self, fields: &'static [Field]) {
        self.fields = fields;
        self.octets.clear();
        self.present = 0;
        for (at, field) in fields.iter().enumerate().take(32) {
            if matches!(field.kind, Kind::Text(_)) {
                self.present |= 1 << at;
                self.octets.push(0);
            }
        }
        self.changed = true;
    }

    /// Goes on with a record.
    pub(super) fn load(&mut self, fields: &'static [Field], present: u32, octets: &[u8]) {
        self.fields = fields;
        self.present = present;
        self.octets.clear();
        self.octets.extend_from_slice(octets);
        self.changed = false;
    }

    /// Whether anything was set since [`Values::begin`] or [`Values::load`].
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// How many texts were cut; starts at 0 again.
    pub(super) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }

    pub(super) fn present(&self) -> u32 {
        self.present
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Sets a text that is not set yet: what of `octets` is text, cut at the field's bound.
    pub fn set_text(&mut self, element: ElementId, octets: &[u8]) {
        let Some((at, Kind::Text(most))) = self.field(element) else {
            return;
        };
        let start = self.offset(at);
        if octets.is_empty() || self.octets.get(start) != Some(&0) {
            return;
        }
        // Three octets of length take the place of one.
        let room = limits::APPLICATION_VALUE_OCTETS.saturating_sub(self.octets.len() + 2);
        self.text.clear();
        if text::append(octets, room.min(usize::from(most)), &mut self.text) {
            self.cut += 1;
        }
        let length = self.text.len();
        let prefix = match u8::try_from(length) {
            Ok(short) if short < 255 => [short, 0, 0],
            _ => [255, (length >> 8) as u8, length as u8],
        };
        let prefix = prefix.into_iter().take(if length < 255 { 1 } else { 3 });
        self.octets.splice(start..start + 1, prefix.chain(self.text.drain(..)));
        self.changed = true;
    }

    /// Sets a number that is not set yet. Of `value`, the low octets go out.
    pub fn set_number(&mut self, element: ElementId, value: u64) {
        if let Some((_, Kind::Fixed(octets))) = self.field(element) {
            let all = value.to_be_bytes();
            let low = all.len().saturating_sub(usize::from(octets));
            self.set_octets(element, all.get(low..).unwrap_or_default());
        }
    }

    /// Sets a value of fixed size that is not set yet, such as an address. One of another size is left out.
    pub fn set_octets(&mut self, element: ElementId, value: &[u8]) {
        match self.field(element) {
            Some((at, Kind::Fixed(octets))) if usize::from(octets) == value.len() && self.present >> at & 1 == 0 => {
                let start = self.offset(at);
                self.octets.splice(start..start, value.iter().copied());
                self.present |= 1 << at;
                self.changed = true;
            }
            _ => {}
        }
    }

    /// Takes a value out, so that another one can be set in its place.
    pub fn clear(&mut self, element: ElementId) {
        let Some((at, kind)) = self.field(element).filter(|_| self.has(element)) else {
            return;
        };
        let start = self.offset(at);
        let end = self.offset(at + 1);
        match kind {
            Kind::Text(_) => {
                self.octets.splice(start..end, [0]);
            }
            Kind::Fixed(_) => {
                self.octets.drain(start..end);
                self.present &= !(1 << at);
            }
        }
        self.changed = true;
    }

    /// Whether a value is set.
    pub fn has(&self, element: ElementId) -> bool {
        match self.field(element) {
            Some((at, Kind::Text(_))) => self.octets.get(self.offset(at)).is_some_and(|length| *length != 0),
            Some((at, Kind::Fixed(_))) => self.present >> at & 1 != 0,
            None => false,
        }
    }

    fn field(&self, element: ElementId) -> Option<(usize, Kind)> {
        let at = self.fields.iter().take(32).position(|field| field.element == element)?;
        self.fields.get(at).map(|field| (at, field.kind))
    }

    /// Where the value of field `at` begins, or would.
    fn offset(&self, at: usize) -> usize {
        let before = self.fields.iter().enumerate().take(at);
        let present = before.filter(|(at, _)| self.present >> at & 1 != 0);
        present.fold(0, |offset, (_, field)| match field.kind {
            Kind::Fixed(octets) => offset + usize::from(octets),
            Kind::Text(_) => match self.octets.get(offset..offset + 3) {
                Some(&[255, high, low]) => offset + 3 + usize::from(u16::from_be_bytes([high, low])),
                _ => offset + 1 + self.octets.get(offset).map_or(0, |short| usize::from(*short)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use flowgauge_ie_registry::ids;

    use super::*;

    static FIELDS: &[Field] = &[
        Field::NAME,
        Field::fixed(ids::HTTP_STATUS_CODE, 2),
        Field::text(ids::HTTP_REQUEST_HOST, 300),
        Field::fixed(ids::DHCP_MESSAGE_TYPE, 1),
        Field::text(ids::HTTP_USER_AGENT, 600),
    ];

    #[test]
    fn values_stand_in_the_order_of_fields_whenever_they_come() {
        let mut values = Values::default();
        values.begin(FIELDS);
        assert_eq!((values.present(), values.octets()), (0b10101, &[0, 0, 0][..]));
        values.set_text(ids::HTTP_USER_AGENT, b"ua");
        values.set_number(ids::HTTP_STATUS_CODE, 0x1_0194);
        values.set_text(ids::APPLICATION_NAME, b"http");
        assert_eq!(values.octets(), b"\x04http\x01\x94\0\x02ua");
        assert_eq!(values.present(), 0b10111);
        values.set_octets(ids::DHCP_MESSAGE_TYPE, &[7]);
        values.set_octets(ids::DHCP_MESSAGE_TYPE, &[8]);
        values.set_octets(ids::HTTP_STATUS_CODE, &[1, 2, 3]);
        values.set_text(ids::HTTP_REQUEST_HOST, b"h");
        values.set_text(ids::HTTP_REQUEST_HOST, b"second");
        values.set_number(ids::ARP_OPERATION, 1);
        assert_eq!(values.octets(), b"\x04http\x01\x94\x01h\x07\x02ua");
        assert!(values.has(ids::HTTP_REQUEST_HOST) && !values.has(ids::ARP_OPERATION));
        assert_eq!(values.take_cut(), 0);
    }

    #[test]
    fn a_value_taken_out_makes_room_for_another() {
        let mut values = Values::default();
        values.begin(FIELDS);
        values.set_number(ids::HTTP_STATUS_CODE, 200);
        values.set_text(ids::HTTP_REQUEST_HOST, &[b'h'; 300]);
        values.set_text(ids::HTTP_USER_AGENT, b"ua");
        values.clear(ids::HTTP_REQUEST_HOST);
        values.clear(ids::HTTP_STATUS_CODE);
        values.clear(ids::DHCP_MESSAGE_TYPE);
        assert_eq!((values.present(), values.octets()), (0b10101, &b"\0\0\x02ua"[..]));
        values.set_number(ids::HTTP_STATUS_CODE, 404);
        values.set_text(ids::HTTP_REQUEST_HOST, b"x");
        assert_eq!(values.octets(), b"\0\x01\x94\x01x\x02ua");
    }

    /// RFC 7011 section 7: 255 and more octets have their length in three.
    #[test]
    fn long_texts_have_a_long_length_and_stop_at_the_bounds() {
        let mut values = Values::default();
        values.begin(FIELDS);
        values.set_text(ids::HTTP_REQUEST_HOST, &[b'a'; 500]);
        assert_eq!(&values.octets()[1..5], &[255, 1, 44, b'a']);
        assert_eq!(values.take_cut(), 1);
        values.set_number(ids::DHCP_MESSAGE_TYPE, 9);
        values.set_text(ids::HTTP_USER_AGENT, &[b'b'; 500]);
        assert_eq!(values.octets()[1 + 303], 9);
        assert!(values.octets().len() <= limits::APPLICATION_VALUE_OCTETS);
        let whole = values.octets().to_vec();
        let mut again = Values::default();
        again.load(FIELDS, values.present(), &whole);
        assert!(!again.changed());
        again.set_number(ids::HTTP_STATUS_CODE, 200);
        assert_eq!(again.octets()[..3], [0, 0, 200]);
        assert!(again.changed());
    }
}

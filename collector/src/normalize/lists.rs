//! Values in structured data (RFC 6313) that columns take: YAF puts what it inspected into lists.

use flowgauge_ie_registry::DataType;
use flowgauge_templates::ipfix::record::Records;
use flowgauge_templates::ipfix::{BasicList, SubTemplateList, SubTemplateMultiList};
use flowgauge_templates::limits::MAX_LIST_DEPTH;
use flowgauge_templates::text::TextContext;

use super::equivalents::Equivalents;
use super::row::Row;
use crate::limits::LIST_VALUES_PER_ROW;

/// Fills columns from the values of a list, the first that has one. Only equivalents are looked for: the address in a DNS
/// answer is not the flow's.
pub(super) fn look_into(
    data_type: DataType,
    octets: &[u8],
    text: TextContext<'_>,
    equivalents: &Equivalents,
    row: &mut Row,
) {
    let mut looking = Looking {
        text,
        equivalents,
        row,
        left: LIST_VALUES_PER_ROW,
    };
    looking.list(data_type, octets, 0);
}

struct Looking<'l> {
    text: TextContext<'l>,
    equivalents: &'l Equivalents,
    row: &'l mut Row,
    /// Values still looked at.
    left: usize,
}

impl Looking<'_> {
    fn list(&mut self, data_type: DataType, octets: &[u8], depth: usize) {
        if depth >= MAX_LIST_DEPTH {
            return;
        }
        match data_type {
            DataType::BasicList => self.basic_list(octets, depth),
            DataType::SubTemplateList => {
                if let Ok(list) = SubTemplateList::parse(octets) {
                    self.records_of(list.template_id, list.content(), depth);
                }
            }
            DataType::SubTemplateMultiList => {
                let Ok(list) = SubTemplateMultiList::parse(octets) else {
                    return;
                };
                for (template_id, content) in list.groups().map_while(Result::ok) {
                    self.records_of(template_id, content, depth);
                }
            }
            _ => {}
        }
    }

    fn basic_list(&mut self, octets: &[u8], depth: usize) {
        let Ok(list) = BasicList::parse(octets) else { return };
        let element = list.field.element;
        let known = self.text.registry.element(element);
        let data_type = known.map_or(DataType::OctetArray, |known| known.data_type);
        let equivalent = self.equivalents.of(element);
        if equivalent.is_none() && !data_type.is_list() {
            return;
        }
        for value in list.values().map_while(Result::ok) {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            match equivalent {
                Some(equivalent) => drop(equivalent.apply(data_type, value, self.row)),
                None => self.list(data_type, value, depth + 1),
            }
        }
    }

    fn records_of(&mut self, template_id: u16, content: &[u8], depth: usize) {
        let scope = self.text.scope;
        if let Some(template) = scope.template(template_id) {
            self.records(template.records(content), depth);
        }
    }

    fn records(&mut self, records: Records<'_, '_>, depth: usize) {
        let template = records.template();
        for record in records {
            for (field, (_, octets)) in template.fields().iter().zip(record.raw()) {
                if self.left == 0 {
                    return;
                }
                self.left -= 1;
                if let Some(equivalent) = self.equivalents.of(field.specifier.element) {
                    equivalent.apply(field.data_type, octets, self.row);
                } else if field.data_type.is_list() {
                    self.list(field.data_type, octets, depth + 1);
                }
            }
        }
    }
}

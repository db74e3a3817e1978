//! What options records say about the exporter itself: for now the names of its interfaces.

use std::net::IpAddr;
use std::sync::Arc;

use flowgauge_ie_registry::ElementId;
use flowgauge_templates::ipfix::{DataRecord, Template, Value};
use foldhash::{HashMap, HashMapExt as _};

use crate::limits::INTERFACE_NAMES;

const INGRESS_INTERFACE: ElementId = ElementId::iana(10);
const EGRESS_INTERFACE: ElementId = ElementId::iana(14);
const INTERFACE_NAME: ElementId = ElementId::iana(82);
const INTERFACE_DESCRIPTION: ElementId = ElementId::iana(83);

/// Interface names, by exporter, domain and index.
#[derive(Debug)]
pub(super) struct InterfaceNames {
    names: HashMap<(IpAddr, u32, u32), Arc<str>>,
    /// Names left out because there were too many.
    pub overflowed: u64,
}

impl Default for InterfaceNames {
    fn default() -> InterfaceNames {
        InterfaceNames {
            names: HashMap::new(),
            overflowed: 0,
        }
    }
}

impl InterfaceNames {
    /// Whether records of a template name interfaces.
    pub fn are_named_by(template: &Template) -> bool {
        let has = |wanted: &[ElementId]| {
            template
                .fields()
                .iter()
                .any(|field| wanted.contains(&field.specifier.element))
        };
        has(&[INGRESS_INTERFACE, EGRESS_INTERFACE]) && has(&[INTERFACE_NAME, INTERFACE_DESCRIPTION])
    }

    /// Learns from one record.
    pub fn learn(&mut self, exporter: IpAddr, domain: u32, record: &DataRecord<'_, '_>) {
        let (mut index, mut name, mut description) = (None, None, None);
        for (field, value) in record.fields() {
            match field.specifier.element {
                INGRESS_INTERFACE | EGRESS_INTERFACE => index = index.or(value.to_u64()),
                INTERFACE_NAME => name = text(&value),
                INTERFACE_DESCRIPTION => description = text(&value),
                _ => {}
            }
        }
        let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else {
            return;
        };
        let Some(name) = name.or(description) else { return };
        self.set(exporter, domain, index, &name);
    }

    /// Gives an interface its name.
    pub fn set(&mut self, exporter: IpAddr, domain: u32, index: u32, name: &str) {
        let key = (exporter, domain, index);
        if self.names.get(&key).is_some_and(|known| **known == *name) {
            return;
        }
        if self.names.len() >= INTERFACE_NAMES && !self.names.contains_key(&key) {
            self.overflowed += 1;
            return;
        }
        self.names.insert(key, name.into());
    }

    /// The name of an interface.
    pub fn name(&self, exporter: IpAddr, domain: u32, index: u64) -> Option<&Arc<str>> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(&(exporter, domain, u32::try_from(index).ok()?))
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    value
        .to_text()
        .map(|text| text.into_owned())
        .filter(|text| !text.is_empty())
}

//! The one place where a Flow Record becomes a template and octets: a file for each group of fields, a line for each field.
//!
//! A record has only fields that it can fill, so what is absent (a reverse direction, VLAN tags, a handshake RTT) picks
//! another template instead of a made-up 0. A group's table is written once for all [`Variant`]s: it expands to a
//! function that lists Field Specifiers and to one that writes the values by straight stores, in the same order. Groups
//! with Flow Keys come first, since flowKeyIndicator can name only the first 64 fields.
//!
//! Elements: IANA, reverse elements of RFC 5103 (enterprise 29305), and Flowgauge's own, whose reverse elements are its
//! own too. Counters that cannot fill 8 octets go out in 4 (RFC 7011 section 6.2).

mod application;
mod flow;
mod fold;
mod key;
mod labels;
mod reverse;
mod sampling;
mod tcp_performance;
#[cfg(test)]
mod tests;
mod tunnel;
pub mod variant;

use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter};

use crate::metering::application::ApplicationRecord;
use crate::metering::labels::LabelRecord;
use crate::metering::record::FlowRecord;
use crate::metering::sampling::Selector;
use crate::metering::tcp::TcpPerformance;
use crate::metering::tunnel::TunnelRecord;
use crate::metering::{FoldRecord, Records};
pub use variant::Variant;

/// A Flow Record with all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'r> {
    /// The record.
    pub record: &'r FlowRecord,
    /// The batch that it is from.
    pub records: &'r Records,
    /// Every Selector that may have chosen its packets.
    pub selectors: &'r [Selector],
}

impl<'r> Parts<'r> {
    #[inline]
    fn tcp(&self) -> Option<&'r TcpPerformance> {
        self.records.tcp(self.record)
    }

    #[inline]
    fn tunnel(&self) -> Option<&'r TunnelRecord> {
        self.records.tunnel(self.record)
    }

    #[inline]
    fn labels(&self) -> Option<&'r LabelRecord> {
        self.record.labels.of(&self.records.labels)
    }

    #[inline]
    fn application(&self) -> Option<(&'r ApplicationRecord, &'r [u8])> {
        self.records.application(self.record)
    }

    #[inline]
    fn fold(&self) -> Option<&'r FoldRecord> {
        self.record.fold.of(&self.records.folds)
    }

    /// None for the Selector that takes everything: then there is nothing to say.
    #[inline]
    fn selector(&self) -> Option<&'r Selector> {
        let id = self.record.selector;
        self.selectors.iter().find(|selector| selector.id == id && id != 0)
    }
}

/// A field of some variant's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field.
    pub specifier: FieldSpecifier,
    /// Whether it is a Flow Key.
    pub is_key: bool,
}

/// Expands the table of a group: `if condition { role ELEMENT[octets] => value as an array of that many octets; }`.
macro_rules! group {
    (|$variant:ident, $part:ident: &$type:ty| $(if $when:expr => { $($role:ident $element:ident [$octets:literal] => $value:expr;)* })*) => {
        /// Every field that some variant has.
        pub(super) static ALL_FIELDS: &[flowgauge_templates::ipfix::FieldSpecifier] = &[$($(
            flowgauge_templates::ipfix::FieldSpecifier::new(flowgauge_ie_registry::ids::$element, $octets)
        ),*),*];

        /// Appends the fields of the template for `variant`, in the order in which [`write`] writes them.
        pub(super) fn fields($variant: crate::exporting::layout::Variant, fields: &mut Vec<crate::exporting::layout::Field>) {
            $(if $when {
                $(fields.push(crate::exporting::layout::Field {
                    specifier: flowgauge_templates::ipfix::FieldSpecifier::new(flowgauge_ie_registry::ids::$element, $octets),
                    is_key: crate::exporting::layout::role::$role,
                });)*
            })*
        }

        /// Appends the values.
        #[inline]
        pub(super) fn write(
            $variant: crate::exporting::layout::Variant,
            $part: &$type,
            writer: &mut flowgauge_templates::ipfix::RecordWriter<'_>,
        ) {
            $(if $when {
                const OCTETS: usize = 0 $(+ $octets)*;
                // All places are constants within the array, so nothing is checked when it runs.
                writer.values::<OCTETS>(|room| {
                    let rest = &mut room[..];
                    $(
                        let (place, rest) = rest.split_at_mut($octets);
                        let value: [u8; $octets] = $value;
                        place.copy_from_slice(&value);
                    )*
                    let _ = rest;
                });
            })*
        }
    };
}
use group;

/// Whether a field is a Flow Key.
#[allow(non_upper_case_globals)] // words of the tables
mod role {
    pub const key: bool = true;
    pub const value: bool = false;
}

/// Every field that some variant has, those of applications included.
pub fn all_fields() -> impl Iterator<Item = FieldSpecifier> {
    [
        key::ALL_FIELDS,
        tunnel::ALL_FIELDS,
        labels::ALL_FIELDS,
        flow::ALL_FIELDS,
        reverse::ALL_FIELDS,
        fold::ALL_FIELDS,
        sampling::ALL_FIELDS,
        tcp_performance::BOTH_FIELDS,
        tcp_performance::FORWARD_FIELDS,
        tcp_performance::REVERSE_FIELDS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .chain(application::all_fields())
}

/// The fields of the template for `variant`, in the order in which [`write`] writes them.
pub fn fields(variant: Variant) -> Vec<Field> {
    let mut fields = Vec::new();
    key::fields(variant, &mut fields);
    tunnel::fields(variant, &mut fields);
    flow::fields(variant, &mut fields);
    reverse::fields(variant, &mut fields);
    labels::fields(variant, &mut fields);
    fold::fields(variant, &mut fields);
    sampling::fields(variant, &mut fields);
    tcp_performance::fields(variant, &mut fields);
    application::fields(variant, &mut fields);
    fields
}

/// The same without roles.
pub fn specifiers(variant: Variant) -> Vec<FieldSpecifier> {
    fields(variant).iter().map(|field| field.specifier).collect()
}

/// flowKeyIndicator of a template: bit n is set when field n is a Flow Key (RFC 7011 section 4.4).
pub fn flow_key_indicator(fields: &[Field]) -> u64 {
    fields.iter().take(64).enumerate().fold(0, |indicator, (place, field)| {
        indicator | u64::from(field.is_key) << place
    })
}

/// Appends the values of a record, which must be of `variant` or have more.
#[inline]
pub fn write(variant: Variant, parts: &Parts<'_>, writer: &mut RecordWriter<'_>) {
    let record = parts.record;
    key::write(variant, record, writer);
    if variant.has(variant::TUNNEL)
        && let Some(tunnel) = parts.tunnel()
    {
        tunnel::write(variant, tunnel, writer);
    }
    flow::write(variant, record, writer);
    if variant.has(variant::REVERSE) {
        reverse::write(variant, record, writer);
    }
    if let (true, Some(labels)) = (
        !variant.lacks(variant::LABELS | variant::REVERSE_LABELS),
        parts.labels(),
    ) {
        labels::write(variant, labels, writer);
    }
    if variant.lacks(variant::FOLD | variant::SELECTED | variant::PERFORMANCE | variant::APPLICATION) {
        return;
    }
    if let (true, Some(fold)) = (variant.has(variant::FOLD), parts.fold()) {
        fold::write(variant, fold, writer);
    }
    if let (true, Some(selector)) = (variant.has(variant::SELECTED), parts.selector()) {
        sampling::write(variant, selector, writer);
    }
    if let (true, Some(tcp)) = (variant.has(variant::PERFORMANCE), parts.tcp()) {
        tcp_performance::write(variant, tcp, writer);
    }
    if let (true, Some((_, values))) = (variant.has(variant::APPLICATION), parts.application()) {
        writer.bytes(values);
    }
}

//! The application of a flow: its protocol's table has the fields, and values come in the form in which they go out.

use flowgauge_templates::ipfix::FieldSpecifier;

use super::{Field, Variant};
use crate::metering::application::{PROTOCOLS, field_specifiers};

/// Every field of every protocol.
pub(super) fn all_fields() -> impl Iterator<Item = FieldSpecifier> {
    PROTOCOLS
        .iter()
        .flat_map(|protocol| protocol.about().fields.iter().map(|field| field.specifier()))
}

/// Appends the fields of the template for `variant`.
pub(super) fn fields(variant: Variant, fields: &mut Vec<Field>) {
    if let Some((protocol, present)) = variant.application() {
        fields.extend(field_specifiers(protocol, present).map(|specifier| Field {
            specifier,
            is_key: false,
        }));
    }
}

//! Addresses in the answers of DNS transactions, as our exporter sends them: lists within the transaction's record.

use flowgauge_ie_registry::{DataType, ids};
use flowgauge_templates::ipfix::SubTemplateList;
use flowgauge_templates::ipfix::list::TemplateScope as _;
use flowgauge_templates::ipfix::record::DataRecord;
use flowgauge_templates::ipfix::value::unsigned;
use flowgauge_templates::management::DomainTemplates;

use crate::limits::LIST_VALUES_PER_ROW;
use crate::normalize::row::ipv4_to_u128;

/// Calls `each` with every address and how many seconds it counts. What answers say of other names than the one asked for
/// belongs to it: they are the links of a chain (RFC 1034 section 3.6.2), and it is the name at its beginning that was asked for.
pub(super) fn addresses(record: &DataRecord<'_, '_>, scope: &DomainTemplates, each: &mut impl FnMut(u128, i64)) {
    let mut left = LIST_VALUES_PER_ROW;
    for (field, (_, octets)) in record.template().fields().iter().zip(record.raw()) {
        if field.data_type != DataType::SubTemplateList {
            continue;
        }
        let Ok(list) = SubTemplateList::parse(octets) else {
            continue;
        };
        let Some(template) = scope.template(list.template_id) else {
            continue;
        };
        let place = |elements: &[_]| {
            let fields = template.fields().iter();
            fields
                .enumerate()
                .find(|(_, field)| elements.contains(&field.specifier.element))
                .map(|(at, _)| at)
        };
        let Some(address) = place(&[ids::DNS_ANSWER_IPV4_ADDRESS, ids::DNS_ANSWER_IPV6_ADDRESS]) else {
            continue;
        };
        let lifetime = place(&[ids::DNS_ANSWER_TTL]);
        for answer in list.records(template) {
            if left == 0 {
                return;
            }
            left -= 1;
            let address = match answer.get(address).unwrap_or_default() {
                v4 if v4.len() == 4 => v4.try_into().ok().map(ipv4_to_u128),
                v6 => v6.try_into().ok().map(u128::from_be_bytes),
            };
            // The highest bit is to be taken for none of them being set (RFC 2181 section 8).
            let seconds = lifetime.and_then(|at| answer.get(at)).and_then(unsigned);
            let seconds = seconds.and_then(|seconds| i32::try_from(seconds).ok()).unwrap_or(0);
            if let Some(address) = address {
                each(address, seconds.into());
            }
        }
    }
}

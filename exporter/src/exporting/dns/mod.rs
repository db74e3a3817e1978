//! DNS transactions of a batch into Messages, those of one template together.

pub mod layout;
#[cfg(test)]
mod tests;

use flowgauge_templates::management::{ExportingError, ExportingSession, TemplateId};
use layout::DnsVariant;

use crate::config::Times;
use crate::metering::Records;

/// The templates of transactions in one session.
#[derive(Debug, Default)]
pub(in crate::exporting) struct DnsTemplates {
    /// Of lists of answers; none before the first.
    answers: Option<[TemplateId; 3]>,
    made: Vec<(DnsVariant, TemplateId)>,
    /// Transactions of the batch with their template's place in `made`.
    order: Vec<(u16, u32)>,
    /// Transactions that went out without their answers.
    reduced: u64,
}

impl DnsTemplates {
    /// Encodes the transactions of a batch but the first `skip` of them in the order of encoding, and says how many could
    /// not be encoded.
    pub(in crate::exporting) fn write(
        &mut self,
        session: &mut ExportingSession,
        now_ns: i64,
        records: &Records,
        times: Times,
        skip: usize,
    ) -> u64 {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for (place, transaction) in (0..).zip(&records.dns) {
            let variant = DnsVariant::of(transaction, records, times);
            order.push((self.slot(session, variant).unwrap_or(u16::MAX), place));
        }
        // A batch encoded again is ordered alike, because no template is ever forgotten.
        order.sort_unstable();
        let mut refused = 0;
        for (slot, place) in order.iter().skip(skip) {
            let written = self.write_one(session, now_ns, records, (*slot, *place as usize), times);
            if let Err(error) = written {
                refused += 1;
                tracing::error!(%error, "a DNS transaction could not be encoded");
            }
        }
        self.order = order;
        refused
    }

    fn slot(&mut self, session: &mut ExportingSession, variant: DnsVariant) -> Result<u16, ExportingError> {
        if let Some(slot) = self.made.iter().position(|(made, _)| *made == variant) {
            return Ok(slot as u16);
        }
        if self.answers.is_none() && variant.answer_kinds().next().is_some() {
            let [a, b, c] = &layout::ANSWER_FIELDS;
            self.answers = Some([
                session.add_list_template(a)?,
                session.add_list_template(b)?,
                session.add_list_template(c)?,
            ]);
        }
        let id = session.add_template(&layout::fields(variant))?;
        self.made.push((variant, id));
        Ok((self.made.len() - 1) as u16)
    }

    fn write_one(
        &mut self,
        session: &mut ExportingSession,
        now_ns: i64,
        records: &Records,
        (slot, place): (u16, usize),
        times: Times,
    ) -> Result<(), ExportingError> {
        let Some(transaction) = records.dns.get(place) else {
            return Ok(());
        };
        let Some((variant, id)) = self.made.get(usize::from(slot)).copied() else {
            return Err(ExportingError::NoIdentifier);
        };
        let mut answers = [0; 3];
        if let Some(templates) = self.answers {
            for kind in variant.answer_kinds() {
                if let (Some(number), Some(template)) = (answers.get_mut(kind), templates.get(kind)) {
                    session.require(now_ns, *template)?;
                    *number = template.number();
                }
            }
        }
        let result = session.record(now_ns, id, |writer| {
            layout::write(variant, transaction, records, answers, writer)
        });
        let fewer = DnsVariant::of(transaction, records, times).without_answers();
        match result {
            Err(ExportingError::RecordTooLong(..)) if fewer != variant => {
                self.reduced += 1;
                let slot = self.slot(session, fewer)?;
                self.write_one_as(session, now_ns, records, (slot, place))
            }
            result => result,
        }
    }

    fn write_one_as(
        &mut self,
        session: &mut ExportingSession,
        now_ns: i64,
        records: &Records,
        (slot, place): (u16, usize),
    ) -> Result<(), ExportingError> {
        let (Some(transaction), Some((variant, id))) = (records.dns.get(place), self.made.get(usize::from(slot)))
        else {
            return Err(ExportingError::NoIdentifier);
        };
        session.record(now_ns, *id, |writer| {
            layout::write(*variant, transaction, records, [0; 3], writer)
        })
    }

    pub(in crate::exporting) fn take_reduced(&mut self) -> u64 {
        std::mem::take(&mut self.reduced)
    }
}

//! Summary records into Messages, those of one template together.

pub mod layout;
pub mod plan;
#[cfg(test)]
mod tests;

use flowgauge_templates::management::{ExportingError, ExportingSession, TemplateId};
use layout::{RowKind, SummaryVariant};
pub use plan::{SummaryExportCounters, SummaryPlan};

use crate::summaries::record::SummaryRecord;

/// The templates of summary records in one session.
#[derive(Debug, Default)]
pub(in crate::exporting) struct SummaryTemplates {
    /// Of rows, in the order of [`RowKind::ALL`]; none before the first.
    rows: Option<[TemplateId; RowKind::ALL.len()]>,
    made: Vec<(SummaryVariant, TemplateId)>,
}

impl SummaryTemplates {
    /// Encodes `records` but the first `skip`, and says how many could not be encoded.
    pub(in crate::exporting) fn write(
        &mut self,
        session: &mut ExportingSession,
        now_ns: i64,
        records: &[SummaryRecord],
        skip: usize,
    ) -> u64 {
        let mut refused = 0;
        for record in records.iter().skip(skip) {
            if let Err(error) = self.write_one(session, now_ns, record) {
                refused += 1;
                tracing::error!(%error, "a summary record could not be encoded");
            }
        }
        refused
    }

    fn write_one(
        &mut self,
        session: &mut ExportingSession,
        now_ns: i64,
        record: &SummaryRecord,
    ) -> Result<(), ExportingError> {
        let mut rows = 0;
        if let Some(kind) = layout::rows_of(record) {
            let template = self.rows(session, kind)?;
            session.require(now_ns, template)?;
            rows = template.number();
        }
        let id = self.template(session, SummaryVariant::of(record))?;
        session.record(now_ns, id, |writer| layout::write(record, rows, writer))
    }

    fn rows(&mut self, session: &mut ExportingSession, kind: RowKind) -> Result<TemplateId, ExportingError> {
        let made = match self.rows {
            Some(made) => made,
            None => {
                let [a, b, c] = RowKind::ALL.map(RowKind::fields);
                let made = [
                    session.add_list_template(&a)?,
                    session.add_list_template(&b)?,
                    session.add_list_template(&c)?,
                ];
                *self.rows.insert(made)
            }
        };
        made.get(kind as usize).copied().ok_or(ExportingError::NoIdentifier)
    }

    fn template(
        &mut self,
        session: &mut ExportingSession,
        variant: SummaryVariant,
    ) -> Result<TemplateId, ExportingError> {
        if let Some((_, id)) = self.made.iter().find(|(made, _)| *made == variant) {
            return Ok(*id);
        }
        let id = session.add_template(&layout::fields(variant))?;
        self.made.push((variant, id));
        Ok(id)
    }
}

//! Which template a record takes: found by its variant, made when it is the first of it, bounded.
//!
//! A slot is the place of a template in the order of making. When no more templates may be made, a record takes one
//! with fewer optional groups; Flow Keys and counters always find theirs, since these have few variants.

use std::collections::HashMap;

use flowgauge_templates::management::{ExportingError, ExportingSession, TemplateId};

use super::layout::{self, Variant};
use super::limits::FLOW_TEMPLATES;

/// A template of Flow Records.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowTemplate {
    pub(super) id: TemplateId,
    pub(super) variant: Variant,
    pub(super) flow_keys: u64,
}

/// All of one destination.
#[derive(Debug, Default)]
pub(super) struct FlowTemplates {
    made: Vec<FlowTemplate>,
    slots: HashMap<Variant, u16, foldhash::fast::RandomState>,
    /// Those used last, by [`Variant::spread`].
    recent: [Option<(Variant, u16)>; Variant::SPREAD],
    /// Records that took a template with fewer groups than they have.
    reduced: u64,
}

impl FlowTemplates {
    /// The slot of a record of `variant`.
    #[inline]
    pub(super) fn slot(&mut self, session: &mut ExportingSession, variant: Variant) -> Result<u16, ExportingError> {
        match self.recent.get(variant.spread()) {
            Some(Some((recent, slot))) if *recent == variant => Ok(*slot),
            _ => self.look_up(session, variant),
        }
    }

    fn look_up(&mut self, session: &mut ExportingSession, variant: Variant) -> Result<u16, ExportingError> {
        let slot = match self.slots.get(&variant) {
            Some(slot) => *slot,
            None => match self.make(session, variant) {
                Ok(slot) => slot,
                Err(_) => return self.reduced(session, variant),
            },
        };
        if let Some(recent) = self.recent.get_mut(variant.spread()) {
            *recent = Some((variant, slot));
        }
        Ok(slot)
    }

    #[cold]
    fn make(&mut self, session: &mut ExportingSession, variant: Variant) -> Result<u16, ExportingError> {
        if self.made.len() >= FLOW_TEMPLATES && !variant.is_core() {
            return Err(ExportingError::NoIdentifier);
        }
        let fields = layout::fields(variant);
        let specifiers: Vec<_> = fields.iter().map(|field| field.specifier).collect();
        let id = session.add_template(&specifiers)?;
        // There are fewer identifiers than 16-bit numbers.
        let slot = self.made.len() as u16;
        self.made.push(FlowTemplate {
            id,
            variant,
            flow_keys: layout::flow_key_indicator(&fields),
        });
        self.slots.insert(variant, slot);
        Ok(slot)
    }

    /// The slot with fewer groups for a record that has none of its own, or does not fit into a Message with it.
    #[cold]
    pub(super) fn reduced(&mut self, session: &mut ExportingSession, variant: Variant) -> Result<u16, ExportingError> {
        let mut result = Err(ExportingError::NoIdentifier);
        for fewer in variant.reductions().into_iter().filter(|fewer| *fewer != variant) {
            result = match self.slots.get(&fewer) {
                Some(slot) => Ok(*slot),
                None => self.make(session, fewer),
            };
            if result.is_ok() {
                self.reduced += 1;
                break;
            }
        }
        result
    }

    pub(super) fn get(&self, slot: u16) -> Option<&FlowTemplate> {
        self.made.get(usize::from(slot))
    }

    pub(super) fn len(&self) -> usize {
        self.made.len()
    }

    /// Those behind the first `known`.
    pub(super) fn since(&self, known: usize) -> &[FlowTemplate] {
        self.made.get(known..).unwrap_or_default()
    }

    pub(super) fn take_reduced(&mut self) -> u64 {
        std::mem::take(&mut self.reduced)
    }
}

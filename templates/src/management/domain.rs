//! The templates in force in one Observation Domain of one session.

use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use foldhash::HashMap;

use crate::error::DecodeErrorKind;
use crate::ipfix::list::TemplateScope;
use crate::ipfix::{FieldSpecifier, Template};
use crate::limits::{MAX_FIELDS_PER_SESSION, MAX_TEMPLATES_PER_DOMAIN};

use super::collecting::TemplateChange;

#[derive(Clone, Debug)]
struct Accepted {
    template: Arc<Template>,
    announced_ns: i64,
}

/// Templates by identifier.
#[derive(Clone, Debug, Default)]
pub struct DomainTemplates {
    by_id: HashMap<u16, Accepted>,
    /// How many there may be, where that is fewer than any domain may have.
    most: Option<u16>,
}

impl TemplateScope for DomainTemplates {
    fn template(&self, id: u16) -> Option<&Arc<Template>> {
        self.by_id.get(&id).map(|accepted| &accepted.template)
    }
}

impl DomainTemplates {
    /// None yet, and at most so many.
    pub(super) fn limited(most: u16) -> Self {
        Self {
            most: Some(most),
            ..Self::default()
        }
    }

    /// Every template in force, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.by_id.values().map(|accepted| &accepted.template)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Accepts an announcement. `fields_in_session` is kept up to date.
    pub(super) fn announce(
        &mut self,
        now_ns: i64,
        (id, scope_field_count, fields): (u16, u16, &[FieldSpecifier]),
        registry: &Registry,
        fields_in_session: &mut usize,
    ) -> Result<(Arc<Template>, TemplateChange), DecodeErrorKind> {
        let known = self.by_id.len();
        if let Some(accepted) = self.by_id.get_mut(&id) {
            accepted.announced_ns = now_ns;
            if accepted.template.is_same(scope_field_count, fields) {
                return Ok((Arc::clone(&accepted.template), TemplateChange::Refreshed));
            }
        } else if known
            >= self
                .most
                .map_or(MAX_TEMPLATES_PER_DOMAIN, usize::from)
                .min(MAX_TEMPLATES_PER_DOMAIN)
        {
            return Err(DecodeErrorKind::TooManyTemplates);
        }
        let replaced = self
            .by_id
            .get(&id)
            .map_or(0, |accepted| accepted.template.fields().len());
        let in_session = *fields_in_session - replaced + fields.len();
        if in_session > MAX_FIELDS_PER_SESSION {
            return Err(DecodeErrorKind::TooManyTemplates);
        }
        *fields_in_session = in_session;
        let template = Arc::new(Template::compile(id, scope_field_count, fields, registry));
        self.by_id.insert(
            id,
            Accepted {
                template: Arc::clone(&template),
                announced_ns: now_ns,
            },
        );
        Ok((
            template,
            if replaced == 0 {
                TemplateChange::New
            } else {
                TemplateChange::Replaced
            },
        ))
    }

    /// Ends one template; says whether it was there.
    pub(super) fn withdraw(&mut self, id: u16, fields_in_session: &mut usize) -> bool {
        match self.by_id.remove(&id) {
            Some(accepted) => {
                *fields_in_session -= accepted.template.fields().len();
                true
            }
            None => false,
        }
    }

    /// Ends every template of flows, or every one of options.
    pub(super) fn withdraw_all(&mut self, options: bool, fields_in_session: &mut usize) -> usize {
        self.retain(fields_in_session, |accepted| accepted.template.is_options() != options)
    }

    /// Ends what was last announced before `oldest_ns`.
    pub(super) fn expire(&mut self, oldest_ns: i64, fields_in_session: &mut usize) -> usize {
        self.retain(fields_in_session, |accepted| accepted.announced_ns >= oldest_ns)
    }

    fn retain(&mut self, fields_in_session: &mut usize, keep: impl Fn(&Accepted) -> bool) -> usize {
        let before = self.by_id.len();
        self.by_id.retain(|_, accepted| {
            let kept = keep(accepted);
            if !kept {
                *fields_in_session -= accepted.template.fields().len();
            }
            kept
        });
        before - self.by_id.len()
    }

    /// Looks elements up again in templates that hold some which no registry knew; gives back those that changed.
    pub(super) fn retype(&mut self, registry: &Registry) -> Vec<Arc<Template>> {
        let mut changed = Vec::new();
        for accepted in self.by_id.values_mut() {
            let old = &accepted.template;
            let learned = old
                .fields()
                .iter()
                .any(|f| !f.known && registry.element(f.specifier.element).is_some());
            if learned {
                let fields: Vec<_> = old.fields().iter().map(|field| field.specifier).collect();
                accepted.template = Arc::new(Template::compile(old.id(), old.scope_field_count(), &fields, registry));
                changed.push(Arc::clone(&accepted.template));
            }
        }
        changed
    }

    /// When each template was last announced.
    pub(super) fn announcements(&self) -> impl Iterator<Item = (&Arc<Template>, i64)> {
        self.by_id
            .values()
            .map(|accepted| (&accepted.template, accepted.announced_ns))
    }
}

//! Selectors on the wire: one options record says how each chooses (RFC 5476 section 6.5.2, RFC 5477), with the elements
//! of older collectors beside it where they say the same.

use flowgauge_ie_registry::{ElementId, ids};
use flowgauge_templates::ipfix::{FieldSpecifier, VARIABLE_LENGTH};
use flowgauge_templates::management::{ExportingError, ExportingSession, TemplateId};

use crate::metering::sampling::{Algorithm, Selector};

/// A Selector's rate as a record can say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// `interval` packets taken, then `space` left out: samplingPacketInterval and samplingPacketSpace.
    InTurn {
        /// Taken.
        interval: u32,
        /// Left out.
        space: u32,
    },
    /// One of so many: samplingInterval, which says nothing of how they were chosen.
    OneOf(u32),
    /// No whole number: samplingProbability.
    Chance(f64),
}

impl Rate {
    pub(super) fn of(selector: &Selector) -> Self {
        match selector.algorithm {
            Algorithm::Systematic { interval, space } => Self::InTurn { interval, space },
            _ => match whole_factor(selector) {
                Some(factor) => Self::OneOf(factor),
                None => Self::Chance(selector.probability()),
            },
        }
    }
}

/// What a counter is multiplied by, to the nearest whole number, for protocols that know no others.
pub(super) fn rounded_factor(selector: &Selector) -> u32 {
    selector.factor().round().clamp(1.0, f64::from(u32::MAX)) as u32
}

/// What a counter is multiplied by, when that is a whole number.
pub(super) fn whole_factor(selector: &Selector) -> Option<u32> {
    let factor = selector.factor();
    // 1 / (1 / 3) is 3 to the last bit, but not every such quotient is.
    let rounded = factor.round();
    let is_whole = (factor - rounded).abs() < 1e-9 * factor;
    (is_whole && (1.0..=f64::from(u32::MAX)).contains(&rounded)).then_some(rounded as u32)
}

/// samplingAlgorithm of NetFlow: packets are taken in turn.
const DETERMINISTIC: u8 = 1;
/// samplingAlgorithm of NetFlow: packets are taken at random.
const RANDOM: u8 = 2;

/// One Selector's template and record.
#[derive(Debug)]
struct Report {
    template: TemplateId,
    record: Vec<u8>,
}

/// What every Selector that is in use has to say.
#[derive(Debug)]
pub(super) struct SelectorOptions(Vec<Report>);

impl SelectorOptions {
    /// Takes up the templates of all Selectors but the one that takes everything.
    pub(super) fn new(session: &mut ExportingSession, selectors: &[Selector]) -> Result<Self, ExportingError> {
        let mut templates: Vec<(Vec<FieldSpecifier>, TemplateId)> = Vec::new();
        let mut reports = Vec::new();
        for selector in selectors.iter().filter(|selector| selector.id != 0) {
            let (fields, record) = report(selector);
            let known = templates.iter().find(|(known, _)| *known == fields);
            let template = match known {
                Some((_, template)) => *template,
                None => {
                    let template = session.add_options_template(1, &fields)?;
                    templates.push((fields, template));
                    template
                }
            };
            reports.push(Report { template, record });
        }
        Ok(Self(reports))
    }

    pub(super) fn write(&self, session: &mut ExportingSession, now_ns: i64) -> Result<(), ExportingError> {
        self.0
            .iter()
            .try_for_each(|report| session.record(now_ns, report.template, |w| w.bytes(&report.record)))
    }
}

/// Field Specifiers, the first of which is the scope, and the values.
fn report(selector: &Selector) -> (Vec<FieldSpecifier>, Vec<u8>) {
    let (mut fields, mut record) = (Vec::new(), Vec::new());
    let mut add = |element: ElementId, octets: &[u8]| {
        fields.push(FieldSpecifier::new(element, octets.len() as u16));
        record.extend_from_slice(octets);
    };
    add(ids::SELECTOR_ID, &selector.id.to_be_bytes());
    let is_of_flows = matches!(selector.algorithm, Algorithm::Flows { .. });
    let algorithm = if is_of_flows {
        ids::FLOW_SELECTOR_ALGORITHM
    } else {
        ids::SELECTOR_ALGORITHM
    };
    add(algorithm, &selector.algorithm.code().unwrap_or_default().to_be_bytes());
    let (name, old) = match selector.algorithm {
        Algorithm::Everything => ("everything", DETERMINISTIC),
        Algorithm::Systematic { interval, space } => {
            add(ids::SAMPLING_PACKET_INTERVAL, &interval.to_be_bytes());
            add(ids::SAMPLING_PACKET_SPACE, &space.to_be_bytes());
            ("systematic", DETERMINISTIC)
        }
        Algorithm::RandomOutOf { size, population } => {
            add(ids::SAMPLING_SIZE, &size.to_be_bytes());
            add(ids::SAMPLING_POPULATION, &population.to_be_bytes());
            ("random n-out-of-N", RANDOM)
        }
        Algorithm::Probability(probability) => {
            add(ids::SAMPLING_PROBABILITY, &probability.to_be_bytes());
            ("uniform probabilistic", RANDOM)
        }
        Algorithm::Flows { .. } => {
            add(ids::SAMPLING_PROBABILITY, &selector.probability().to_be_bytes());
            ("flows by hash of their key", RANDOM)
        }
    };
    if let Some(factor) = whole_factor(selector) {
        add(ids::SAMPLING_INTERVAL, &factor.to_be_bytes());
        add(ids::SAMPLING_ALGORITHM, &[old]);
    }
    fields.push(FieldSpecifier::new(ids::SELECTOR_NAME, VARIABLE_LENGTH));
    record.push(name.len() as u8);
    record.extend_from_slice(name.as_bytes());
    (fields, record)
}

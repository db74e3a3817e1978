//! What version 9 says about the exporter (RFC 3954 section 6): how packets were sampled, and how much was exported.
//!
//! One rate for all is said for the whole exporter (SAMPLING_INTERVAL), and each Selector as a sampler that records name
//! (FLOW_SAMPLER_ID): collectors know one form or the other. A rate that is no whole number is said rounded there, and
//! exactly as samplingProbability (RFC 5477) beside it, for those that know them.

use super::table::{Field, sampler};
use crate::exporting::Statistics;
use crate::exporting::selectors::{rounded_factor, whole_factor};
use crate::metering::sampling::{Algorithm, Selector};

/// "1 System": the only scope in use. Its value, in two octets, is the number of this Exporting Process.
const SCOPE_SYSTEM: u16 = 1;
const SCOPE_OCTETS: u16 = 2;
const EXPORTING_PROCESS: u16 = 1;

const SAMPLING_INTERVAL: u16 = 34;
const SAMPLING_ALGORITHM: u16 = 35;
const TOTAL_BYTES_EXP: u16 = 40;
const TOTAL_PKTS_EXP: u16 = 41;
const TOTAL_FLOWS_EXP: u16 = 42;
const FLOW_SAMPLER_ID: u16 = 48;
const FLOW_SAMPLER_MODE: u16 = 49;
const FLOW_SAMPLER_RANDOM_INTERVAL: u16 = 50;
const SAMPLING_PROBABILITY: u16 = 311;

const DETERMINISTIC: u8 = 1;
const RANDOM: u8 = 2;

/// An options record and the fields behind its scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionsRecord {
    /// Fields of the options, without the scope.
    pub fields: Vec<Field>,
    /// All values, the scope's first.
    pub values: Vec<u8>,
}

impl OptionsRecord {
    fn new() -> Self {
        Self {
            fields: Vec::new(),
            values: EXPORTING_PROCESS.to_be_bytes().to_vec(),
        }
    }

    fn with(mut self, number: u16, octets: &[u8]) -> Self {
        self.fields.push(Field {
            number,
            octets: octets.len() as u16,
        });
        self.values.extend_from_slice(octets);
        self
    }
}

/// The Options Template Record, behind its identifier.
pub fn template(fields: &[Field]) -> Vec<u8> {
    let scope = [4, fields.len() as u16 * 4, SCOPE_SYSTEM, SCOPE_OCTETS];
    let fields = fields.iter().flat_map(|field| [field.number, field.octets]);
    scope.into_iter().chain(fields).flat_map(u16::to_be_bytes).collect()
}

/// What there is to say about sampling.
pub fn sampling(selectors: &[Selector]) -> Vec<OptionsRecord> {
    let chosen = selectors.iter().filter(|selector| selector.id != 0);
    let mut records: Vec<_> = chosen
        .map(|selector| {
            OptionsRecord::new()
                .with(FLOW_SAMPLER_ID, &[sampler(selector.id)])
                .with(FLOW_SAMPLER_MODE, &[mode(selector)])
                .with(FLOW_SAMPLER_RANDOM_INTERVAL, &interval(selector))
                .exactly(selector)
        })
        .collect();
    if let [selector] = selectors
        && selector.id != 0
    {
        let of_all = OptionsRecord::new()
            .with(SAMPLING_INTERVAL, &interval(selector))
            .with(SAMPLING_ALGORITHM, &[mode(selector)])
            .exactly(selector);
        records.push(of_all);
    }
    records
}

/// How much left.
pub fn statistics(statistics: &Statistics) -> OptionsRecord {
    OptionsRecord::new()
        .with(TOTAL_BYTES_EXP, &statistics.exported_octets.to_be_bytes())
        .with(TOTAL_PKTS_EXP, &statistics.exported_messages.to_be_bytes())
        .with(TOTAL_FLOWS_EXP, &statistics.exported_flows.to_be_bytes())
}

impl OptionsRecord {
    fn exactly(self, selector: &Selector) -> Self {
        match whole_factor(selector) {
            Some(_) => self,
            // samplingPacketInterval and samplingPacketSpace would say it as well, but in NetFlow some collectors take the
            // first of them for the rate.
            None => self.with(SAMPLING_PROBABILITY, &selector.probability().to_be_bytes()),
        }
    }
}

fn interval(selector: &Selector) -> [u8; 4] {
    rounded_factor(selector).to_be_bytes()
}

/// How a Selector chooses, in the words of SAMPLING_ALGORITHM and of version 5's header.
pub fn mode(selector: &Selector) -> u8 {
    match selector.algorithm {
        Algorithm::Everything | Algorithm::Systematic { .. } => DETERMINISTIC,
        Algorithm::RandomOutOf { .. } | Algorithm::Probability(_) | Algorithm::Flows { .. } => RANDOM,
    }
}

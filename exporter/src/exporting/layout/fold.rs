//! An Aggregated Flow (RFC 7015): how many flows are in it, and how many sources these had, as an estimate with its bounds.

use super::variant::*;
use crate::metering::FoldRecord;

/// Of 20 such intervals, 19 hold the true number.
const CONFIDENCE: f64 = 0.95;

super::group! { |v, f: &FoldRecord|
    if v.has(FOLD) => {
        value DELTA_FLOW_COUNT[8]                    => f.flows.to_be_bytes();
        value DISTINCT_COUNT_OF_SOURCE_IP_ADDRESS[8] => f.sources.to_be_bytes();
        value LOWER_CI_LIMIT[8]                      => f.sources_between[0].to_be_bytes();
        value UPPER_CI_LIMIT[8]                      => f.sources_between[1].to_be_bytes();
        value CONFIDENCE_LEVEL[8]                    => CONFIDENCE.to_be_bytes();
    }
}

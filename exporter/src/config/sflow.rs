//! How packets and counters are sampled for sFlow destinations.

use std::net::IpAddr;
use std::time::Duration;

use super::{Reader, duration, number};
use crate::limits::MAX_SAMPLING_INTERVAL;
use crate::sflow::limits::{HEADER_OCTETS, MAX_HEADER_OCTETS, MAX_POLLING, MIN_HEADER_OCTETS, MIN_POLLING};

/// How packets and counters are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SflowConfig {
    /// One packet in so many, on average; `None` for no packets.
    pub interval: Option<u32>,
    /// The most time between two samples of the same counters; `None` for no counters.
    pub polling: Option<Duration>,
    /// Octets of a sampled packet that are sent.
    pub header_octets: u16,
    /// Who says this; `None` for the address that the first collector is sent to from.
    pub agent: Option<IpAddr>,
    /// Which of the agents with this address.
    pub sub_agent: u32,
}

impl Default for SflowConfig {
    fn default() -> Self {
        Self {
            interval: Some(1000),
            polling: Some(Duration::from_secs(30)),
            header_octets: HEADER_OCTETS,
            agent: None,
            sub_agent: 0,
        }
    }
}

impl SflowConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let defaults = Self::default();
        Self {
            interval: reader.one("sflow_sample", interval).unwrap_or(defaults.interval),
            polling: reader.one("sflow_polling", polling).unwrap_or(defaults.polling),
            header_octets: reader
                .one("sflow_header", |text| {
                    number(text, MIN_HEADER_OCTETS, MAX_HEADER_OCTETS)
                })
                .unwrap_or(defaults.header_octets),
            agent: reader.one("sflow_agent", agent),
            sub_agent: reader
                .one("sflow_sub_agent", |text| number(text, 0, u32::MAX))
                .unwrap_or(defaults.sub_agent),
        }
    }
}

fn interval(text: &str) -> Result<Option<u32>, String> {
    if text == "off" {
        return Ok(None);
    }
    // A bare N is how configurations of switches write it.
    let digits = text.strip_prefix("1/").unwrap_or(text);
    number(digits, 1, MAX_SAMPLING_INTERVAL)
        .map(Some)
        .map_err(|_| format!("`{text}` is neither off nor 1/N with N from 1 to {MAX_SAMPLING_INTERVAL}"))
}

fn polling(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    match duration::parse(text)? {
        polling if (MIN_POLLING..=MAX_POLLING).contains(&polling) => Ok(Some(polling)),
        _ => Err(format!(
            "`{text}` is neither off nor a time from {} to {}",
            duration::format(MIN_POLLING),
            duration::format(MAX_POLLING)
        )),
    }
}

fn agent(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no address of IPv4 or IPv6"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_times_have_an_off() {
        assert_eq!(interval("1/400"), Ok(Some(400)));
        assert_eq!(interval("400"), Ok(Some(400)));
        assert_eq!(interval("off"), Ok(None));
        for wrong in ["0", "1/0", "2/100", "1/16777217", "x"] {
            assert!(interval(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
        assert_eq!(polling("20s"), Ok(Some(Duration::from_secs(20))));
        assert_eq!(polling("off"), Ok(None));
        for wrong in ["0s", "2d", "500ms", "25h"] {
            assert!(polling(wrong).is_err(), "{wrong}");
        }
        assert!(agent("host").is_err() && agent("::1").is_ok());
    }
}

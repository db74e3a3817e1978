//! How packets become flows: timeouts, sampling, and how deeply packets are looked into.

use std::path::PathBuf;
use std::time::Duration;

use super::{Reader, not_one_of, number, positive_duration};
use crate::limits::{DNS_ANSWERS_INTERVAL, MAX_DNS_ANSWERS_INTERVAL, MAX_MAX_FLOWS, MAX_SAMPLING_INTERVAL};
use crate::metering::application::ProtocolSet;
use crate::metering::dns::Ports;
use crate::metering::sampling::{Algorithm, Sampling};
use crate::summaries::limits::{KEPT_WINDOWS, WINDOW_NS};
use crate::summaries::networks::Networks;

/// How packets become flows.
#[derive(Clone, Debug, PartialEq)]
pub struct MeteringConfig {
    /// A flow without a packet for this long has ended.
    pub idle_timeout: Duration,
    /// A flow that goes on is reported this often.
    pub active_timeout: Duration,
    /// Most flows held at once; `None` leaves it to the metering process.
    pub max_flows: Option<usize>,
    /// Which packets or flows are metered.
    pub sampling: Sampling,
    /// Whether round trips, retransmissions and the like are measured. Without effect where packets are sampled.
    pub tcp_performance: bool,
    /// Which protocols are read.
    pub applications: Applications,
    /// Whether the packets within tunnels are metered, not the tunnels.
    pub open_tunnels: bool,
    /// DNS transactions.
    pub dns: Transactions,
    /// Summaries.
    pub summaries: SummarySettings,
    /// What summaries know of addresses.
    pub addresses: Addresses,
}

/// What summaries know of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Networks that are ours; `None` for the addresses of this host.
    pub networks: Option<Networks>,
    /// MaxMind databases.
    pub geo: Vec<PathBuf>,
}

impl Addresses {
    fn read(reader: &mut Reader<'_>) -> Addresses {
        let networks = |texts: &[String]| {
            let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
            Networks::parse(words)
        };
        let paths = |texts: &[String]| Ok(texts.iter().map(PathBuf::from).collect());
        Addresses {
            networks: reader.all("networks", networks),
            geo: reader.all("geo", paths).unwrap_or_default(),
        }
    }
}

/// How summaries are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummarySettings {
    /// Length of a window; `None` for no summaries.
    pub window: Option<Duration>,
    /// Closed windows that are kept for readers on this host.
    pub kept: usize,
    /// Whether they are exported, not only kept.
    pub are_exported: bool,
}

impl Default for SummarySettings {
    fn default() -> SummarySettings {
        SummarySettings {
            window: None,
            kept: 5,
            are_exported: true,
        }
    }
}

impl SummarySettings {
    /// What `on` means.
    pub const WINDOW: Duration = Duration::from_secs(60);

    fn read(reader: &mut Reader<'_>) -> SummarySettings {
        let defaults = SummarySettings::default();
        let [least, most] = KEPT_WINDOWS;
        SummarySettings {
            window: reader.one("summaries", summaries).unwrap_or(defaults.window),
            kept: reader
                .one("summary_windows", |text| number(text, least, most))
                .unwrap_or(defaults.kept),
            are_exported: defaults.are_exported,
        }
    }

    /// Nobody said whether they are wanted, but somebody wants to read them on this host.
    pub(super) fn make_for_readers(&mut self) {
        self.window = Some(SummarySettings::WINDOW);
        self.are_exported = false;
    }
}

fn summaries(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "off" => Ok(None),
        "on" => Ok(Some(SummarySettings::WINDOW)),
        _ => match super::duration::parse(text) {
            Ok(window) if is_window(window) => Ok(Some(window)),
            _ => Err(format!(
                "`{text}` is none of on, off and a length of windows from 1s to 1h"
            )),
        },
    }
}

pub(super) fn is_window(window: Duration) -> bool {
    let [least, most] = WINDOW_NS.map(|ns| Duration::from_nanos(ns.unsigned_abs()));
    (least..=most).contains(&window)
}

/// How DNS transactions are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transactions {
    /// Whether they are. Without effect where packets are sampled.
    pub enabled: bool,
    /// Where DNS is spoken.
    pub ports: Ports,
    /// A query without a response for this long is unanswered.
    pub timeout: Duration,
    /// The answers of one response in this many are read; 0 for none.
    pub answers_interval: u32,
}

impl Transactions {
    fn read(reader: &mut Reader<'_>) -> Transactions {
        Transactions {
            enabled: reader.one("dns", |text| either(text, "on", "off")).unwrap_or(false),
            ports: reader.all("dns_ports", ports).unwrap_or_default(),
            timeout: reader
                .one("dns_timeout", positive_duration)
                .unwrap_or(Duration::from_secs(5)),
            answers_interval: reader.one("dns_answers", answers).unwrap_or(DNS_ANSWERS_INTERVAL),
        }
    }
}

fn ports(texts: &[String]) -> Result<Ports, String> {
    let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let ports: Vec<u16> = words.map(|word| number(word, 1, u16::MAX)).collect::<Result<_, _>>()?;
    Ports::new(&ports).ok_or_else(|| format!("{} ports, of at most {}", ports.len(), Ports::MOST))
}

fn answers(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is none of 1/N, all and off; N is at most {MAX_DNS_ANSWERS_INTERVAL}");
    match text {
        "off" => Ok(0),
        "all" => Ok(1),
        _ => match ratio_of(text) {
            Some((1, interval)) if interval <= MAX_DNS_ANSWERS_INTERVAL => Ok(interval),
            _ => Err(wrong()),
        },
    }
}

/// Which protocols are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applications {
    /// Those in the payload of flows.
    pub protocols: ProtocolSet,
    /// ARP, which is no IP flow: only when it is named.
    pub arp: bool,
}

impl Default for Applications {
    fn default() -> Applications {
        Applications {
            protocols: ProtocolSet::ALL,
            arp: false,
        }
    }
}

impl MeteringConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> MeteringConfig {
        let sampling = reader.one("sample", sampling).unwrap_or_default();
        if sampling == Sampling::Adaptive && reader.is_from_files() {
            reader.refuse(
                "sample",
                "adaptive is for live capture; files wait: use 1/N or flow:1/N",
            );
        }
        let applications = reader.all("applications", applications).unwrap_or_default();
        MeteringConfig {
            idle_timeout: reader
                .one("idle_timeout", positive_duration)
                .unwrap_or(Duration::from_secs(15)),
            active_timeout: reader
                .one("active_timeout", positive_duration)
                .unwrap_or(Duration::from_secs(60)),
            max_flows: reader.one("max_flows", |text| number(text, 1, MAX_MAX_FLOWS)),
            sampling,
            tcp_performance: reader
                .one("tcp_performance", |text| either(text, "on", "off"))
                .unwrap_or(true),
            applications,
            open_tunnels: reader
                .one("tunnels", |text| either(text, "open", "closed"))
                .unwrap_or(true),
            dns: Transactions::read(reader),
            summaries: SummarySettings::read(reader),
            addresses: Addresses::read(reader),
        }
    }
}

pub(super) fn either(text: &str, yes: &str, no: &str) -> Result<bool, String> {
    match text {
        text if text == yes => Ok(true),
        text if text == no => Ok(false),
        _ => Err(not_one_of(text, &[yes, no])),
    }
}

fn sampling(text: &str) -> Result<Sampling, String> {
    let wrong = || {
        format!(
            "`{text}` is no sampling: write 1/N, random:n/N, probability:P, flow:1/N, adaptive or all; \
             N is at most {MAX_SAMPLING_INTERVAL}, P above 0 and at most 1"
        )
    };
    let algorithm = match text.split_once(':') {
        None if text == "adaptive" => return Ok(Sampling::Adaptive),
        None if text == "all" => Algorithm::Everything,
        None | Some(("systematic", _)) => {
            let ratio = text.strip_prefix("systematic:").unwrap_or(text);
            let (interval, of) = ratio_of(ratio).ok_or_else(wrong)?;
            Algorithm::Systematic {
                interval,
                space: of - interval,
            }
        }
        Some(("random", ratio)) => {
            let (size, population) = ratio_of(ratio).ok_or_else(wrong)?;
            Algorithm::RandomOutOf { size, population }
        }
        Some(("flow", ratio)) => match ratio_of(ratio) {
            Some((1, interval)) => Algorithm::Flows { interval },
            _ => return Err(wrong()),
        },
        Some(("probability", number)) => {
            let probability: f64 = number.parse().map_err(|_| wrong())?;
            if !(probability >= 1.0 / f64::from(MAX_SAMPLING_INTERVAL) && probability <= 1.0) {
                return Err(wrong());
            }
            Algorithm::Probability(probability)
        }
        Some(_) => return Err(wrong()),
    };
    // One in one is everything: records should not speak of a sampling that there is not.
    let selector = crate::metering::Selector { id: 1, algorithm };
    Ok(match selector.factor() == 1.0 {
        true => Sampling::Everything,
        false => Sampling::Fixed(algorithm),
    })
}

/// `n/N` with 0 < n <= N.
fn ratio_of(text: &str) -> Option<(u32, u32)> {
    let (part, whole) = text.split_once('/')?;
    let (part, whole): (u32, u32) = (part.parse().ok()?, whole.replace('_', "").parse().ok()?);
    (part > 0 && part <= whole && whole <= MAX_SAMPLING_INTERVAL).then_some((part, whole))
}

fn applications(texts: &[String]) -> Result<Applications, String> {
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    let mut chosen = Applications {
        protocols: ProtocolSet::NONE,
        arp: false,
    };
    for word in &words {
        match *word {
            "all" => chosen.protocols = ProtocolSet::ALL,
            "none" if words.len() == 1 => {}
            "none" => return Err("none goes with no other name".to_owned()),
            "arp" => chosen.arp = true,
            name => match ProtocolSet::place(name) {
                Some(place) => chosen.protocols = chosen.protocols.with(place),
                None => {
                    let known: Vec<&str> = ["all", "none", "arp"].into_iter().chain(ProtocolSet::names()).collect();
                    let meant = super::nearest(name, known.iter().copied());
                    let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                    return Err(format!("`{name}` is none of {}{hint}", known.join(", ")));
                }
            },
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplings_are_read() {
        let fixed = |algorithm| Ok(Sampling::Fixed(algorithm));
        assert_eq!(
            sampling("1/100"),
            fixed(Algorithm::Systematic { interval: 1, space: 99 })
        );
        assert_eq!(
            sampling("systematic:2/8"),
            fixed(Algorithm::Systematic { interval: 2, space: 6 })
        );
        assert_eq!(
            sampling("random:3/1_000"),
            fixed(Algorithm::RandomOutOf {
                size: 3,
                population: 1000
            })
        );
        assert_eq!(sampling("probability:0.25"), fixed(Algorithm::Probability(0.25)));
        assert_eq!(sampling("flow:1/16"), fixed(Algorithm::Flows { interval: 16 }));
        assert_eq!(sampling("adaptive"), Ok(Sampling::Adaptive));
        for everything in ["all", "1/1", "random:5/5", "probability:1", "flow:1/1"] {
            assert_eq!(sampling(everything), Ok(Sampling::Everything), "{everything}");
        }
    }

    #[test]
    fn what_is_no_sampling_is_told_what_is() {
        for text in [
            "",
            "100",
            "1/0",
            "0/5",
            "3/2",
            "1/99999999",
            "flow:2/4",
            "flow:1",
            "random:",
            "probability:0",
            "probability:nan",
            "probability:1.1",
            "sometimes",
            "hash:1/2",
            "1/-5",
        ] {
            let error = sampling(text).unwrap_err();
            assert!(error.contains("write 1/N, random:n/N"), "{error}");
        }
    }

    #[test]
    fn dns_has_one_to_four_ports() {
        let of = |text: &str| ports(&[text.to_owned()]);
        assert_eq!(of("53"), Ok(Ports::default()));
        assert_eq!(of("53,5300"), Ok(Ports::new(&[53, 5300]).unwrap()));
        for text in ["", "0", "dns", "70000", "1,2,3,4,5"] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_of_one_response_in_so_many() {
        assert_eq!(
            ["off", "all", "1/1", "1/16"].map(answers),
            [Ok(0), Ok(1), Ok(1), Ok(16)]
        );
        for text in ["", "16", "2/16", "1/0", "none"] {
            assert!(answers(text).unwrap_err().contains("1/N"), "{text}");
        }
    }

    #[test]
    fn applications_are_named_or_all_or_none() {
        let words = |text: &str| applications(&[text.to_owned()]);
        assert_eq!(words("all"), Ok(Applications::default()));
        assert!(words("all,arp").unwrap().arp);
        let http = words("http").unwrap().protocols;
        let place = |name| ProtocolSet::place(name).unwrap();
        assert!(http.has(place("http")) && !http.has(place("ssh")));
        assert_eq!(
            applications(&["http".into(), "ssh, arp".into()]).unwrap(),
            words("ssh,http,arp").unwrap()
        );
        assert_eq!(words("none").unwrap().protocols, ProtocolSet::NONE);
        assert!(words("none,http").is_err());
        let error = words("htpp").unwrap_err();
        assert!(error.starts_with("`htpp` is none of all, none, arp, ") && error.ends_with("did you mean http?"));
    }
}

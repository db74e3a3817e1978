//! Which addresses are the host's own: they tell what came in from what went out.

use std::net::{IpAddr, Ipv6Addr};

use super::limits::NETWORKS;

/// Where traffic goes, as seen by the owner of the networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To one of our addresses. Of a DNS transaction: we are asked.
    In,
    /// From one of our addresses. Of a DNS transaction: we ask.
    Out,
    /// Both ends are ours.
    Within,
    /// Neither end is ours, or it is not known what is.
    Unknown,
}

/// Networks, put together where they touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last address, IPv4 in the mapped form; in order, and apart from each other.
    ranges: Vec<[u128; 2]>,
}

impl Networks {
    /// From prefixes (`10.0.0.0/8`, `2001:db8::/32`) and single addresses.
    ///
    /// # Errors
    /// Which one is none, or that there are too many.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Networks, String> {
        let ranges: Vec<[u128; 2]> = texts.into_iter().map(range).collect::<Result<_, _>>()?;
        match ranges.len() <= NETWORKS {
            true => Ok(Networks::of_ranges(ranges)),
            false => Err(format!("{} networks, of at most {NETWORKS}", ranges.len())),
        }
    }

    /// Of single addresses, such as those of the host's interfaces; those beyond the most are left out.
    pub fn of_addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Networks {
        let single = |address| [bits(address); 2];
        Networks::of_ranges(addresses.into_iter().take(NETWORKS).map(single).collect())
    }

    fn of_ranges(mut ranges: Vec<[u128; 2]>) -> Networks {
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let touches = next[0] <= last[1].saturating_add(1);
            if touches {
                last[1] = last[1].max(next[1]);
            }
            touches
        });
        Networks { ranges }
    }

    /// Nothing is known to be ours.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether an address is ours; IPv4 in the mapped form.
    #[inline]
    pub fn contains(&self, address: u128) -> bool {
        let at = self.ranges.partition_point(|range| range[0] <= address);
        at.checked_sub(1)
            .and_then(|at| self.ranges.get(at))
            .is_some_and(|range| address <= range[1])
    }

    /// Where traffic from one address to another goes.
    #[inline]
    pub fn way(&self, from: u128, to: u128) -> Way {
        if self.is_empty() {
            return Way::Unknown;
        }
        match (self.contains(from), self.contains(to)) {
            (false, true) => Way::In,
            (true, false) => Way::Out,
            (true, true) => Way::Within,
            (false, false) => Way::Unknown,
        }
    }
}

/// An address as 128 bits, IPv4 in the mapped form.
#[inline]
pub fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn range(text: &str) -> Result<[u128; 2], String> {
    let wrong = || format!("`{text}` is no address and no network; write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32");
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix
            .trim()
            .parse()
            .ok()
            .filter(|prefix| *prefix <= most)
            .ok_or_else(wrong)?,
        None => most,
    };
    let hosts: u128 = u128::MAX.checked_shr(128 - most + prefix).unwrap_or(0);
    Ok([bits(address) & !hosts, bits(address) | hosts])
}

impl std::fmt::Display for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, [first, last]) in self.ranges.iter().enumerate() {
            let text = |bits| Ipv6Addr::from_bits(bits).to_canonical();
            let comma = if at > 0 { ", " } else { "" };
            match first == last {
                true => write!(f, "{comma}{}", text(*first))?,
                false => write!(f, "{comma}{} to {}", text(*first), text(*last))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> u128 {
        bits(text.parse().unwrap())
    }

    #[test]
    fn networks_hold_what_their_prefix_says() {
        let networks = Networks::parse(["192.168.0.7/24", "10.0.0.1", "2001:db8::/32", "192.168.1.0/24"]).unwrap();
        let ours = [
            "192.168.0.0",
            "192.168.0.255",
            "192.168.1.9",
            "10.0.0.1",
            "2001:db8::",
            "2001:db8:ffff::1",
        ];
        let others = [
            "192.167.255.255",
            "192.168.2.0",
            "10.0.0.0",
            "10.0.0.2",
            "2001:db7:ffff::",
            "2001:db9::",
            "::",
        ];
        assert!(ours.iter().all(|text| networks.contains(address(text))));
        assert!(!others.iter().any(|text| networks.contains(address(text))));
        // Two that touch are one.
        assert_eq!(
            networks.to_string(),
            "10.0.0.1, 192.168.0.0 to 192.168.1.255, 2001:db8:: to 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        let everything = Networks::parse(["::/0", "0.0.0.0/0"]).unwrap();
        assert!(everything.contains(0) && everything.contains(u128::MAX));
        let ipv4 = Networks::parse(["0.0.0.0/0"]).unwrap();
        assert!(ipv4.contains(address("255.255.255.255")) && !ipv4.contains(address("::1")));
    }

    #[test]
    fn the_ways_are_those_of_the_owner() {
        let networks = Networks::of_addresses(["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()]);
        let way = |from, to| networks.way(address(from), address(to));
        assert_eq!(way("192.0.2.1", "10.0.0.1"), Way::In);
        assert_eq!(way("fe80::1", "192.0.2.1"), Way::Out);
        assert_eq!(way("10.0.0.1", "fe80::1"), Way::Within);
        assert_eq!(way("192.0.2.1", "192.0.2.2"), Way::Unknown);
        assert_eq!(Networks::default().way(0, 0), Way::Unknown);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in [
            "",
            "10.0.0.0/33",
            "2001:db8::/129",
            "10.0.0/8",
            "10.0.0.0/-1",
            "host",
            "10.0.0.0/",
        ] {
            let error = Networks::parse([text]).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is no address")), "{error}");
        }
        let many = vec!["10.0.0.1"; NETWORKS + 1];
        assert!(Networks::parse(many).is_err());
    }
}

//! The user's networks: which of them an address is in, the longest prefix first.
//!
//! Prefixes nest or lie apart, so that all of them together cut the addresses into ranges that lie one behind the other, each
//! with one answer: a search among their beginnings is all that a look-up takes, and as quick as a tree with less memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A prefix: an address whose bits behind `length` are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Its address and how many bits of it count.
    pub const fn parts(self) -> (IpAddr, u8) {
        (self.address, self.length)
    }

    /// First and last address as numbers.
    fn range(self) -> (u128, u128) {
        let (bits, most) = match self.address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let all = u128::MAX >> (128 - most);
        let hosts = all.checked_shr(self.length.into()).unwrap_or(0);
        (bits & !hosts, bits | hosts)
    }
}

impl std::str::FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("{text:?} is no network; write it like 10.0.0.0/8 or 2001:db8::/32");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length: u8 = match length {
            Some(length) if length.bytes().all(|octet| octet.is_ascii_digit()) => {
                length.parse().ok().filter(|length| *length <= most).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
            None => most,
        };
        // The form in which IPv6 holds IPv4 means the same addresses.
        let (address, length) = match address.to_canonical() {
            IpAddr::V4(mapped) if address.is_ipv6() && length >= 96 => (IpAddr::V4(mapped), length - 96),
            _ => (address, length),
        };
        let prefix = Prefix { address, length };
        let (first, _) = prefix.range();
        let first = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(first as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        match first == address {
            true => Ok(prefix),
            false => Err(format!(
                "{text:?} has bits behind its prefix; did you mean {first}/{length}?"
            )),
        }
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// What the user says about a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// What it is for.
    pub role: Option<Arc<str>>,
    /// Where it is.
    pub site: Option<Arc<str>>,
    /// Where that is.
    pub region: Option<Arc<str>>,
    /// Whose it is.
    pub tenant: Option<Arc<str>>,
}

impl Network {
    /// What it does not say, the network around it says.
    fn within(&self, around: &Network) -> Network {
        let either = |own: &Option<Arc<str>>, around: &Option<Arc<str>>| own.as_ref().or(around.as_ref()).cloned();
        Network {
            name: either(&self.name, &around.name),
            role: either(&self.role, &around.role),
            site: either(&self.site, &around.site),
            region: either(&self.region, &around.region),
            tenant: either(&self.tenant, &around.tenant),
        }
    }
}

/// Which network an address is in; 0 is none.
pub type NetworkId = u32;

/// Networks to look addresses up in.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// The first says nothing.
    networks: Vec<Network>,
    prefixes: usize,
}

/// Where ranges begin, in order, and what they are; each ends where the next begins.
#[derive(Clone, Debug, Default)]
struct Ranges<A> {
    begins: Vec<A>,
    of: Vec<NetworkId>,
}

impl<A: Copy + Ord> Ranges<A> {
    #[inline]
    fn find(&self, address: A) -> NetworkId {
        let behind = self.begins.partition_point(|begin| *begin <= address);
        let at = behind.checked_sub(1);
        at.and_then(|at| self.of.get(at)).copied().unwrap_or(0)
    }

    fn begin(&mut self, at: A, of: NetworkId) {
        if self.begins.last() == Some(&at) {
            self.begins.pop();
            self.of.pop();
        }
        // What goes on as before is no new range.
        if self.of.last().copied().unwrap_or(0) != of {
            self.begins.push(at);
            self.of.push(of);
        }
    }
}

impl Networks {
    /// Of prefixes with what is said about them. Of two that are the same the last counts.
    pub fn new(mut prefixes: Vec<(Prefix, Network)>) -> Networks {
        // The network around others comes before them.
        prefixes.sort_by_key(|(prefix, _)| *prefix);
        let mut networks = Networks {
            networks: vec![Network::default()],
            prefixes: prefixes.len(),
            ..Networks::default()
        };
        let mut known = foldhash::HashMap::default();
        let is_v4 = |prefix: Prefix| prefix.address.is_ipv4();
        let (mut v4, mut v6) = (std::mem::take(&mut networks.v4), std::mem::take(&mut networks.v6));
        for family in prefixes.chunk_by(|(one, _), (other, _)| is_v4(*one) == is_v4(*other)) {
            let v4_only = family.first().is_some_and(|(prefix, _)| is_v4(*prefix));
            networks.lay_out(family, &mut known, &mut |at, of| match v4_only {
                // Addresses of this family have 32 bits, and what lies behind the last is not looked for.
                true => u32::try_from(at).map_or((), |at| v4.begin(at, of)),
                false => v6.begin(at, of),
            });
        }
        (networks.v4, networks.v6) = (v4, v6);
        networks
    }

    fn lay_out(
        &mut self,
        prefixes: &[(Prefix, Network)],
        known: &mut foldhash::HashMap<Network, NetworkId>,
        begin: &mut impl FnMut(u128, NetworkId),
    ) {
        // Those around the place that was come to: the last address of each, and what it is.
        let mut around: Vec<(u128, NetworkId)> = Vec::new();
        let leave =
            |around: &mut Vec<(u128, NetworkId)>, before: Option<u128>, begin: &mut dyn FnMut(u128, NetworkId)| {
                while let Some((last, _)) = around.last().copied() {
                    if before.is_some_and(|before| last >= before) {
                        break;
                    }
                    around.pop();
                    if let Some(behind) = last.checked_add(1) {
                        begin(behind, around.last().map_or(0, |(_, of)| *of));
                    }
                }
            };
        for (prefix, network) in prefixes {
            let (first, last) = prefix.range();
            leave(&mut around, Some(first), begin);
            let outer = around.last().map_or(0, |(_, of)| *of);
            let whole = match self.networks.get(outer as usize) {
                Some(outer) => network.within(outer),
                None => network.clone(),
            };
            let of = *known.entry(whole.clone()).or_insert_with(|| {
                self.networks.push(whole);
                (self.networks.len() - 1) as NetworkId
            });
            begin(first, of);
            around.push((last, of));
        }
        leave(&mut around, None, begin);
    }

    /// Which network an address is in, IPv4 in the mapped form.
    #[inline]
    pub fn find(&self, address: u128) -> NetworkId {
        match address >> 32 {
            0xffff => self.v4.find(address as u32),
            _ => self.v6.find(address),
        }
    }

    /// What is said about a network.
    pub fn network(&self, id: NetworkId) -> Option<&Network> {
        self.networks.get(id as usize).filter(|_| id != 0)
    }

    /// What is said about the network that an address is in.
    pub fn of(&self, address: u128) -> Option<&Network> {
        self.network(self.find(address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prefixes == 0
    }

    /// Prefixes that it is made of.
    pub fn prefixes(&self) -> usize {
        self.prefixes
    }
}

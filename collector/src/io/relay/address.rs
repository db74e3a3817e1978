//! Where copies go, as it is written: `udp://HOST:PORT`, with `?source=keep` to send in the exporter's name.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A destination of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// A name, or an address without brackets.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
    /// Whether copies come from the exporter's address and port, rather than from ours.
    pub keeps_source: bool,
}

impl RelayAddress {
    /// The address, where no name has to be looked up.
    pub fn literal(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }
}

impl FromStr for RelayAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<RelayAddress, String> {
        let form = "write it like udp://192.0.2.1:2055 or udp://collector.example:4739?source=keep";
        let rest = text
            .strip_prefix("udp://")
            .ok_or_else(|| format!("{text:?} is not a destination for copies: {form}"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, "source=own"));
        let keeps_source = match query {
            "source=keep" => true,
            "source=own" => false,
            _ => return Err(format!("{text:?}: {query:?} is not source=keep or source=own; {form}")),
        };
        let parts = place.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some((host, port))
        });
        let (host, port) = parts.ok_or_else(|| format!("{text:?}: {place:?} is not HOST:PORT; {form}"))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |host: &str| {
            let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
            (1..=253).contains(&host.len()) && host.bytes().all(allowed)
        };
        let host = match bracketed {
            Some(six) if six.parse::<Ipv6Addr>().is_ok() => six,
            None if is_name(host) => host,
            _ => return Err(format!("{text:?}: {host:?} is neither a name nor an address; {form}")),
        };
        Ok(RelayAddress {
            host: host.to_owned(),
            port,
            keeps_source,
        })
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RelayAddress { host, port, .. } = self;
        let query = if self.keeps_source { "?source=keep" } else { "" };
        match host.contains(':') {
            true => write!(f, "udp://[{host}]:{port}{query}"),
            false => write!(f, "udp://{host}:{port}{query}"),
        }
    }
}

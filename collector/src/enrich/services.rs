//! Names of the services that IANA lists for ports: what an application probably is, where nobody looked into its packets.

use std::sync::LazyLock;

/// What the packet inspection of exporters calls the same; one application is to have one name.
const SAME: [(&str, &str); 6] = [
    ("domain", "dns"),
    ("domain-s", "dns-over-tls"),
    ("bootps", "dhcp"),
    ("bootpc", "dhcp"),
    ("dhcpv6-client", "dhcpv6"),
    ("dhcpv6-server", "dhcpv6"),
];

/// Above are ports that systems give to clients, of which nobody may claim one (RFC 6335 section 6).
const LAST_PORT: u16 = 49_151;

/// Protocols with ports, in the order of the letters of the file.
const PROTOCOLS: [(u64, char); 4] = [(6, 't'), (17, 'u'), (132, 's'), (33, 'd')];

struct Services {
    names: Vec<&'static str>,
    /// For each protocol the number of the name of each port, 0 for none.
    ports: [Box<[u16]>; PROTOCOLS.len()],
}

static SERVICES: LazyLock<Services> = LazyLock::new(|| {
    let mut services = Services {
        names: vec![""],
        ports: std::array::from_fn(|_| vec![0; usize::from(LAST_PORT) + 1].into_boxed_slice()),
    };
    let lines = include_str!("services.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let mut numbers = std::collections::HashMap::new();
    for line in lines {
        let mut fields = line.split('\t');
        let (Some(Ok(port)), Some(protocols), Some(name)) =
            (fields.next().map(str::parse::<usize>), fields.next(), fields.next())
        else {
            continue;
        };
        let name = SAME
            .iter()
            .find(|(listed, _)| *listed == name)
            .map_or(name, |(_, ours)| ours);
        let number = *numbers.entry(name).or_insert_with(|| {
            services.names.push(name);
            (services.names.len() - 1) as u16
        });
        for ((_, letter), ports) in PROTOCOLS.iter().zip(&mut services.ports) {
            if let Some(place) = ports.get_mut(port).filter(|_| protocols.contains(*letter)) {
                *place = number;
            }
        }
    }
    services
});

/// The service of a port.
fn service(protocol: u64, port: u64) -> Option<&'static str> {
    let services = &*SERVICES;
    let of = PROTOCOLS.iter().position(|(number, _)| *number == protocol)?;
    let number = *services.ports.get(of)?.get(usize::try_from(port).ok()?)?;
    services
        .names
        .get(usize::from(number))
        .copied()
        .filter(|name| !name.is_empty())
}

/// The application of a flow by its ports: by the one that was called where it is known who called, else by the lower of
/// those that have a name.
pub(super) fn application(protocol: u64, src_port: u64, dst_port: u64, is_biflow: bool) -> Option<&'static str> {
    let called = service(protocol, dst_port);
    if is_biflow {
        return called;
    }
    let caller = service(protocol, src_port);
    match (called, caller) {
        (Some(_), Some(_)) if src_port < dst_port => caller,
        _ => called.or(caller),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_the_names_of_iana_or_those_that_exporters_use() {
        assert_eq!(service(6, 443), Some("https"));
        assert_eq!(service(17, 53), Some("dns"));
        assert_eq!(service(17, 4739), Some("ipfix"));
        assert_eq!(service(132, 4739), Some("ipfix"));
        assert_eq!(service(6, 22), Some("ssh"));
        // RFC 8484 is HTTPS; UDP 443 is listed for it too.
        assert_eq!(service(17, 443), Some("https"));
        assert_eq!(service(1, 443), None);
        assert_eq!(service(6, 49_152), None);
        assert_eq!(service(6, u64::MAX), None);
        assert_eq!(service(6, 0), None);
    }

    #[test]
    fn who_was_called_says_what_it_is() {
        assert_eq!(application(6, 50_000, 80, true), Some("http"));
        assert_eq!(application(6, 80, 50_000, true), None);
        assert_eq!(application(6, 80, 50_000, false), Some("http"));
        // 8080 has a name as well, and 22 is lower.
        assert_eq!(application(6, 22, 8_080, false), Some("ssh"));
        assert_eq!(application(6, 8_080, 22, false), Some("ssh"));
        assert_eq!(application(6, 60_000, 50_000, false), None);
    }
}

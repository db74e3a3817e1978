//! Where the HTTP API is served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Reader, Source};
use crate::api::limits::DEFAULT_PORT;

/// Where the HTTP API is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether somebody asked for it: then it has to be had.
    pub is_required: bool,
}

impl ApiConfig {
    /// On the port of pktvisor's, for this host only.
    pub const DEFAULT: ApiConfig = ApiConfig {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
        is_required: false,
    };

    /// Live, there is one unless told otherwise; reading files is over before anybody asks.
    pub(super) fn read(reader: &mut Reader<'_>, source: &Source) -> Option<ApiConfig> {
        match reader.one("api", address) {
            Some(given) => given.map(|address| ApiConfig {
                address,
                is_required: true,
            }),
            None => matches!(source, Source::Live(_)).then_some(ApiConfig::DEFAULT),
        }
    }
}

fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse()
        .map(Some)
        .map_err(|_| format!("`{text}` is neither off nor an address and a port, such as 127.0.0.1:{DEFAULT_PORT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers() {
        assert_eq!(address("off"), Ok(None));
        assert_eq!(address("localhost:80"), Ok(Some("127.0.0.1:80".parse().unwrap())));
        assert_eq!(address("[::]:80"), Ok(Some("[::]:80".parse().unwrap())));
        assert_eq!(
            address("on").unwrap_err(),
            "`on` is neither off nor an address and a port, such as 127.0.0.1:10853"
        );
    }
}

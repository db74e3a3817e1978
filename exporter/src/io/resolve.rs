//! Names into addresses, again at each try: a collector that moves takes its name with it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::config::Endpoint;

/// All addresses of `endpoint`, at least one, in the order of the system's preference.
///
/// # Errors
/// When there is none now.
pub fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = (endpoint.host.as_str(), endpoint.port).to_socket_addrs()?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        for (host, text) in [("127.0.0.1", "127.0.0.1:9"), ("::1", "[::1]:9")] {
            let endpoint = Endpoint {
                host: host.to_owned(),
                port: 9,
            };
            assert_eq!(resolve(&endpoint).unwrap(), [text.parse().unwrap()]);
        }
    }
}

//! Starts the HTTP API where it is wanted.

use std::sync::Arc;

use crate::api::{ApiServer, Shared, SharedAccounts};
use crate::config::Config;
use crate::summaries::{Networks, SharedSummaries};

/// Serves until what it returns is dropped. An address that nobody asked for may be somebody else's: then there is no API.
///
/// # Errors
/// One line for people, when the address was asked for and cannot be had.
pub(super) fn start(
    config: &Config,
    summaries: Option<Arc<SharedSummaries>>,
    accounts: Arc<SharedAccounts>,
    networks: Arc<Networks>,
) -> Result<Option<ApiServer>, String> {
    let Some(wanted) = config.api else {
        return Ok(None);
    };
    let address = wanted.address;
    match ApiServer::start(address, Arc::new(Shared::new(summaries, accounts, networks))) {
        Ok(server) => {
            tracing::info!("HTTP on http://{}", server.address());
            Ok(Some(server))
        }
        Err(error) if wanted.is_required => Err(format!(
            "--api {address}: cannot listen there: {error}; name another address, or off"
        )),
        Err(error) => {
            tracing::warn!("no HTTP: {address}: {error}; name another address with --api, or off");
            Ok(None)
        }
    }
}

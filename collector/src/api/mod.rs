//! HTTP.
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Runtime;
use crate::failure::Failure;
use crate::run::Shared;

/// The API.
pub struct Api { _shared: Arc<Shared> }
impl Api { /// New.
pub fn new(shared: Arc<Shared>) -> Api { Api { _shared: shared } } }
/// The server.
pub struct ApiServer { address: SocketAddr }
impl ApiServer {
    /// Start.
    pub fn start(_api: Api, listener: std::net::TcpListener, _runtime: &Runtime) -> Result<ApiServer, Failure> { Ok(ApiServer { address: listener.local_addr().unwrap() }) }
    /// Address.
    pub fn address(&self) -> SocketAddr { self.address }
    /// Stop.
    pub fn stop(self) {}
}

//! The thread that serves: bound before rights are given up, ended with the program.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::connections::Bounded;
use super::{Shared, limits, router};

/// The API being served.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Serves on an address, on one thread of its own.
    ///
    /// # Errors
    /// What the system says when the address cannot be had, or no thread.
    pub fn start(address: SocketAddr, shared: Arc<Shared>) -> io::Result<ApiServer> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let serving = shared.clone();
        let thread = std::thread::Builder::new()
            .name("api".to_owned())
            .spawn(move || runtime.block_on(serve(listener, serving, stopped)))?;
        Ok(ApiServer {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it reads.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for ApiServer {
    /// Lets what is being answered finish for a moment, then ends.
    fn drop(&mut self) {
        self.shared.set_ready(false);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the API has panicked; please report this");
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => Bounded::new(listener, shared.connections.clone()),
        Err(error) => {
            tracing::error!("the API is not served: {error}");
            return;
        }
    };
    let (begin, begun) = oneshot::channel();
    let serving = axum::serve(listener, router(shared)).with_graceful_shutdown(async move {
        // Dropping the sender is the signal.
        let _ = stopped.await;
        drop(begin);
    });
    let over = async {
        let _: Result<(), _> = begun.await;
        tokio::time::sleep(limits::STOP).await;
    };
    tokio::select! {
        ended = async { serving.await } => {
            if let Err(error) = ended {
                tracing::error!("the API is served no more: {error}");
            }
        }
        () = over => {}
    }
}

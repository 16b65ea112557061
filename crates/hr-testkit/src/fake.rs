//! A fake provider: a server on a free loopback port that lives as long as its handle.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::behaviour::Behaviour;
use crate::call::{self, Call, Log, Violation};
use crate::dialect::Dialect;
use crate::issued::Issued;
use crate::playback::ResetMark;
use crate::script::{Match, Script};
use crate::serve::{World, serve};
use crate::state::State;

/// A fake provider. It stops, and all its connections close, when this is dropped.
pub struct Fake {
    address: SocketAddr,
    world: Arc<World>,
    server: JoinHandle<()>,
}

impl Fake {
    /// Starts one that speaks Chat Completions, on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(script: Script) -> io::Result<Fake> {
        Fake::speaking(Dialect::Chat, script).await
    }

    /// Starts one that speaks this dialect, on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn speaking(dialect: Dialect, script: Script) -> io::Result<Fake> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let world = Arc::new(World {
            dialect,
            issued: Issued::default(),
            state: State::new(script),
            log: Arc::new(Log::new()),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&world)));
        Ok(Fake { address, world, server })
    }

    /// Where its paths begin: `http://127.0.0.1:PORT/v1`, or what stands there in its dialect.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.world.dialect.base_path())
    }

    /// What it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.world.dialect
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Plays another script from its start; the log goes on.
    pub fn set(&self, script: Script) {
        self.world.state.set(script);
    }

    /// Does this with the next matching call, before any rule of the script; several are done in their order.
    pub fn push(&self, matching: Match, behaviour: impl Into<Behaviour>) {
        self.world.state.push(matching, behaviour.into());
    }

    /// All calls so far, in the order in which they came; of very many only the last.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world.log.calls()
    }

    /// The calls that came at this instant or later, in the order in which they came.
    #[must_use]
    pub fn calls_since(&self, since: Instant) -> Vec<Call> {
        self.world.log.calls_since(since)
    }

    /// What a strict script did not accept so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.world.log.violations()
    }

    /// The calls that came although this fake had told their key to stay away longer. Those within `grace` after
    /// the refusal were on their way already and do not count.
    #[must_use]
    pub fn too_early(&self, grace: Duration) -> Vec<Call> {
        call::too_early(&self.calls(), grace)
    }

    /// Returns as soon as the calls are as wished.
    pub async fn until(&self, wish: impl Fn(&[Call]) -> bool) {
        self.world.log.until(wish).await;
    }

    /// Returns as soon as no call is open.
    pub async fn settled(&self) {
        self.until(|calls| calls.iter().all(|call| call.ended.is_some())).await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves connections until it is aborted, and they with it.
async fn accept(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of descriptors, or a connection that was gone again: the next one may work.
                let Ok((stream, _)) = accepted else {
                    tokio::task::yield_now().await;
                    continue;
                };
                connections.spawn(connection(stream, Arc::clone(&world)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    // Only how fast small writes leave depends on it.
    let _ = stream.set_nodelay(true);
    let reset = ResetMark::default();
    let mark = reset.clone();
    // `poll_without_shutdown` wants a future that can be moved.
    let service = service_fn(move |request| Box::pin(serve(Arc::clone(&world), mark.clone(), request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // It ends in an error whenever the script breaks it or the other side leaves: both are in the log.
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if reset.is_set() {
        let stream = connection.into_parts().io.into_inner();
        // A socket that lingers for no time sends RST when it closes.
        let _ = stream.set_zero_linger();
    }
}

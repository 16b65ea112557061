//! Accepts connections and stops gracefully.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::Gate;
use super::routes;

/// Connections that are open at the same time.
const MAX_CONNECTIONS: usize = 16 * 1024;
/// How long a caller may take to send the head of a request; also how long an idle connection is kept.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(75);
/// The most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The pause after the system refused a connection for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves callers until `stop` is ready, then lets the requests in flight end, for as long as
/// `SHUTDOWN_TIMEOUT` says. Whether all of them ended is the answer.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    listener: StdListener,
    gate: Arc<Gate>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<bool> {
    listener.set_nonblocking(true).context("the listener cannot be used")?;
    let listener = TcpListener::from_std(listener).context("the listener cannot be used")?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .pipeline_flush(true);
    tokio::pin!(stop);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(cause = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Events are small and wanted at once; Nagle would hold them back.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(cause = %error, "TCP_NODELAY could not be set");
        }
        let gate = Arc::clone(&gate);
        let service = service_fn(move |request| {
            let gate = Arc::clone(&gate);
            async move { Ok::<_, std::convert::Infallible>(routes::answer(gate, request).await) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A caller that breaks its connection is no news; its request says so itself.
            if let Err(error) = connection.await {
                debug!(cause = %error, "a connection ended badly");
            }
            drop(place);
        });
    }
    drop(listener);
    let patience = gate.live().settings.timeouts.shutdown;
    Ok(tokio::time::timeout(patience, graceful.shutdown()).await.is_ok())
}

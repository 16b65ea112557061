//! Accepts connections and stops gracefully.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::Gate;
use super::routes;

/// Connections that are open at the same time.
const MAX_CONNECTIONS: u32 = 16 * 1024;
/// How long a caller may take to send the head of a request; also how long an idle connection is kept.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(75);
/// The most bytes of a request's head, and of what is read of its body at a time.
const MAX_HEAD_BYTES: usize = 256 * 1024;
/// How long an open connection may still bring a request after the stop: one that was on its way already would
/// otherwise meet a closed door.
const LAST_REQUEST: Duration = Duration::from_millis(250);
/// How long callers may take to read the error in which their streams end with the router.
const LAST_WORDS: Duration = Duration::from_millis(500);
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
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let (drain, draining) = watch::channel(Drain::Serving);
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
        match accepted {
            Ok((stream, _)) => {
                let connection = converse_with(stream, Arc::clone(&gate), draining.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(cause = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // The receivers of the connections are the only ones; without any there is nobody to tell.
    let _ = drain.send(Drain::Draining);
    let patience = gate.live().settings.timeouts.shutdown;
    // Every place is free when every connection has ended.
    let all_ended = tokio::time::timeout(patience, places.acquire_many(MAX_CONNECTIONS)).await.is_ok();
    if !all_ended {
        gate.close();
        let _ = drain.send(Drain::Closing);
        // Whoever does not take its last words by then loses its connection.
        let _ = tokio::time::timeout(LAST_WORDS, places.acquire_many(MAX_CONNECTIONS)).await;
    }
    Ok(all_ended)
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Drain {
    /// It has not.
    Serving,
    /// Nobody new is let in, and requests in flight go on.
    Draining,
    /// What still streams ends with an error.
    Closing,
}

/// Serves one connection until its caller closes it, or until the router stops and it is idle.
async fn converse_with(stream: TcpStream, gate: Arc<Gate>, mut draining: watch::Receiver<Drain>) {
    // Events are small and wanted at once; Nagle would hold them back.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(cause = %error, "TCP_NODELAY could not be set");
    }
    let (last, mut closing) = (draining.clone(), draining.clone());
    let service = service_fn(move |request| {
        let (gate, last) = (Arc::clone(&gate), last.clone());
        async move {
            // Boxed: the room that a request needs until it is answered is given back while it streams.
            // Made where it stays: it is too large to be moved there.
            let answer = Box::write(Box::new_uninit(), routes::answer(gate, request));
            let mut answer = Box::into_pin(answer).await;
            if *last.borrow() >= Drain::Draining {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let stopped = async {
        // An error means that the server is gone, which is a stop, too.
        let _ = draining.wait_for(|drain| *drain >= Drain::Draining).await;
        tokio::time::sleep(LAST_REQUEST).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            let last_words = async {
                let _ = closing.wait_for(|drain| *drain == Drain::Closing).await;
            };
            tokio::select! {
                ended = connection.as_mut() => ended,
                // Polled anew, the connection asks its stream, which then knows.
                () = last_words => connection.await,
            }
        }
    };
    // A caller that breaks its connection is no news; its request says so itself.
    if let Err(error) = ended {
        debug!(cause = %error, "a connection ended badly");
    }
}

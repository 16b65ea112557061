//! Pooled connections to the providers; the only user of the HTTP client.
//!
//! Plain and TLS connections have a client each, so that the certificate store is read when the first TLS
//! call is made and not at start. HTTP/2 is spoken where the provider offers it, `HTTPS_PROXY` and
//! `NO_PROXY` are honoured, redirects are never followed: a credential goes to the address it is for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hr_core::route::Permit;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tower_service::Service;

/// How long an idle connection to a provider is kept for the next call.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// How many idle connections to one provider are kept.
const POOL_IDLE_PER_HOST: usize = 256;
/// The buffer of a connection. Small, so that what a slow caller has not read yet waits at the provider.
const MAX_BUFFER: usize = 64 * 1024;
/// After how much silence the kernel asks whether the other side is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The machine has no usable certificate store.
    #[error("no root certificates were found; install `ca-certificates` or set `SSL_CERT_FILE`")]
    Certificates(#[source] std::io::Error),
    /// No connection, or one that broke.
    #[error("the connection failed")]
    Connection(#[source] hyper_util::client::legacy::Error),
}

/// What a request is sent for. A model works only for who holds a permit; they are made by the plan alone.
#[derive(Clone, Copy, Debug)]
pub enum Errand {
    /// A model's work, which may cost what the permit says.
    Model(Permit),
    /// No model's: a token is renewed, a list is read, the router itself is asked.
    Upkeep,
}

/// The clients for plain and TLS connections.
pub struct Client {
    dial: Dial,
    plain: Pooled<Dial, Full<Bytes>>,
    tls: OnceCell<Pooled<Within<HttpsConnector<Dial>>, Full<Bytes>>>,
    connect: Duration,
}

impl Client {
    /// A client whose connections, TLS included, must stand within `connect`.
    #[must_use]
    pub fn new(connect: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_connect_timeout(Some(connect));
        let dial = Dial { tcp, proxies: Arc::new(Matcher::from_env()) };
        let plain = builder().build(dial.clone());
        Self { dial, plain, tls: OnceCell::new(), connect }
    }

    /// The limit it was made with.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect
    }

    /// Sends a request on this errand and waits for the head of the answer. The caller bounds the wait.
    ///
    /// # Errors
    /// When no connection could be made or it broke before an answer's head was read.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        _errand: Errand,
    ) -> Result<Response<Incoming>, SendError> {
        let sent = if request.uri().scheme_str() == Some("https") {
            let tls =
                self.tls.get_or_try_init(|| self.tls_client()).await.map_err(SendError::Certificates)?;
            tls.request(request)
        } else {
            self.plain.request(request)
        };
        sent.await.map_err(SendError::Connection)
    }

    async fn tls_client(&self) -> std::io::Result<Pooled<Within<HttpsConnector<Dial>>, Full<Bytes>>> {
        let (dial, connect) = (self.dial.clone(), self.connect);
        // Reading the certificate store is file work of several milliseconds.
        let connector = tokio::task::spawn_blocking(move || {
            let provider = rustls::crypto::ring::default_provider();
            let connector = HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(provider)?
                .https_only()
                .enable_all_versions()
                .wrap_connector(dial);
            Ok::<_, std::io::Error>(connector)
        })
        .await
        .map_err(std::io::Error::other)??;
        Ok(builder().build(Within { inner: connector, limit: connect }))
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Pooled::builder(TokioExecutor::new());
    builder
        .http1_max_buf_size(MAX_BUFFER)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
        .pool_timer(TokioTimer::new());
    builder
}

/// Opens TCP connections: directly, or through the proxy that the environment names for TLS addresses.
#[derive(Clone)]
struct Dial {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = (uri.scheme_str() == Some("https")).then(|| self.proxies.intercept(&uri)).flatten();
        match proxy {
            None => {
                let connecting = self.tcp.call(uri);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                let connecting = tunnel.call(uri);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
        }
    }
}

/// A connector that must be done within a limit, TLS handshake included.
#[derive(Clone)]
struct Within<C> {
    inner: C,
    limit: Duration,
}

impl<C> Service<Uri> for Within<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(uri), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(elapsed) => Err(elapsed.into()),
            }
        })
    }
}

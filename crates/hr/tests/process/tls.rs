//! Real providers are behind TLS: certificates are checked, HTTP/2 is spoken, a proxy is used where one is named.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::router::{Router, provider};

/// A server of `localhost` behind TLS, and the authority that vouches for it.
struct Safe {
    address: SocketAddr,
    authority: String,
    /// The version and the `authorization` of each request.
    heard: Arc<Mutex<Vec<(Version, String)>>>,
}

impl Safe {
    async fn start(protocols: &[&[u8]]) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let mut config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A caller that does not trust the certificate goes away.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let answer = service_fn(|request| answer(request, Arc::clone(&log)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { address, authority: authority_pem, heard }
    }

    fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }

    /// A router that knows this server, in this environment besides.
    async fn router(&self, trusted: bool, environment: &[(&str, &str)]) -> Router {
        let folder = tempfile::TempDir::new().unwrap();
        let store = folder.path().join("authority.pem");
        let other = CertificateParams::new(Vec::new()).unwrap();
        let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        std::fs::write(&store, if trusted { &self.authority } else { &other }).unwrap();
        let store = store.display().to_string();
        let environment: Vec<_> =
            environment.iter().copied().chain([("SSL_CERT_FILE", store.as_str())]).collect();
        let (name, text) = provider("alpha", &self.base_url());
        let router = Router::start_in(&environment, "ALPHA_API_KEY=sk-alpha", &[(&name, text)]).await;
        // The certificate store is read with the first call.
        assert_eq!(
            router.caller().chat("hi").await.status,
            if trusted { 200 } else { 503 },
            "{}",
            router.log()
        );
        router
    }
}

async fn answer(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<(Version, String)>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    let key = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    log.lock().push((head.version, key.to_owned()));
    let message = json!({ "role": "assistant", "content": "safe" });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let reply =
        json!({ "id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice] });
    Ok(Response::new(Full::from(reply.to_string())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_behind_tls_is_called_over_http_2_and_1() {
    for (protocols, version) in [
        (&[b"h2".as_slice(), b"http/1.1".as_slice()][..], Version::HTTP_2),
        (&[b"http/1.1".as_slice()][..], Version::HTTP_11),
    ] {
        let safe = Safe::start(protocols).await;
        let router = safe.router(true, &[]).await;
        assert_eq!(router.caller().chat("hi").await.said(), "safe");
        assert!(safe.heard.lock().iter().all(|heard| *heard == (version, "Bearer sk-alpha".to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_vouches_for_gets_no_key() {
    let safe = Safe::start(&[b"http/1.1"]).await;
    let router = safe.router(false, &[]).await;
    assert!(safe.heard.lock().is_empty());
    assert!(router.log().contains("certificate"), "{}", router.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_the_environment_names_is_used_but_for_excepted_hosts() {
    let safe = Safe::start(&[b"http/1.1"]).await;
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let tunnels = Arc::new(AtomicUsize::new(0));
    let (count, to) = (Arc::clone(&tunnels), safe.address);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = proxy.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let length = near.read(&mut head).await.unwrap();
            assert!(head[..length].starts_with(b"CONNECT localhost:"));
            near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut far = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move {
                // It ends when either side has enough.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    safe.router(true, &[("HTTPS_PROXY", &address), ("NO_PROXY", "localhost")]).await;
    assert_eq!(tunnels.load(Ordering::SeqCst), 0);
    safe.router(true, &[("HTTPS_PROXY", &address)]).await;
    assert_eq!(tunnels.load(Ordering::SeqCst), 1);
}

//! Asking a router that runs: one small request over loopback, bounded in time and size.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hr_core::secret::Secret;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;

/// How long a router may take to answer a question of the command line.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What a router answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Where to reach a router that is bound to this address: a wildcard is reached over loopback.
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// `GET path` at the router; an error means that nobody answered.
pub fn get(address: SocketAddr, path: &str, key: Option<&Secret>) -> anyhow::Result<Answer> {
    get_within(address, path, key, PATIENCE)
}

/// The same with another limit.
pub fn get_within(
    address: SocketAddr,
    path: &str,
    key: Option<&Secret>,
    patience: Duration,
) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    runtime.block_on(async {
        tokio::time::timeout(patience, exchange(reachable(address), path, key))
            .await
            .with_context(|| format!("no answer from `{address}` within {} s", patience.as_secs_f32()))?
    })
}

async fn exchange(address: SocketAddr, path: &str, key: Option<&Secret>) -> anyhow::Result<Answer> {
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .with_context(|| format!("could not connect to `{address}`"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = hyper::Request::get(path).header(hyper::header::HOST, address.to_string());
    if let Some(key) = key {
        request = request.header(hyper::header::AUTHORIZATION, format!("Bearer {}", key.expose()));
    }
    let request = request.body(Empty::<Bytes>::new()).context("the access key does not fit into a header")?;
    let reply = sender.send_request(request).await?;
    let status = reply.status().as_u16();
    let body = Limited::new(reply.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!(error))
        .context("the answer broke off")?
        .to_bytes();
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_wildcard_is_reached_over_loopback() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(at("[::]:1"), "[::1]:1");
        assert_eq!(at("127.0.0.2:1"), "127.0.0.2:1");
    }

    #[test]
    fn carries_the_key_and_brings_back_status_and_body() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").unwrap();
            String::from_utf8(request).unwrap().to_lowercase()
        });
        let answer = get(address, "/v1/status", Some(&Secret::new("sk-router-x"))).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (401, &b"no"[..]));
        let request = server.join().unwrap();
        assert!(request.starts_with("get /v1/status http/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: bearer sk-router-x\r\n"), "{request}");
        assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
    }

    #[test]
    fn nobody_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(get(address, "/health", None).is_err());
    }
}

//! Addresses of providers that a person wrote, and whether one leads back to this router.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that a provider can be called at: scheme, host, port and path, nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    host: String,
    port: u16,
}

/// What this router itself can be reached at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    /// The host that it listens on.
    pub host: String,
    /// The port that it listens on.
    pub port: u16,
    /// Other names of this machine: its host name, its addresses, `ALLOWED_HOSTS`.
    pub aliases: Vec<String>,
}

/// Characters that are no part of an address unless they are percent-encoded.
const UNSAFE: [char; 9] = ['\\', '"', '<', '>', '^', '`', '{', '|', '}'];

impl Address {
    /// Reads an address. Trailing slashes are left out.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a clause that does not repeat it: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once("://").ok_or("the address must begin with `http://` or `https://`")?;
        let standard_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err("the address must begin with `http://` or `https://`".to_owned()),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(UNSAFE) {
            return Err("the address has a character that no address may have".to_owned());
        }
        if text.contains(['?', '#']) {
            return Err("the address must be without query and fragment".to_owned());
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err("the address must be without user and password".to_owned());
        }
        let (host, port) = host_and_port(authority).ok_or("the address names no valid host and port")?;
        Ok(Self {
            text: format!("{}://{}", scheme.to_ascii_lowercase(), rest.trim_end_matches('/')),
            host,
            port: port.unwrap_or(standard_port),
        })
    }

    /// Its host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The address as text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether what is sent there can be read on the way: it is not encrypted, and leaves this machine.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        self.text.starts_with("http://") && !is_this_machine(&self.host)
    }

    /// Whether it leads back to the router that can be reached at `own`.
    #[must_use]
    pub fn leads_to(&self, own: &OwnAddresses) -> bool {
        self.port == own.port
            && (is_this_machine(&self.host)
                || std::iter::once(&own.host).chain(&own.aliases).any(|name| same_host(name, &self.host)))
    }
}

/// The host in lower case without brackets, and the port when one is named.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return None,
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let named =
        host.contains(':') || host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if host.is_empty() || !named {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Whether two hosts are one, whatever the case and a final dot.
fn same_host(one: &str, other: &str) -> bool {
    match (ip(one), ip(other)) {
        (Some(one), Some(other)) => one == other,
        _ => bare(one) == bare(other),
    }
}

/// Whether a host is this machine whatever its name: loopback, or the address that stands for any.
fn is_this_machine(host: &str) -> bool {
    match ip(host) {
        Some(ip) => ip.is_loopback() || ip.is_unspecified(),
        None => {
            let name = bare(host);
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

/// The IP address that a host is, in every form that a resolver takes as one; an IPv4 one inside IPv6 as IPv4.
fn ip(host: &str) -> Option<IpAddr> {
    let host = bare(host);
    if let Ok(v6) = host.parse::<Ipv6Addr>() {
        return Some(v6.to_canonical());
    }
    old_ipv4(&host).map(IpAddr::V4)
}

/// An IPv4 address of one to four numbers, each decimal, octal (`0…`) or hexadecimal (`0x…`), of which the last
/// fills what is left: `127.1` and `2130706433` are `127.0.0.1`.
fn old_ipv4(host: &str) -> Option<Ipv4Addr> {
    let mut numbers = Vec::with_capacity(4);
    for part in host.split('.') {
        let number = if let Some(digits) = part.strip_prefix("0x") {
            if digits.is_empty() { Ok(0) } else { u32::from_str_radix(digits, 16) }
        } else if part.len() > 1 && part.starts_with('0') {
            u32::from_str_radix(&part[1..], 8)
        } else {
            part.parse()
        };
        numbers.push(number.ok().filter(|_| !part.starts_with('+'))?);
    }
    let (last, leading) = numbers.split_last()?;
    if leading.len() > 3 || leading.iter().any(|number| *number > 255) {
        return None;
    }
    let room = 32 - 8 * leading.len();
    if room < 32 && last >> room != 0 {
        return None;
    }
    let mut address = *last;
    for (place, number) in leading.iter().enumerate() {
        address |= number << (24 - 8 * place);
    }
    Some(Ipv4Addr::from(address))
}

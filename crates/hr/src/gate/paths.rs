//! The table of URLs, with all the ways in which base addresses are written down wrong, and what is spoken where.

use hr_core::catalog::Dialect;
use hr_wire::dialect::{ClientHalf, client_half};
use http::{HeaderMap, Method};

use super::endpoint::Endpoint;

/// Beginnings of a path that lead nowhere by themselves. Clients put some of them before every path by themselves,
/// people write them into the base address as well or leave them out, so any number of them means the same.
const PREFIXES: [&str; 3] = ["v1/", "openai/", "anthropic/"];

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// What this is.
    Welcome,
    /// Nothing, which browsers ask for.
    Favicon,
    /// That the router lives.
    Health,
    /// Its counters.
    Metrics,
    /// The names of models.
    Models,
    /// One of them.
    Model(&'a str),
    /// The state of the pool.
    Status,
    /// What is left of every limit.
    Quota,
    /// Why a request went where it went.
    Decision(&'a str),
    /// Where a request would go.
    Explain,
    /// Something that the pool serves.
    Ask(Endpoint),
    /// How many tokens a conversation is.
    Count,
    /// A reply that was kept.
    Reply(&'a str),
    /// What led to it.
    ReplyInput(&'a str),
}

impl Page<'_> {
    /// The methods that it answers to, as a header says them.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self {
            Self::Ask(_) | Self::Count => "POST",
            Self::Reply(_) => "GET, HEAD, DELETE",
            _ => "GET, HEAD",
        }
    }

    /// Whether it answers to this method.
    #[must_use]
    pub fn answers_to(self, method: &Method) -> bool {
        self.allow().split(", ").any(|known| known == method.as_str())
    }
}

/// Where a path leads.
#[must_use]
pub fn page(path: &str) -> Option<Page<'_>> {
    let path = below_prefixes(path);
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    Some(match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Page::Welcome,
        (Some("favicon.ico"), None, _) => Page::Favicon,
        (Some("health"), None, _) => Page::Health,
        (Some("metrics"), None, _) => Page::Metrics,
        (Some("status"), None, _) => Page::Status,
        (Some("quota"), None, _) => Page::Quota,
        (Some("decisions"), Some(id), None) => Page::Decision(id),
        (Some("explain"), None, _) => Page::Explain,
        (Some("models"), None, _) => Page::Models,
        (Some("models"), Some(_), _) => {
            // Names of models have slashes in them.
            Page::Model(path.trim_start_matches("models").trim_matches('/'))
        }
        (Some("chat"), Some("completions"), None) => Page::Ask(Endpoint::Chat),
        (Some("completions"), None, _) => Page::Ask(Endpoint::Completions),
        (Some("messages"), None, _) => Page::Ask(Endpoint::Messages),
        (Some("messages"), Some("count_tokens"), None) => Page::Count,
        (Some("responses"), None, _) => Page::Ask(Endpoint::Responses),
        // An endpoint of some servers, and no id: who finds none here shortens a conversation by itself.
        (Some("responses"), Some("compact"), None) => return None,
        (Some("responses"), Some(id), None) => Page::Reply(id),
        (Some("responses"), Some(id), Some("input_items")) => Page::ReplyInput(id),
        (Some("embeddings"), None, _) => Page::Ask(Endpoint::Embeddings),
        _ => return None,
    })
}

fn below_prefixes(path: &str) -> &str {
    let mut rest = path.trim_start_matches('/');
    let below = |rest: &'_ str, prefix: &str| match rest.strip_prefix(prefix.trim_end_matches('/'))? {
        "" => Some(rest.len()),
        more => more.starts_with('/').then_some(prefix.len()),
    };
    while let Some(length) = PREFIXES.iter().find_map(|prefix| below(rest, prefix)) {
        rest = rest[length..].trim_start_matches('/');
    }
    rest
}

/// What somebody speaks who calls this path with these headers. The path decides where it can.
#[must_use]
pub fn speaks(path: &str, headers: &HeaderMap) -> &'static dyn ClientHalf {
    match page(path) {
        Some(Page::Ask(endpoint)) => return endpoint.client(),
        Some(Page::Count) => return client_half(Dialect::Anthropic),
        Some(Page::Reply(_) | Page::ReplyInput(_)) => return client_half(Dialect::OpenaiResponses),
        Some(_) => {}
        None => {
            let has = |word| path.split('/').any(|part| part == word);
            if has("messages") || has(Dialect::Anthropic.name()) {
                return client_half(Dialect::Anthropic);
            }
            if has("responses") {
                return client_half(Dialect::OpenaiResponses);
            }
            if has("completions") {
                return client_half(Dialect::OpenaiChat);
            }
        }
    }
    let anthropic = headers.contains_key("anthropic-version") || headers.contains_key("x-api-key");
    client_half(if anthropic { Dialect::Anthropic } else { Dialect::OpenaiChat })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_url_has_its_page() {
        for (path, wanted) in [
            ("/", Page::Welcome),
            ("/v1", Page::Welcome),
            ("/health", Page::Health),
            ("/v1/decisions/req_1", Page::Decision("req_1")),
            ("/decisions/last/", Page::Decision("last")),
            ("/v1/explain", Page::Explain),
            ("/v1/models", Page::Models),
            ("/models/", Page::Models),
            ("/v1/models/groq/x", Page::Model("groq/x")),
            ("/v1/models/models/x:free", Page::Model("models/x:free")),
            ("/v1/chat/completions", Page::Ask(Endpoint::Chat)),
            ("/chat/completions/", Page::Ask(Endpoint::Chat)),
            ("/v1/v1/chat/completions", Page::Ask(Endpoint::Chat)),
            ("/openai/v1/chat/completions", Page::Ask(Endpoint::Chat)),
            ("//v1//chat//completions", Page::Ask(Endpoint::Chat)),
            ("/v1/completions", Page::Ask(Endpoint::Completions)),
            ("/anthropic/v1/messages", Page::Ask(Endpoint::Messages)),
            ("/v1/anthropic/v1/messages", Page::Ask(Endpoint::Messages)),
            ("/messages", Page::Ask(Endpoint::Messages)),
            ("/v1/responses/", Page::Ask(Endpoint::Responses)),
            ("/v1/responses/resp_1", Page::Reply("resp_1")),
            ("/responses/resp_1/input_items", Page::ReplyInput("resp_1")),
            ("/anthropic/v1/messages/count_tokens", Page::Count),
        ] {
            assert_eq!(page(path), Some(wanted), "{path}");
        }
        for path in
            ["/nowhere", "/v1/chat", "/v1/chat/completions/x", "/v2/messages", "/v1/responses/compact"]
        {
            assert_eq!(page(path), None, "{path}");
        }
    }
}

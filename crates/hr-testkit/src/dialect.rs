//! What a fake speaks: which paths it knows, and how it words what is not about the content of an answer.

use serde_json::{Value, json};

use crate::refusal::Refusal;

/// What a fake speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI Chat Completions, and embeddings beside them.
    #[default]
    Chat,
    /// Anthropic Messages, and the counting of tokens beside them.
    Anthropic,
    /// OpenAI Responses, as the platform serves them to API keys.
    Responses,
    /// OpenAI Responses, as the backend of a ChatGPT subscription serves them.
    Codex,
}

/// What a path of a dialect is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Answers of a model.
    Generate,
    /// Vectors.
    Embeddings,
    /// The list of models.
    Models,
    /// The count of a prompt's tokens.
    Count,
    /// A long conversation made short.
    Compact,
    /// What a subscription has used.
    Usage,
    /// New tokens for old ones.
    Token,
}

impl Endpoint {
    /// Whether only rules that name its path are about it.
    pub(crate) fn is_aside(self) -> bool {
        !matches!(self, Endpoint::Generate | Endpoint::Embeddings)
    }
}

/// Where a subscription's tokens are renewed.
pub(crate) const TOKEN_PATH: &str = "/oauth/token";

impl Dialect {
    /// Where the paths of this dialect begin.
    pub(crate) fn base_path(self) -> &'static str {
        match self {
            Dialect::Codex => "/backend-api/codex",
            _ => "/v1",
        }
    }

    /// What a path is for; `None` when the real server does not know it.
    pub(crate) fn endpoint(self, method: &str, path: &str) -> Option<Endpoint> {
        let inner = path.strip_prefix(self.base_path());
        match (self, method, inner) {
            (Dialect::Codex, "POST", _) if path == TOKEN_PATH => Some(Endpoint::Token),
            (Dialect::Codex, "GET", _) if path == "/backend-api/wham/usage" => Some(Endpoint::Usage),
            (Dialect::Codex | Dialect::Responses, "POST", Some("/responses/compact")) => {
                Some(Endpoint::Compact)
            }
            (Dialect::Codex | Dialect::Responses, "POST", Some("/responses"))
            | (Dialect::Anthropic, "POST", Some("/messages")) => Some(Endpoint::Generate),
            (Dialect::Anthropic, "POST", Some("/messages/count_tokens")) => Some(Endpoint::Count),
            (Dialect::Anthropic | Dialect::Responses | Dialect::Codex, "GET", Some("/models")) => {
                Some(Endpoint::Models)
            }
            // Chat is served below many bases, so only the end of the path counts.
            (Dialect::Chat, "GET", _) if path.ends_with("/models") => Some(Endpoint::Models),
            (Dialect::Chat, "POST", _) if path.ends_with("/chat/completions") => Some(Endpoint::Generate),
            (Dialect::Chat, "POST", _) if path.ends_with("/embeddings") => Some(Endpoint::Embeddings),
            _ => None,
        }
    }

    /// The refusal of a path that it does not know.
    pub(crate) fn unknown_path(self, method: &str, path: &str) -> Refusal {
        match self {
            Dialect::Anthropic => Refusal::new(404, "not_found_error", "", "Not Found"),
            Dialect::Codex if path.ends_with("/chat/completions") => Refusal::page(403),
            Dialect::Codex => Refusal::detail(404, "Not Found"),
            Dialect::Chat | Dialect::Responses => {
                let text = format!("Invalid URL ({method} {path})");
                Refusal::new(404, "invalid_request_error", "unknown_url", text)
            }
        }
    }

    /// The refusal of a key that it does not know.
    pub(crate) fn unknown_key(self) -> Refusal {
        match self {
            Dialect::Chat | Dialect::Responses => Refusal::bad_key(),
            Dialect::Anthropic => Refusal::new(401, "authentication_error", "", "invalid x-api-key"),
            Dialect::Codex => Refusal::detail(401, "Unauthorized"),
        }
    }

    /// An error in this dialect's own envelope.
    pub(crate) fn envelope(self, status: u16, error: &Value) -> Value {
        match self {
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_kind(status, &error["type"]), "message": error["message"]},
                "request_id": "req_fake",
            }),
            _ => json!({"error": error}),
        }
    }

    /// The list of models.
    pub(crate) fn models(self, models: &[String]) -> Value {
        let all = |entry: fn(&String) -> Value| models.iter().map(entry).collect::<Vec<_>>();
        match self {
            Dialect::Chat | Dialect::Responses => {
                let data = all(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "fake"}));
                json!({"object": "list", "data": data})
            }
            Dialect::Anthropic => {
                let data = all(|id| {
                    json!({
                        "type": "model",
                        "id": id,
                        "display_name": id,
                        "created_at": "2026-01-01T00:00:00Z",
                    })
                });
                json!({"data": data, "has_more": false, "first_id": models.first(), "last_id": models.last()})
            }
            Dialect::Codex => {
                let models = all(|id| {
                    json!({
                        "slug": id,
                        "display_name": id,
                        "visibility": "list",
                        "supported_in_api": true,
                        "context_window": 272_000,
                        "default_reasoning_level": "medium",
                        "supported_reasoning_levels": [
                            {"effort": "low", "description": "fast"},
                            {"effort": "medium", "description": "balanced"},
                            {"effort": "high", "description": "thorough"},
                        ],
                    })
                });
                json!({"models": models})
            }
        }
    }
}

/// The error types that Anthropic documents.
const ANTHROPIC_KINDS: [&str; 10] = [
    "api_error",
    "authentication_error",
    "billing_error",
    "invalid_request_error",
    "not_found_error",
    "overloaded_error",
    "permission_error",
    "rate_limit_error",
    "request_too_large",
    "timeout_error",
];

/// The scripted type when Anthropic has it, else the one that belongs to the status.
fn anthropic_kind(status: u16, scripted: &Value) -> &'static str {
    let by_status = match status {
        400 | 410 | 422 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    };
    // OpenAI words most refusals as `invalid_request_error`, whatever the status.
    let fitting = |kind: &&&str| scripted == **kind && (**kind != "invalid_request_error" || status == 400);
    ANTHROPIC_KINDS.iter().find(fitting).copied().unwrap_or(by_status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_knows_its_own_paths_only() {
        let asked = [
            "/v1/chat/completions",
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/responses",
            "/backend-api/codex/responses",
        ];
        let known = |dialect: Dialect| -> Vec<&str> {
            asked.into_iter().filter(|path| dialect.endpoint("POST", path).is_some()).collect()
        };
        assert_eq!(known(Dialect::Chat), asked[..1]);
        assert_eq!(known(Dialect::Anthropic), asked[1..3]);
        assert_eq!(known(Dialect::Responses), asked[3..4]);
        assert_eq!(known(Dialect::Codex), asked[4..]);
        let refused = Dialect::Codex.unknown_path("POST", "/backend-api/codex/chat/completions");
        assert_eq!(refused.status, 403);
    }

    #[test]
    fn the_kind_of_an_error_is_one_that_anthropic_has() {
        let kind = |status, scripted: &str| anthropic_kind(status, &scripted.into());
        assert_eq!(kind(401, "invalid_request_error"), "authentication_error");
        assert_eq!(kind(400, "invalid_request_error"), "invalid_request_error");
        assert_eq!(kind(400, "overloaded_error"), "overloaded_error");
        assert_eq!(kind(500, "server_error"), "api_error");
        assert_eq!(kind(529, "overloaded_error"), "overloaded_error");
    }
}

//! Error answers as providers send them, and what each must be taken for.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::time::Duration;

use hr_core::catalog::ErrorRow;
use hr_core::failure::{Failure, FailureKind as Kind, Scope};
use hr_core::time::Millis;
use hr_wire::complaint::{OPAQUE_PARAM, read_error};
use hr_wire::openai_chat::{read_embedding, read_whole};

/// 2026-09-07T16:53:20Z.
const NOW: Millis = Millis(1_788_800_000_000);

fn read(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Failure {
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    read_error(status, &header, body.as_bytes(), &[], NOW)
}

fn seconds(failure: &Failure) -> Option<f64> {
    failure.retry_after.map(|wait| wait.as_secs_f64())
}

/// Status, body, kind, scope, retry hint in seconds.
type Row = (u16, &'static str, Kind, Option<Scope>, Option<f64>);

fn hold(table: &[Row]) {
    for (status, body, kind, scope, retry) in table {
        let failure = read(*status, &[], body);
        assert_eq!(
            (failure.kind, failure.scope, seconds(&failure)),
            (*kind, *scope, *retry),
            "{status} {body}"
        );
        assert_eq!(failure.status, Some(*status));
        assert!(!failure.message.is_empty());
    }
}

#[test]
fn keys_and_money() {
    hold(&[
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-…","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            Kind::BadKey,
            None,
            None,
        ),
        (401, r#"{"error":{"code":401,"message":"User not found."}}"#, Kind::BadKey, None, None),
        (401, r#"{"message":"Unauthorized","request_id":"1"}"#, Kind::BadKey, None, None),
        (401, r#"{"error":"Unauthorized"}"#, Kind::BadKey, None, None),
        (
            401,
            r#"{"message":"Wrong API Key","type":"invalid_request_error","param":"api_key","code":"wrong_api_key"}"#,
            Kind::BadKey,
            None,
            None,
        ),
        (401, r#"{"id":"x","message":"invalid api token"}"#, Kind::BadKey, None, None),
        (
            401,
            r#"{"error":{"code":"1001","message":"Header Authorization missing"}}"#,
            Kind::BadKey,
            None,
            None,
        ),
        (401, "", Kind::BadKey, None, None),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#,
            Kind::BadKey,
            None,
            None,
        ),
        (
            403,
            r#"{"status":403,"title":"Forbidden","detail":"Authorization failed"}"#,
            Kind::BadKey,
            None,
            None,
        ),
        (
            402,
            r#"{"error":"You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits."}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            402,
            r#"{"error":{"message":"A payment method is required. Add one at …","type":"PAYMENT_METHOD_REQUIRED","code":null},"request_id":"r"}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            402,
            r#"{"error":{"code":402,"message":"This request requires more credits, or fewer max_tokens. You requested up to 4000 tokens, but can only afford 12"}}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            402,
            r#"{"error":{"code":402,"message":"In flight budget","metadata":{"reason":"in_flight_budget_exhausted"}}}"#,
            Kind::RateLimited,
            Some(Scope::Key),
            None,
        ),
        (402, "", Kind::NoMoney, None, None),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"message":"Your account balance is not enough","type":"exceeded_current_quota_error"}}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            Kind::NoMoney,
            None,
            None,
        ),
        (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Spend","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
            Kind::NoMoney,
            None,
            None,
        ),
    ]);
}

#[test]
fn models_and_places() {
    hold(&[
        (
            404,
            r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            404,
            r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (404, "404 page not found", Kind::ModelMissing, None, None),
        (
            404,
            r#"{"error":{"code":404,"message":"No endpoints found for x/y:free."}}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            404,
            r#"{"error":{"code":404,"message":"No endpoints found that support tool use."}}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            404,
            r#"{"status":404,"title":"Not Found","detail":"Function 'ab-cd': Not found for account 'ef'"}"#,
            Kind::ModelForbidden,
            Some(Scope::KeyModel),
            None,
        ),
        (
            400,
            r#"{"error":{"code":"1211","message":"Unknown Model, please check the model code."}}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            400,
            r#"{"error":"No models loaded. Please load a model in the developer page or use the 'lms load' command."}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            404,
            r#"{"error":{"message":"model 'x' not found","type":"not_found_error","param":null,"code":null}}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            410,
            r#"{"status":410,"title":"Gone","detail":"The model 'a/b' has reached its end of life on 2026-07-27T00:00:00Z and is no longer available."}"#,
            Kind::ModelGone,
            Some(Scope::Model),
            None,
        ),
        (410, "", Kind::ModelGone, Some(Scope::Model), None),
        (
            400,
            r#"{"error":{"message":"The model `x` has been decommissioned and is no longer supported.","type":"invalid_request_error","code":"model_decommissioned"}}"#,
            Kind::ModelGone,
            Some(Scope::Model),
            None,
        ),
        (
            403,
            r#"{"error":{"message":"this model requires a subscription"}}"#,
            Kind::ModelForbidden,
            Some(Scope::KeyModel),
            None,
        ),
        (
            403,
            r#"{"object":"error","message":"Not enabled","type":"forbidden","param":null,"code":"1913"}"#,
            Kind::ModelForbidden,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"code":"1311","message":"Your current subscription plan does not yet include access to GLM-5"}}"#,
            Kind::ModelForbidden,
            Some(Scope::KeyModel),
            None,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}]"#,
            Kind::ProviderGone,
            None,
            None,
        ),
        (
            403,
            r#"{"error":{"message":"… only available for Coding Agents such as …","type":"access_terminated_error"}}"#,
            Kind::ProviderGone,
            None,
            None,
        ),
    ]);
}

#[test]
fn sizes_and_parameters() {
    hold(&[
        (
            413,
            r#"{"error":{"message":"Request too large for model `x` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 8000, Requested 11088, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (413, "<html><body><h1>413 Request Entity Too Large</h1></body></html>", Kind::TooLarge, None, None),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"code":"1261","message":"Prompt exceeds max length"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            400,
            r#"{"error":"The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5000 >= n_ctx: 4096)"}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 250000 tokens > 200000 maximum"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"message":"Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 50000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"message":"`logprobs` is not supported with this model","type":"invalid_request_error","param":"logprobs"}}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            400,
            r#"{"error":"registry.ollama.ai/library/x does not support tools"}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            400,
            r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            400,
            r#"{"object":"error","message":"Tool call id was call_abc but must be a-z, A-Z, 0-9, with a length of 9.","type":"invalid_function_call","param":null,"code":"3280"}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            501,
            r#"{"error":{"code":501,"message":"This server does not support embeddings.","type":"not_supported_error"}}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=f{}</function>"}}"#,
            Kind::Malformed,
            Some(Scope::Model),
            None,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid value for 'messages': expected an array.","type":"invalid_request_error","param":"messages","code":"invalid_type"}}"#,
            Kind::CallerMistake,
            None,
            None,
        ),
        (
            422,
            r#"{"detail":[{"type":"missing","loc":["body","messages",0,"content"],"msg":"Field required"}]}"#,
            Kind::CallerMistake,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"code":"1301","message":"System detected potentially unsafe or sensitive content in input"}}"#,
            Kind::ContentRefused,
            None,
            None,
        ),
        (
            403,
            r#"{"error":{"code":403,"message":"Input was flagged","metadata":{"reasons":["violence"],"flagged_input":"…"}}}"#,
            Kind::ContentRefused,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"message":"The request was rejected because it was considered high risk","type":"content_filter"}}"#,
            Kind::ContentRefused,
            None,
            None,
        ),
    ]);
}

#[test]
fn what_an_error_quotes_does_not_decide() {
    hold(&[
        (
            422,
            r#"{"detail":[{"type":"string_type","loc":["body","messages",0,"name"],"msg":"Input should be a valid string","input":["why does it say invalid api key and rate limit?"]}]}"#,
            Kind::CallerMistake,
            None,
            None,
        ),
        (
            400,
            r#"{"error":{"message":"Failed to call a function.","code":"tool_use_failed","failed_generation":"insufficient_quota"}}"#,
            Kind::Malformed,
            Some(Scope::Model),
            None,
        ),
    ]);
}

#[test]
fn the_refused_parameter_is_named() {
    let table = [
        (
            400,
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens'","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            "max_tokens",
        ),
        (
            422,
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{}}]},"type":"invalid_request_error"}"#,
            "stream_options",
        ),
        (
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","messages",1,"reasoning_content"],"msg":"Extra inputs are not permitted"}]}"#,
            "messages[1].reasoning_content",
        ),
        (
            400,
            r#"{"message":"body.logit_bias: property 'body.logit_bias' is unsupported","type":"invalid_request_error","param":"","code":"wrong_api_format"}"#,
            "",
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
            "seed",
        ),
        (400, r#"{"error":{"message":"property 'reasoning_effort' is unsupported"}}"#, "reasoning_effort"),
    ];
    for (status, body, param) in table {
        let failure = read(status, &[], body);
        assert_eq!(failure.kind, Kind::Unsupported, "{body}");
        if !param.is_empty() {
            assert_eq!(failure.param.as_deref(), Some(param), "{body}");
        }
    }
}

#[test]
fn what_somebody_else_issued_is_told_from_other_refusals() {
    for body in [
        r#"{"error":{"code":"invalid_encrypted_content","type":"invalid_request_error","param":"input","message":"The encrypted content for item rs_1 could not be verified. Reason: the organization 'org-1' is another."}}"#,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid `signature` in `thinking` block"}}"#,
    ] {
        let failure = read(400, &[], body);
        assert_eq!(
            (failure.kind, failure.param.as_deref()),
            (Kind::Unsupported, Some(OPAQUE_PARAM)),
            "{body}"
        );
    }
}

#[test]
fn limits_and_their_windows() {
    hold(&[
        (
            429,
            r#"{"error":{"message":"Rate limit reached for model `x` in organization `org` on tokens per day (TPD): Limit 200000, Used 199000, Requested 1500. Please try again in 23m51.216s. Need more tokens? Upgrade…","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Kind::QuotaSpent,
            Some(Scope::KeyModel),
            Some(1431.216),
        ),
        (
            429,
            r#"{"error":{"message":"Rate limit reached for model `x` on tokens per minute (TPM): Limit 6000. Please try again in 7.66s.","code":"rate_limit_exceeded"}}"#,
            Kind::RateLimited,
            Some(Scope::KeyModel),
            Some(7.66),
        ),
        (
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: m, limit: 20, model: g-lite Please retry in 37.295530399s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}]"#,
            Kind::RateLimited,
            Some(Scope::KeyModel),
            Some(34.4),
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 38s.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"},{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"38s"}]}}"#,
            Kind::QuotaSpent,
            Some(Scope::KeyModel),
            None,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1788825600000"}}}}"#,
            Kind::QuotaSpent,
            None,
            Some(25_600.0),
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min. Add 10 credits to unlock 1000 free model requests per day"}}"#,
            Kind::RateLimited,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"x/y:free is temporarily rate-limited upstream. Please retry shortly, or add your own key","provider_name":"P"}}}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            429,
            r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#,
            Kind::RateLimited,
            None,
            None,
        ),
        (
            429,
            r#"{"id":"x","message":"You are using a Trial key, which is limited to 20 API calls / minute. You can continue to use the Trial key for free or upgrade"}"#,
            Kind::RateLimited,
            None,
            None,
        ),
        (
            429,
            r#"{"id":"x","message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
            Kind::QuotaSpent,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"code":"1302","message":"Rate limit reached for requests"}}"#,
            Kind::RateLimited,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"code":"1305","message":"The service may be temporarily overloaded, please try again later"}}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            429,
            r#"{"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-09-08 01:02:03"}}"#,
            Kind::QuotaSpent,
            None,
            // By the text in eight hours, which no five hours can be.
            Some(18_000.0),
        ),
        (
            429,
            r#"{"error":{"code":"1310","message":"Weekly/Monthly Limit Exhausted."}}"#,
            Kind::QuotaSpent,
            None,
            None,
        ),
        (
            429,
            r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            429,
            r#"{"message":"We're experiencing high traffic right now!","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            429,
            r#"{"message":"Tokens per day limit exceeded","type":"too_many_tokens_error","param":"quota","code":"token_quota_exceeded"}"#,
            Kind::QuotaSpent,
            None,
            None,
        ),
        (429, r#"{"status":429,"title":"Too Many Requests"}"#, Kind::RateLimited, None, None),
        (429, "", Kind::RateLimited, None, None),
        (429, "<html>slow down</html>", Kind::RateLimited, None, None),
        (
            429,
            r#"{"error":{"message":"slow down","retry_after_seconds":12}}"#,
            Kind::RateLimited,
            None,
            Some(12.0),
        ),
        (429, r#"{"error":{"message":"limit","resets_at":1788800090}}"#, Kind::RateLimited, None, Some(90.0)),
        (429, r#"{"error":{"message":"limit","retry_after":-3}}"#, Kind::RateLimited, None, None),
    ]);
}

#[test]
fn broken_providers() {
    hold(&[
        (
            500,
            r#"{"error":{"message":"The server had an error while processing your request","type":"server_error"}}"#,
            Kind::ServerError,
            None,
            None,
        ),
        (500, "", Kind::ServerError, None, None),
        (502, "<html><head><title>502 Bad Gateway</title></head></html>", Kind::ServerError, None, None),
        (
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            503,
            r#"{"error":"server busy, please try again. maximum pending requests exceeded"}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (503, "", Kind::Overloaded, None, None),
        (
            503,
            r#"[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (498, r#"{"error":{"message":"Flex tier","type":"flex"}}"#, Kind::Overloaded, None, None),
        (
            400,
            r#"{"detail":"Function id 'ab': DEGRADED function cannot be invoked"}"#,
            Kind::Overloaded,
            Some(Scope::Model),
            None,
        ),
        (
            500,
            r#"{"error":"model requires more system memory (8 GiB) than is available (4 GiB)"}"#,
            Kind::ServerError,
            None,
            None,
        ),
        (504, "upstream request timeout", Kind::Timeout, None, None),
        (408, r#"{"error":{"code":408,"message":"timeout"}}"#, Kind::Timeout, None, None),
        (409, r#"{"error":{"message":"conflict"}}"#, Kind::ServerError, None, None),
        (508, r#"{"error":{"message":"loop"}}"#, Kind::Loop, None, None),
        (302, "", Kind::Malformed, None, None),
        (403, "error code: 1010", Kind::Malformed, None, None),
        (
            403,
            "<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title></html>",
            Kind::Malformed,
            None,
            None,
        ),
        (404, "<html>nginx</html>", Kind::Malformed, None, None),
        (400, "<html>Bad Request</html>", Kind::Malformed, None, None),
        (400, "", Kind::Malformed, None, None),
        (400, r#"{"error":{"mess"#, Kind::Malformed, None, None),
    ]);
    let binary = read_error(400, &|_| None, b"\xff\xfe\x00", &[], NOW);
    assert_eq!(binary.kind, Kind::Malformed);
}

#[test]
fn a_window_that_is_used_up_speaks_for_the_account() {
    let windows = [
        ("retry-after", "30"),
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "10080"),
        ("x-codex-primary-reset-at", "1789200000"),
        ("x-codex-secondary-used-percent", "0"),
        ("x-codex-secondary-reset-at", ""),
    ];
    for body in [
        r#"{"detail":"Rate limit exceeded"}"#,
        "",
        r#"{"error":{"type":"usage_limit_reached","message":"x"}}"#,
    ] {
        let failure = read(429, &windows, body);
        assert_eq!((failure.kind, seconds(&failure)), (Kind::QuotaSpent, Some(400_000.0)), "{body}");
    }
    let failure = read(429, &windows, r#"{"detail":"Rate limit exceeded"}"#);
    assert_eq!(failure.scope, Some(Scope::Key));
    let failure = read(429, &windows[..1], r#"{"detail":"Rate limit exceeded"}"#);
    assert_eq!((failure.kind, seconds(&failure)), (Kind::RateLimited, Some(30.0)));
    let failure = read(503, &windows, r#"{"error":{"code":"server_is_overloaded","message":"x"}}"#);
    assert_eq!((failure.kind, seconds(&failure)), (Kind::Overloaded, Some(30.0)));
}

#[test]
fn headers_come_before_bodies() {
    let body = r#"{"error":{"message":"Please try again in 9s.","retry_after":7}}"#;
    type Headers = &'static [(&'static str, &'static str)];
    let table: [(Headers, Option<f64>); 7] = [
        (&[], Some(7.0)),
        (&[("retry-after", "30"), ("retry-after-ms", "250")], Some(0.25)),
        (&[("retry-after", "1.5")], Some(1.5)),
        (&[("retry-after", "Mon, 07 Sep 2026 16:54:20 GMT")], Some(60.0)),
        (&[("retry-after", "-1")], Some(7.0)),
        (&[("retry-after", "99999999999")], Some(604_800.0)),
        (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "370ms")], Some(0.37)),
    ];
    for (headers, wanted) in table {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let failure = read_error(429, &header, body.as_bytes(), &[], NOW);
        assert_eq!(seconds(&failure), wanted, "{headers:?}");
    }
    let messages = [
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-09-07T16:53:50Z"),
    ];
    let header = |name: &str| messages.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    assert_eq!(seconds(&read_error(429, &header, b"{}", &[], NOW)), Some(30.0));
}

#[test]
fn rows_of_the_catalogue_come_first() {
    let row = |status, code: Option<&str>, contains: Option<&str>, kind| ErrorRow {
        status,
        code: code.map(str::to_owned),
        contains: contains.map(str::to_owned),
        kind,
        scope: Some(Scope::Provider),
        wait: Some(Duration::from_secs(5)),
        limit: None,
        hint: None,
    };
    let rows = [
        row(Some(429), Some("1308"), None, Kind::QuotaSpent),
        row(None, None, Some("promotion has ended"), Kind::ModelGone),
        row(Some(410), None, None, Kind::ProviderGone),
    ];
    let read = |status, body: &str| read_error(status, &|_| None, body.as_bytes(), &rows, NOW);
    let by_code = read(429, r#"{"error":{"code":1308,"message":"x"}}"#);
    assert_eq!(
        (by_code.kind, by_code.scope, seconds(&by_code)),
        (Kind::QuotaSpent, Some(Scope::Provider), Some(5.0))
    );
    assert_eq!(read(401, r#"{"error":{"message":"Promotion has ended"}}"#).kind, Kind::ModelGone);
    assert_eq!(read(410, "").kind, Kind::ProviderGone);
    assert_eq!(read(429, r#"{"error":{"code":1309,"message":"x"}}"#).kind, Kind::RateLimited);
    let hinted = read(429, r#"{"error":{"code":1308,"message":"try again in 2s"}}"#);
    assert_eq!(seconds(&hinted), Some(2.0));
}

#[test]
fn successes_that_are_none() {
    let answer = |message: &str, finish: &str| {
        format!(
            r#"{{"id":"1","model":"m","choices":[{{"index":0,"message":{message},"finish_reason":"{finish}"}}]}}"#
        )
    };
    let table = [
        (String::new(), Kind::Empty),
        ("<html>maintenance</html>".to_owned(), Kind::Malformed),
        ("hello".to_owned(), Kind::Malformed),
        (r#"{"id":"1","choices":[{"index":0,"mess"#.to_owned(), Kind::Malformed),
        (r#"{"error":{"code":429,"message":"Rate limit exceeded"}}"#.to_owned(), Kind::RateLimited),
        (r#"{"status":429,"title":"Too Many Requests"}"#.to_owned(), Kind::RateLimited),
        (r#"{"error":{"code":401,"message":"bad"}}"#.to_owned(), Kind::BadKey),
        (r#"{"error":"something odd"}"#.to_owned(), Kind::ServerError),
        (r#"{"id":"1","choices":[],"usage":{}}"#.to_owned(), Kind::Empty),
        (answer(r#"{"role":"assistant","content":null}"#, "stop"), Kind::Empty),
        (answer(r#"{"role":"assistant","content":" \n\t"}"#, "stop"), Kind::Empty),
        (answer(r#"{"role":"assistant","content":"","tool_calls":[]}"#, "stop"), Kind::Empty),
        (answer(r#"{"role":"assistant","content":"","reasoning":"hm"}"#, "stop"), Kind::Empty),
        (answer(r#"{"role":"assistant","content":""}"#, "content_filter"), Kind::ContentRefused),
    ];
    for (body, kind) in table {
        let failure = read_whole(body.as_bytes(), &[], NOW).expect_err(&body);
        assert_eq!(failure.kind, kind, "{body}");
    }
    for (message, finish) in [
        (r#"{"content":"Paris"}"#, "stop"),
        (r#"{"content":null,"reasoning_content":"hm"}"#, "length"),
        (r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]}"#, "tool_calls"),
        (r#"{"refusal":"no"}"#, "stop"),
        (r#"{"content":[{"type":"text","text":"x"}]}"#, "stop"),
    ] {
        read_whole(answer(message, finish).as_bytes(), &[], NOW).expect(message);
    }
}

#[test]
fn embeddings_that_are_none() {
    let good = r#"{"object":"list","data":[{"index":0,"embedding":[0.1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    assert_eq!(read_embedding(good.as_bytes(), &[], NOW).unwrap().input, Some(3));
    assert_eq!(read_embedding(br#"{"data":[]}"#, &[], NOW).unwrap_err().kind, Kind::Empty);
    assert_eq!(
        read_embedding(br#"{"error":{"code":429,"message":"x"}}"#, &[], NOW).unwrap_err().kind,
        Kind::RateLimited
    );
    assert_eq!(read_embedding(b"<html>", &[], NOW).unwrap_err().kind, Kind::Malformed);
}

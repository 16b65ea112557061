//! What the providers of the catalogue answer, read by their own rows: the fixtures of the wire facts.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use hr_core::catalog::builtin;
use hr_core::failure::{Failure, FailureKind as Kind, Scope};
use hr_core::time::Millis;
use hr_wire::complaint::read_error;
use hr_wire::openai_chat::read_whole;

/// 2026-09-07T16:53:20Z.
const NOW: Millis = Millis(1_788_800_000_000);

fn read(provider: &str, status: u16, header: (&str, &'static str), body: &str) -> Failure {
    let rows = &builtin().find(provider).unwrap().errors.clone();
    let header = |name: &str| (name == header.0).then_some(header.1);
    read_error(status, &header, body.as_bytes(), rows, NOW)
}

/// Provider, status, body, kind, whose limit, seconds to stay away.
type Row = (&'static str, u16, &'static str, Kind, Option<Scope>, Option<f64>);

#[test]
fn every_fixture_has_its_class() {
    use Scope::{Key, KeyModel, Model, Provider};
    let table: &[Row] = &[
        (
            "gemini",
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#,
            Kind::BadKey,
            None,
            None,
        ),
        (
            "gemini",
            403,
            r#"[{"error":{"code":403,"message":"Generative Language API has not been used in project 1 before or it is disabled.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED"}]}}]"#,
            Kind::ModelForbidden,
            Some(Key),
            None,
        ),
        (
            "gemini",
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},{"retryDelay":"34.4s"}]}}]"#,
            Kind::RateLimited,
            Some(KeyModel),
            Some(34.4),
        ),
        (
            "gemini",
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"38s"}]}}]"#,
            Kind::QuotaSpent,
            Some(KeyModel),
            Some(50_800.0),
        ),
        (
            "gemini",
            400,
            r#"[{"error":{"code":400,"message":"Function call is missing a thought_signature in functionCall parts.","status":"INVALID_ARGUMENT"}}]"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            "openrouter",
            429,
            r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1788825600000"}}}}"#,
            Kind::QuotaSpent,
            Some(Key),
            Some(25_600.0),
        ),
        (
            "openrouter",
            429,
            r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"x/y:free is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate limits","provider_name":"P"}}}"#,
            Kind::Overloaded,
            Some(Model),
            Some(30.0),
        ),
        (
            "openrouter",
            402,
            r#"{"error":{"code":402,"message":"Too many requests in flight for your budget","metadata":{"reason":"in_flight_budget_exhausted"}}}"#,
            Kind::RateLimited,
            Some(Key),
            Some(10.0),
        ),
        (
            "groq",
            413,
            r#"{"error":{"message":"Request too large for model `x` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 8000, Requested 11088, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            "groq",
            429,
            r#"{"error":{"message":"Rate limit reached for model `x` in organization `org` on tokens per day (TPD): Limit 200000, Used 199000, Requested 1500. Please try again in 23m51.216s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Kind::QuotaSpent,
            Some(KeyModel),
            Some(1431.216),
        ),
        (
            "groq",
            400,
            r#"{"error":{"message":"Failed to call a function. Please adjust your prompt.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=f{}</function>"}}"#,
            Kind::Malformed,
            Some(Model),
            None,
        ),
        ("groq", 403, "error code: 1010", Kind::Malformed, None, None),
        ("cerebras", 403, "error code: 1010", Kind::Malformed, None, None),
        (
            "cerebras",
            429,
            r#"{"message":"We're experiencing high traffic right now!","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}"#,
            Kind::Overloaded,
            Some(Model),
            Some(10.0),
        ),
        (
            "cerebras",
            429,
            r#"{"message":"Tokens per minute limit exceeded - too many tokens processed.","type":"too_many_tokens_error","param":"quota","code":"token_quota_exceeded"}"#,
            Kind::RateLimited,
            Some(KeyModel),
            Some(60.0),
        ),
        (
            "cerebras",
            400,
            r#"{"message":"body.messages.1.assistant.reasoning_content: property 'body.messages.1.assistant.reasoning_content' is unsupported","type":"invalid_request_error","param":"","code":"wrong_api_format"}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            "mistral",
            422,
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1}]},"type":"invalid_request_error","param":null,"code":null}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            "mistral",
            400,
            r#"{"object":"error","message":"Tool call id was call_abc but must be a-z, A-Z, 0-9, with a length of 9.","type":"invalid_function_call","param":null,"code":"3280"}"#,
            Kind::Unsupported,
            None,
            None,
        ),
        (
            "cohere",
            429,
            r#"{"id":"x","message":"You are using a Trial key, which is limited to 20 API calls / minute. You can continue to use the Trial key for free or upgrade"}"#,
            Kind::RateLimited,
            Some(Key),
            Some(60.0),
        ),
        (
            "cohere",
            429,
            r#"{"id":"x","message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
            Kind::QuotaSpent,
            Some(Key),
            Some(604_800.0),
        ),
        (
            "zai",
            429,
            r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}"#,
            Kind::NoMoney,
            Some(KeyModel),
            None,
        ),
        (
            "zai",
            429,
            r#"{"error":{"code":"1302","message":"Rate limit reached for requests"}}"#,
            Kind::RateLimited,
            Some(Key),
            Some(10.0),
        ),
        (
            "zai",
            429,
            r#"{"error":{"code":"1305","message":"The service may be temporarily overloaded, please try again later"}}"#,
            Kind::Overloaded,
            Some(Model),
            Some(60.0),
        ),
        (
            "zai",
            429,
            r#"{"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-09-08 01:02:03"}}"#,
            Kind::QuotaSpent,
            Some(Key),
            // In Beijing, that is.
            Some(523.0),
        ),
        (
            "zai",
            429,
            r#"{"error":{"code":"1310","message":"Weekly/Monthly Limit Exhausted."}}"#,
            Kind::QuotaSpent,
            Some(Key),
            Some(86_400.0),
        ),
        (
            "zai",
            429,
            r#"{"error":{"code":"1311","message":"Your current subscription plan does not yet include access to GLM-5"}}"#,
            Kind::ModelForbidden,
            Some(KeyModel),
            None,
        ),
        (
            "nvidia",
            400,
            r#"{"detail":"Function id 'ab': DEGRADED function cannot be invoked"}"#,
            Kind::Overloaded,
            Some(Model),
            Some(300.0),
        ),
        (
            "nvidia",
            404,
            r#"{"status":404,"title":"Not Found","detail":"Function 'ab-cd': Not found for account 'ef'"}"#,
            Kind::ModelForbidden,
            Some(KeyModel),
            None,
        ),
        (
            "nvidia",
            410,
            r#"{"status":410,"title":"Gone","detail":"The model 'a/b' has reached its end of life on 2026-07-27T00:00:00Z and is no longer available."}"#,
            Kind::ModelGone,
            None,
            None,
        ),
        (
            "nvidia",
            429,
            r#"{"status":429,"title":"Too Many Requests"}"#,
            Kind::RateLimited,
            Some(KeyModel),
            Some(30.0),
        ),
        (
            "sambanova",
            402,
            r#"{"error":{"message":"A payment method is required.","type":"PAYMENT_METHOD_REQUIRED","code":null},"request_id":"r"}"#,
            Kind::NoMoney,
            Some(Key),
            None,
        ),
        (
            "github_models",
            410,
            r#"{"error":{"message":"GitHub Models has been retired"}}"#,
            Kind::ProviderGone,
            None,
            None,
        ),
        (
            "huggingface",
            402,
            r#"{"error":"You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits."}"#,
            Kind::QuotaSpent,
            Some(Key),
            Some(604_800.0),
        ),
        (
            "kimi",
            429,
            r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}"#,
            Kind::Overloaded,
            Some(Model),
            Some(15.0),
        ),
        (
            "kimi",
            429,
            r#"{"error":{"message":"Your account reached max organization RPM: 3, please try again after 1 seconds","type":"rate_limit_reached_error"}}"#,
            Kind::RateLimited,
            Some(Key),
            Some(1.0),
        ),
        (
            "kimi",
            429,
            r#"{"error":{"message":"Your account is suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}}"#,
            Kind::NoMoney,
            Some(Key),
            None,
        ),
        (
            "kimi",
            403,
            r#"{"error":{"message":"Kimi For Coding is currently only available for Coding Agents such as Kimi CLI","type":"access_terminated_error"}}"#,
            Kind::ProviderGone,
            Some(Key),
            Some(900.0),
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            Kind::NoMoney,
            Some(Key),
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o-mini in organization org-1 on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            Kind::RateLimited,
            None,
            Some(20.0),
        ),
        (
            "openai",
            400,
            r#"{"error":{"message":"max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#,
            Kind::TooLarge,
            None,
            None,
        ),
        (
            "local",
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            Kind::Overloaded,
            Some(Provider),
            Some(5.0),
        ),
        (
            "local",
            400,
            r#"{"error":"No models loaded. Please load a model in the developer page or use the 'lms load' command."}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            "local",
            404,
            r#"{"error":{"message":"model 'x' not found","type":"not_found_error","param":null,"code":null}}"#,
            Kind::ModelMissing,
            None,
            None,
        ),
        (
            "local",
            400,
            r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#,
            Kind::Unsupported,
            None,
            None,
        ),
    ];
    let mut wrong = Vec::new();
    for (provider, status, body, kind, scope, wait) in table {
        let failure = read(provider, *status, ("", ""), body);
        let seconds = failure.retry_after.map(|wait| wait.as_secs_f64());
        if (failure.kind, failure.scope, seconds) != (*kind, *scope, *wait) {
            wrong.push(format!(
                "{provider} {status} {body}: is {:?} {:?} {seconds:?}, not {kind:?} {scope:?} {wait:?}",
                failure.kind, failure.scope
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_are_applied_to_errors_inside_a_success() {
    let rows = &builtin().find("cerebras").unwrap().errors.clone();
    let body =
        br#"{"error":{"message":"We're experiencing high traffic right now!","code":"queue_exceeded"}}"#;
    let failure = read_whole(body, rows, NOW).unwrap_err();
    assert_eq!((failure.kind, failure.scope), (Kind::Overloaded, Some(Scope::Model)));
    assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), Some(10));
}

#[test]
fn an_instant_inside_a_success_is_read_from_now() {
    let body = br#"{"error":{"code":429,"message":"Rate limit exceeded","metadata":{"headers":{"X-RateLimit-Reset":"1788800030000"}}}}"#;
    let failure = read_whole(body, &[], NOW).unwrap_err();
    assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), Some(30));
}

#[test]
fn half_a_second_is_half_a_second() {
    let failure =
        read("openai", 429, ("retry-after-ms", "250"), r#"{"error":{"code":"rate_limit_exceeded"}}"#);
    assert_eq!(failure.retry_after.map(|wait| wait.as_millis()), Some(250));
}

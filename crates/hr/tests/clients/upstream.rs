//! One provider of each dialect behind the router, and what its fake says.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hr_testkit::{Answer, Behaviour, Dialect, Ending, Fake, Hint, Match, Script, Stop, Strictness, Usage};
use serde_json::json;

use crate::router::{Home, PICTURE};

/// A wait that no retry outlasts.
const LONG: Duration = Duration::from_secs(3600);

/// The providers that clients are tried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Chat Completions, as most providers speak them.
    Chat,
    /// Anthropic Messages.
    Anthropic,
    /// The backend of a ChatGPT subscription.
    Codex,
}

impl Upstream {
    /// Starts a fake that takes nothing that the real one would not, and makes it the only provider of a home.
    pub async fn start(self, home: &mut Home, script: Script) -> Fake {
        let dialect = match self {
            Upstream::Chat => Dialect::Chat,
            Upstream::Anthropic => Dialect::Anthropic,
            Upstream::Codex => Dialect::Codex,
        };
        // OpenAI's own servers do not, but several that speak like them take the `reasoning` of Responses.
        let strictness = match self {
            Upstream::Chat => Strictness::new().taking(["reasoning"]),
            Upstream::Anthropic | Upstream::Codex => Strictness::new(),
        };
        let fake = Fake::speaking(dialect, script.strict(strictness)).await.unwrap();
        match self {
            Upstream::Chat => {
                let model = "[[model]]\nid = \"fake-model\"\ntools = true\nvision = true\nreasoning = true\n";
                home.provider("upstream", &fake, &format!("{model}[embedding]\nmodel = \"fake-embed\"\n"));
                home.set("UPSTREAM_API_KEY", "sk-upstream");
            }
            Upstream::Anthropic => {
                home.set("ANTHROPIC_BASE_URL", fake.base_url());
                home.set("ANTHROPIC_API_KEY", "sk-upstream");
            }
            Upstream::Codex => {
                home.set("CODEX_BASE_URL", fake.base_url());
                home.write("auth.json", &json!({ "codex_accounts": [account()] }).to_string());
            }
        }
        fake
    }
}

/// An account whose token lasts.
fn account() -> serde_json::Value {
    let claims = json!({
        "exp": 4_102_444_800_u64,
        "https://api.openai.com/auth": { "chatgpt_account_id": "account-1", "chatgpt_plan_type": "plus" },
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.signature", part(json!({ "alg": "RS256" })), part(claims));
    json!({ "account_id": "account-1", "access_token": token, "refresh_token": "refresh-1",
            "last_refresh": "2099-01-01T00:00:00Z" })
}

/// What the scripts named `upstream_*` expect, by the words of their questions.
pub fn conversation() -> Script {
    let usage = Usage { prompt: 21, completion: 9, cached: 5, ..Usage::default() };
    let hello = Answer::text("Hello from the provider, in several pieces.").full_usage(usage);
    let oslo =
        || Answer::empty().and_tool("call_oslo", "get_weather", r#"{"city":"Oslo"}"#).full_usage(usage);
    let verdict = r#"{"ok":true,"reason":"fine"}"#;
    let thought = |answer: Answer| answer.reasoning("First one thing, then another.").full_usage(usage);
    let asked = |words: &str| Match::any().and_answered(false).and_saying(words);
    let offered = |words: &str| asked(words).and_offering("get_weather");
    Script::new()
        .always(
            Match::any().and_answered(true),
            Answer::text("It is 4 degrees and raining.").full_usage(usage),
        )
        .always(
            offered("in Oslo and in Rome"),
            oslo().and_tool("call_rome", "get_weather", r#"{"city":"Rome"}"#),
        )
        .always(offered("Think about the weather in Oslo"), thought(oslo()))
        .always(offered("the weather in Oslo"), oslo())
        // Structured output by way of a tool, which some SDKs prefer.
        .always(asked("Give a verdict").and_offering("json"), Answer::tool("json", verdict))
        .always(asked("Give a verdict"), Answer::text(verdict))
        // Before the picture: this turn may come with thoughts of an earlier one.
        .always(asked("Say hello"), hello.clone())
        .always(asked("Think it over"), thought(Answer::text("Thought over.")))
        .always(asked(PICTURE), Answer::text("A red square."))
        .always(asked("Never stop"), Answer::text("On and on").stop(Stop::Length))
        .always(asked("Break off"), Answer::text("This answer is cut in the middle.").ending(Ending::Cut(2)))
        .always(asked("Be limited"), Behaviour::rate_limited(Hint::RetryAfterSeconds, LONG))
        .otherwise(hello)
}

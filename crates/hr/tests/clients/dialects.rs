//! SDKs of every dialect over a provider of every dialect.

use crate::installed::folder;
use crate::router::{Home, part_of};
use crate::upstream::{Upstream, conversation};

/// A test for each of the three providers.
macro_rules! over_every_provider {
    ($($name:ident: $script:literal;)*) => { $(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn over_chat() {
                over(Upstream::Chat, $script).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn over_anthropic() {
                over(Upstream::Anthropic, $script).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn over_codex() {
                over(Upstream::Codex, $script).await;
            }
        }
    )* };
}

over_every_provider! {
    openai_python: "upstream_openai.py";
    openai_node: "upstream_openai.mjs";
    anthropic_python: "upstream_anthropic.py";
    anthropic_node: "upstream_anthropic.mjs";
    langchain: "upstream_langchain.py";
    vercel_ai_sdk: "upstream_ai_sdk.mjs";
}

async fn over(upstream: Upstream, script: &str) {
    let Some(folder) = folder(part_of(script)) else { return };
    let mut home = Home::new();
    home.set("STRICT_MODELS", "1");
    let fake = upstream.start(&mut home, conversation()).await;
    let router = home.start().await;
    router.run(script, &folder, "upstream").await;
    assert!(!fake.calls().is_empty(), "the provider was not called");
    assert_eq!(fake.violations(), [], "what the provider was sent");
}

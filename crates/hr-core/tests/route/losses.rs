//! What is lost on the way to a candidate: it comes later for that, or is refused by a strict caller.

use hr_core::catalog::{Dialect, Quirks};
use hr_core::pool::Member;
use hr_core::route::{Ask, Losses, Tried, Verdict, Work};

use crate::world::{World, ask, member, model, pool};

/// A member that speaks this and leaves these parameters out.
fn speaking(id: &str, dialect: Dialect, drop: &[&str]) -> Member {
    let mut member = member(id, vec![model("m", 3)], 1);
    let mut provider = (*member.provider).clone();
    provider.dialect = dialect;
    provider.quirks =
        Quirks { drop: drop.iter().map(|name| (*name).to_owned()).collect(), ..Quirks::default() };
    member.provider = provider.into();
    member
}

fn saying(params: &[&str]) -> Ask {
    Ask { params: params.iter().map(|name| (*name).to_owned()).collect(), ..ask() }
}

/// How many losses a dialect has.
fn losing(dialect: Dialect, count: usize) -> Losses {
    let mut losses = Losses::default();
    losses.note(dialect, count);
    losses
}

#[test]
fn whoever_loses_nothing_goes_first() {
    let world = World::new(pool(vec![
        speaking("drops", Dialect::OpenaiChat, &["logit_bias"]),
        speaking("foreign", Dialect::Anthropic, &[]),
        speaking("native", Dialect::OpenaiChat, &[]),
    ]));
    let order = |ask: &Ask| world.order(ask).join(" ");
    let biased = saying(&["logit_bias"]);
    assert_eq!(order(&biased), "native/m/0 foreign/m/0 drops/m/0");
    let told = Ask { losses: losing(Dialect::Anthropic, 2), ..biased };
    assert_eq!(order(&told), "native/m/0 drops/m/0 foreign/m/0", "two losses are worse than one");
    assert_eq!(order(&ask()), "drops/m/0 native/m/0 foreign/m/0", "what is not said is not lost");
}

#[test]
fn bookkeeping_is_no_reason_to_go_elsewhere_but_a_strict_caller_has_it() {
    let world = World::new(pool(vec![
        speaking("drops", Dialect::OpenaiChat, &["user", "stream_options", "parallel_tool_calls"]),
        speaking("keeps", Dialect::OpenaiChat, &[]),
    ]));
    let said = saying(&["user", "stream_options", "parallel_tool_calls"]);
    assert_eq!(world.order(&said)[0], "drops/m/0");
    let tools = Ask { tools: true, ..said.clone() };
    assert_eq!(world.order(&tools)[0], "keeps/m/0", "with tools, calls in parallel mean something");
    assert_eq!(world.order(&Ask { strict: true, ..said }), ["keeps/m/0"]);
    let counted = Ask { strict: true, ..saying(&["stream_options", "parallel_tool_calls"]) };
    assert_eq!(world.order(&counted).len(), 2, "neither says anything here");
}

#[test]
fn another_dialects_parameters_are_its_own() {
    let world = World::new(pool(vec![speaking("a", Dialect::OpenaiChat, &["thinking", "top_k"])]));
    let strict = |params: &[&str]| Ask { dialect: Some(Dialect::Anthropic), strict: true, ..saying(params) };
    assert_eq!(world.order(&strict(&["thinking"])).len(), 1, "a translation says it in other words");
    assert_eq!(world.order(&strict(&["top_k"])).len(), 0);
}

#[test]
fn a_strict_caller_is_told_what_would_be_lost() {
    let world = World::new(pool(vec![
        speaking("a", Dialect::OpenaiChat, &["logit_bias", "seed"]),
        speaking("b", Dialect::OpenaiChat, &["seed"]),
        speaking("c", Dialect::Anthropic, &[]),
    ]));
    let strict =
        Ask { strict: true, losses: losing(Dialect::Anthropic, 1), ..saying(&["seed", "logit_bias"]) };
    let plan = world.plan(&strict);
    assert_eq!(world.gates(&plan), ["a: loss", "b: loss", "c: loss"]);
    let feature = "logit_bias, seed, what cannot be said in `anthropic`".to_owned();
    assert_eq!(plan.verdict(&Tried::default()), Verdict::Unservable { feature });
    assert_eq!(world.order(&Ask { strict: false, ..strict }).len(), 3);
}

#[test]
fn vectors_lose_nothing() {
    let mut embedding = speaking("a", Dialect::OpenaiChat, &["user"]);
    embedding.embed_model = Some("e".to_owned());
    let world = World::new(pool(vec![embedding]));
    let strict = Ask { strict: true, work: Work::Embed, ..saying(&["user"]) };
    assert_eq!(world.order(&strict), ["a/e/0"]);
}

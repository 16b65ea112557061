//! `docs/providers.md`, written from the catalogue; a stale page fails the test once and is written anew.

#![allow(clippy::disallowed_methods, reason = "a test may compare a document on disk")]

use std::fmt::Write as _;

use super::{
    AuthScheme, Catalog, Limit, LimitSpan, LimitUnit, Model, OwnerScope, Provider, SpendClass, builtin,
};

const INTRODUCTION: &str = "\
<!-- Written from catalog/*.toml by a test of hr-core: change it there. -->

# Providers

Who can be in the pool, from the files in [`catalog/`](../catalog). Free limits and prices age fast: each has its
source and its day, orders candidates only, and gives way to what a provider itself says. You add servers of your
own with [one small file](custom-providers.md).

Every key variable also has a plural form with commas (`GROQ_API_KEYS`) and numbered forms (`GROQ_API_KEY_2`).
`hr auth add PROVIDER` stores keys instead of variables.
";

#[test]
fn the_page_of_providers_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    let page = page(&builtin());
    if std::fs::read_to_string(path).unwrap_or_default() != page {
        std::fs::write(path, &page).unwrap();
        panic!("docs/providers.md was stale; it is written anew, read it and commit it");
    }
}

fn page(catalog: &Catalog) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| provider | key | variables | cost | default models |\n|---|---|---|---|---|\n");
    for provider in &catalog.providers {
        let offer = if provider.auth == AuthScheme::None { "none needed; install" } else { "get one" };
        let key = provider.sign_up.as_ref().map_or_else(String::new, |url| format!("[{offer}]({url})"));
        let defaults = provider.models.iter().filter(|model| model.default).map(|model| model.id.as_str());
        writeln!(
            page,
            "| [`{}`](#{}) | {key} | {} | {} | {} |",
            provider.id,
            provider.id,
            names(provider.key_vars.iter().chain(&provider.enabled_by).map(String::as_str)),
            cost(provider),
            names(defaults),
        )
        .unwrap();
    }
    for provider in &catalog.providers {
        section(&mut page, provider);
    }
    page
}

fn section(page: &mut String, provider: &Provider) {
    write!(page, "\n## {}\n\n{}", provider.id, provider.name).unwrap();
    if !provider.aliases.is_empty() {
        write!(page, ", also {}", names(provider.aliases.iter().map(String::as_str))).unwrap();
    }
    writeln!(page, ": `{}`", provider.base_url).unwrap();
    for sentence in [
        provider.retired.as_ref().map(|retired| &retired.note),
        provider.unavailable.as_ref(),
        provider.note.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        writeln!(page, "\n{sentence}.").unwrap();
    }
    if let Some(tokens) = provider.skip_tokens_over {
        writeln!(
            page,
            "\nPrompts over about {} tokens are not sent here (`{}_SKIP_TOKENS_OVER`).",
            grouped(tokens),
            provider.prefix
        )
        .unwrap();
    }
    if let Some(embedding) = &provider.embedding {
        let dimensions =
            embedding.dimensions.map_or_else(String::new, |length| format!(", {length} dimensions"));
        writeln!(page, "\nEmbeddings: `{}`{dimensions}.", embedding.model).unwrap();
    }
    page.push_str("\n| model | window | answer | tools | sees | reasons | price, in / out | source |\n|---|---|---|---|---|---|---|---|\n");
    for model in &provider.models {
        writeln!(page, "{}", model_row(provider, model)).unwrap();
    }
    if !provider.limits.is_empty() {
        page.push_str("\n| limit | of each | for | source |\n|---|---|---|---|\n");
        for limit in &provider.limits {
            writeln!(page, "{}", limit_row(limit)).unwrap();
        }
    }
}

fn model_row(provider: &Provider, model: &Model) -> String {
    let tokens = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), grouped);
    let known = |fact: Option<bool>| match fact {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    };
    let price = match (model.spend.unwrap_or(provider.spend), &model.price) {
        (SpendClass::Included, _) => "included".to_owned(),
        (SpendClass::Free, Some(price)) if price.input > 0.0 => {
            format!("free; {:.2} / {:.2} when paid", price.input, price.output)
        }
        (SpendClass::Free, _) => "free".to_owned(),
        (SpendClass::Paid, Some(price)) => format!("{:.2} / {:.2}", price.input, price.output),
        (SpendClass::Paid, None) => "paid, not known".to_owned(),
    };
    format!(
        "| `{}`{} | {} | {} | {} | {} | {} | {price} | {} |",
        model.id,
        if model.default { ", default" } else { "" },
        tokens(model.context),
        tokens(model.max_output),
        known(model.tools),
        known(model.vision),
        known(model.reasoning),
        origin(&model.source, &model.date),
    )
}

fn limit_row(limit: &Limit) -> String {
    let unit = match limit.unit {
        LimitUnit::Requests => format!("{} requests", grouped_number(limit.amount)),
        LimitUnit::Tokens => format!("{} tokens", grouped_number(limit.amount)),
        LimitUnit::InputTokens => format!("{} tokens of prompts", grouped_number(limit.amount)),
        LimitUnit::OutputTokens => format!("{} tokens of answers", grouped_number(limit.amount)),
        LimitUnit::Concurrent => format!("{} at once", grouped_number(limit.amount)),
        LimitUnit::Money => format!("{:.2} USD", limit.amount),
        LimitUnit::Percent => format!("{} percent of the plan", grouped_number(limit.amount)),
    };
    let span = match limit.per {
        LimitSpan::Now => "",
        LimitSpan::Second => " a second",
        LimitSpan::Minute => " a minute",
        LimitSpan::Hour => " an hour",
        LimitSpan::FiveHours => " in five hours",
        LimitSpan::Day => " a day",
        LimitSpan::Week => " a week",
        LimitSpan::Month => " a month",
    };
    let owner = match limit.owner {
        OwnerScope::Key => "key",
        OwnerScope::Project => "project",
        OwnerScope::Organisation => "organisation",
        OwnerScope::Account => "account",
        OwnerScope::Address => "network address",
    };
    let models = match limit.models.len() {
        0 => "each model".to_owned(),
        1 if limit.models[0] == "*" => "all models together".to_owned(),
        1 if !limit.models[0].contains('*') => names(limit.models.iter().map(String::as_str)),
        _ => format!("{} together", names(limit.models.iter().map(String::as_str))),
    };
    format!("| {unit}{span} | {owner} | {models} | {} |", origin(&limit.source, &limit.date))
}

fn cost(provider: &Provider) -> &'static str {
    // What the default models cost is what a key costs its owner, whatever else the provider sells.
    let defaults = provider.models.iter().filter(|model| model.default);
    let dearest = defaults.map(|model| model.spend.unwrap_or(provider.spend)).max();
    match dearest.unwrap_or(provider.spend) {
        _ if provider.retired.is_some() => "retired",
        SpendClass::Free => "free",
        SpendClass::Included => "subscription",
        SpendClass::Paid => "paid",
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn origin(source: &Option<String>, date: &Option<String>) -> String {
    [source, date].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn grouped_number(amount: f64) -> String {
    grouped(amount as u64)
}

/// `1048576` → `1,048,576`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

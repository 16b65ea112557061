//! Walks over the definition that people read: the manual and the example file.

use std::fmt::Write as _;

use super::define::{GENERAL, Group, LATER, PER_PROVIDER, Setting};
use crate::catalog::{AuthScheme, Catalog, Provider};
use crate::settings::define::provider::{MODEL, numbered, plural};

/// How wide the comments of the example file are.
const COMMENT_WIDTH: usize = 100;

/// `docs/settings.md`: every setting, what it may be, and what it means.
#[must_use]
pub fn manual(catalog: &Catalog) -> String {
    let mut page = String::from(MANUAL_OPENING);
    for group in Group::ALL {
        paragraph(&mut page, &format!("## {}", group.title()));
        for setting in of(group) {
            describe(&mut page, setting);
        }
    }
    paragraph(&mut page, KEYS_OF_PROVIDERS);
    provider_table(&mut page, catalog);
    paragraph(&mut page, SETTINGS_OF_PROVIDERS);
    for template in PER_PROVIDER {
        paragraph(&mut page, &format!("### `{}`", template.name));
        let unused = if template.used { "" } else { " Not used yet." };
        paragraph(&mut page, &with(template.summary, &[template.details, unused.trim()]));
        paragraph(&mut page, &format!("Value: {}. Example: `{}`.", template.kind.words(), template.example));
    }
    header_variables(&mut page, catalog);
    login_variables(&mut page, catalog);
    paragraph(&mut page, NOT_USED_YET);
    let mut later = String::from("| name | part |\n|---|---|\n");
    for (name, part) in LATER {
        row(&mut later, &[&format!("`{name}`"), part]);
    }
    paragraph(&mut page, later.trim_end());
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// `.env.example`: every setting as a comment, with its default or an example.
#[must_use]
pub fn example_env(catalog: &Catalog) -> String {
    let mut page = String::from(EXAMPLE_OPENING);
    for group in Group::ALL {
        heading(&mut page, group.title());
        for setting in of(group) {
            comment(&mut page, setting.summary);
            let value = if setting.default.is_empty() { setting.example } else { Some(setting.default) };
            line(&mut page, setting.name, value.unwrap_or_default());
        }
    }
    heading(&mut page, "Keys of providers");
    comment(
        &mut page,
        "Several keys of one provider: the plural with commas between them, or _2, _3 … behind the name.",
    );
    page.push('\n');
    for provider in &catalog.providers {
        comment(&mut page, &introduction(provider));
        let variables =
            if provider.auth == AuthScheme::None { &provider.enabled_by } else { &provider.key_vars };
        for variable in variables.iter().take(2) {
            line_alone(&mut page, variable, "");
        }
        page.push('\n');
    }
    heading(&mut page, "Settings of providers");
    let names: Vec<String> = catalog.providers.iter().take(2).map(|provider| MODEL.of(provider)).collect();
    let examples = names.join(", ");
    comment(
        &mut page,
        &format!("<P> stands for a provider, as in {examples}. docs/settings.md has the whole list."),
    );
    page.push('\n');
    for template in PER_PROVIDER.iter().filter(|template| template.used) {
        comment(&mut page, template.summary);
        line(&mut page, template.name, template.example);
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

const MANUAL_OPENING: &str = "\
<!-- Written by a test from the definition in crates/hr-core/src/settings/define. Change it there. -->

# Settings

A setting is an environment variable. It is looked for, in this order, among the flags of the command, in the
process environment, in `.env`, and has its default otherwise. An empty value counts as not set. `hr config show`
lists every value with its origin, `hr config check` says what is wrong, with file and line, and `hr config path`
says where the files are. All files are watched: a valid change is in force at once, an invalid one is refused as a
whole and the last good state stays.

A line of `.env` is `NAME=value`, with or without `export` before it, or a comment that begins with `#`. A value may
stand in single quotes, which take it as it is, or in double quotes, in which `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\` and `\\$` are
understood. Behind a plain value a comment begins at the first `#` after a space. Of two lines with the same name
the first counts.

";

const KEYS_OF_PROVIDERS: &str = "\
## Keys of providers

A provider is used when it has a key, or needs none and is asked for. Keys that `hr auth add` stored come first, then
those of its variables, each in three forms: the name itself; its plural, with commas between the keys; and numbered
from 2 until a number is missing. Equal keys count once.";

const SETTINGS_OF_PROVIDERS: &str = "\
## Settings of providers

Every provider has these. `<P>` is its prefix from the table above, and `<MODEL>` the id of a model in upper case with
each run of other characters than letters and digits as one `_`: `acme/large-2.5` is `ACME_LARGE_2_5`.";

const NOT_USED_YET: &str = "\
## Not used yet

These names of the original product are accepted, so that an existing `.env` loads unchanged. They mean nothing yet.";

const EXAMPLE_OPENING: &str = "\
# Settings of hermes-router. Copy what you need into .env and take the # away; everything has a default.
# Written by a test from the definition in crates/hr-core/src/settings/define: change it there.
";

fn of(group: Group) -> impl Iterator<Item = &'static Setting> {
    GENERAL.iter().copied().filter(move |setting| setting.group == group)
}

fn describe(page: &mut String, setting: &Setting) {
    paragraph(page, &format!("### `{}`", setting.name));
    paragraph(page, &with(setting.summary, &[setting.details]));
    let default = if setting.default.is_empty() {
        "No default.".to_owned()
    } else {
        format!("Default: `{}`.", setting.default)
    };
    let example = setting.example.map(|example| format!("Example: `{example}`.")).unwrap_or_default();
    paragraph(page, &with(&format!("Value: {}.", setting.kind.words()), &[&default, &example]));
}

fn provider_table(page: &mut String, catalog: &Catalog) {
    let mut table = String::from(
        "| provider | `<P>` | key variables | default models | get a key |\n|---|---|---|---|---|\n",
    );
    for provider in &catalog.providers {
        let models: Vec<&str> =
            provider.models.iter().filter(|model| model.default).map(|model| model.id.as_str()).collect();
        row(
            &mut table,
            &[
                &format!("`{}`", provider.id),
                &format!("`{}`", provider.prefix),
                &asked_by(provider),
                &quoted(&models),
                provider.sign_up.as_deref().unwrap_or_default(),
            ],
        );
    }
    paragraph(page, table.trim_end());
    if let Some(name) = catalog.providers.iter().find_map(|provider| provider.key_vars.first()) {
        let (several, second, third) = (plural(name), numbered(name, 2), numbered(name, 3));
        let forms = format!("The forms of `{name}`: `{name}`, `{several}`, `{second}`, `{third}` and so on.");
        paragraph(page, &forms);
    }
}

/// What has to be set for the provider to be used.
fn asked_by(provider: &Provider) -> String {
    let keys: Vec<&str> = provider.key_vars.iter().map(String::as_str).collect();
    let switches: Vec<&str> = provider.enabled_by.iter().map(String::as_str).collect();
    match provider.auth {
        AuthScheme::Oauth => "an account, stored by a login".to_owned(),
        AuthScheme::None if switches.is_empty() => "none needed".to_owned(),
        AuthScheme::None if keys.is_empty() => format!("none needed; used when set: {}", quoted(&switches)),
        AuthScheme::None => {
            format!("none needed ({} if there is one); used when set: {}", quoted(&keys), quoted(&switches))
        }
        _ => quoted(&keys),
    }
}

fn header_variables(page: &mut String, catalog: &Catalog) {
    let mut table = String::from("| name | header | provider | default |\n|---|---|---|---|\n");
    let mut any = false;
    for provider in &catalog.providers {
        for (header, (variable, default)) in &provider.header_vars {
            any = true;
            let cell = |text: &String| if text.is_empty() { "none".to_owned() } else { format!("`{text}`") };
            let cells = [variable, header, &provider.id, default].map(cell);
            row(&mut table, &cells.each_ref().map(String::as_str));
        }
    }
    if any {
        paragraph(page, "### Headers of providers");
        paragraph(page, "What some providers are told of the program that calls them.");
        paragraph(page, table.trim_end());
    }
}

fn login_variables(page: &mut String, catalog: &Catalog) {
    let mut table = String::from("| name | provider | meaning | default |\n|---|---|---|---|\n");
    let logins = catalog.providers.iter().filter_map(|provider| Some((provider, provider.login.as_ref()?)));
    let mut any = false;
    for (provider, login) in logins {
        any = true;
        let id = format!("`{}`", provider.id);
        for variable in &login.token_url_vars {
            let meaning = "where the tokens of its accounts are renewed; of several the first counts";
            row(&mut table, &[&format!("`{variable}`"), &id, meaning, &format!("`{}`", login.token_url)]);
        }
        let meaning =
            format!("where `{}` keeps its login, for `hr auth import-{}`", login.program, provider.id);
        row(&mut table, &[&format!("`{}`", login.home_var), &id, &meaning, &format!("`~/{}`", login.home)]);
    }
    if any {
        paragraph(page, "### Accounts of providers");
        paragraph(page, "Of providers that sign in with accounts instead of keys: `hr auth login`.");
        paragraph(page, table.trim_end());
    }
}

/// One sentence on a provider, with where to get a key.
fn introduction(provider: &Provider) -> String {
    let state = if provider.retired.is_some() {
        " (retired)"
    } else if provider.unavailable.is_some() {
        " (not available yet)"
    } else {
        ""
    };
    match &provider.sign_up {
        Some(link) => format!("{}{state}: {link}", provider.name),
        None => format!("{}{state}", provider.name),
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn with(first: &str, more: &[&str]) -> String {
    let mut text = first.to_owned();
    for sentence in more.iter().filter(|sentence| !sentence.is_empty()) {
        text.push(' ');
        text.push_str(sentence);
    }
    text
}

fn paragraph(page: &mut String, text: &str) {
    page.push_str(text);
    page.push_str("\n\n");
}

fn row(table: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}

fn heading(page: &mut String, title: &str) {
    page.truncate(page.trim_end().len());
    let _ = write!(page, "\n\n# ---- {title} ----\n\n");
}

/// A text as comment lines of at most [`COMMENT_WIDTH`] where its words allow.
fn comment(page: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width == 0 || width + 1 + word.chars().count() > COMMENT_WIDTH {
            page.push_str(if width == 0 { "# " } else { "\n# " });
            width = 2;
        } else {
            page.push(' ');
            width += 1;
        }
        page.push_str(word);
        width += word.chars().count();
    }
    page.push('\n');
}

fn line(page: &mut String, name: &str, value: &str) {
    line_alone(page, name, value);
    page.push('\n');
}

fn line_alone(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "# {name}={value}");
}

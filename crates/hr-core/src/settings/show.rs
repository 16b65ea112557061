//! What is set, for people: every value with its origin, and what looks like a mistake.

use std::collections::{BTreeMap, BTreeSet};

use super::define::provider::{About, FIRST_NUMBER, about, is_numbered, login_variables, numbered};
use super::define::{GENERAL, LATER, PER_PROVIDER, general};
use super::dotenv::Entry;
use super::layers::{EnvFile, Layers};
use super::resolve::{PLACEHOLDER_KEYS, Value};
use super::value::list;
use super::{Origin, Settings};
use crate::catalog::Catalog;
use crate::problem::Problem;
use crate::secret::Secret;

/// Every setting of the router, then what is set for providers or waits for its part to come, by name.
pub(super) fn values(layers: &Layers, catalog: &Catalog) -> Vec<Value> {
    let mut values: Vec<Value> = GENERAL
        .iter()
        .map(|setting| match layers.get(setting.name) {
            Some(found) => Value {
                name: setting.name.to_owned(),
                shown: if setting.secret { masked(found.value) } else { found.value.to_owned() },
                origin: found.origin,
                default: false,
                used: true,
            },
            None => Value {
                name: setting.name.to_owned(),
                shown: setting.default.to_owned(),
                origin: Origin::Default,
                default: true,
                used: true,
            },
        })
        .collect();
    values.extend(names(layers).into_iter().filter_map(|name| {
        let (secret, used) = match about(catalog, name) {
            Some(About::Keys) => (true, true),
            Some(About::Template(template)) => (template.secret, template.used),
            Some(About::Header | About::Login) => (false, true),
            None if LATER.iter().any(|(later, _)| *later == name) => (false, false),
            None => return None,
        };
        let found = layers.get(name)?;
        let shown = if secret { masked(found.value) } else { found.value.to_owned() };
        Some(Value { name: name.to_owned(), shown, origin: found.origin, default: false, used })
    }));
    values
}

/// All names that are set anywhere.
fn names(layers: &Layers) -> BTreeSet<&str> {
    let outside = layers.flags.keys().chain(layers.environment.keys()).map(String::as_str);
    outside.chain(layers.names_of_files().map(|(_, name, _)| name)).collect()
}

/// A secret, or several between commas, by their tails.
fn masked(value: &str) -> String {
    let tails: Vec<String> =
        list(value).into_iter().map(|secret| format!("…{}", Secret::new(secret).tail())).collect();
    tails.join(",")
}

/// What looks like a mistake and does not stop anything.
pub(super) fn warnings(layers: &Layers, catalog: &Catalog, settings: &Settings) -> Vec<Problem> {
    let mut warnings = misspelt(layers, catalog);
    warnings.extend(written_twice(layers));
    warnings.extend(beyond_a_gap(layers, catalog));
    let keys = general::PROXY_API_KEYS.name;
    if let Some(found) = layers.get(keys)
        && list(found.value).iter().any(|key| PLACEHOLDER_KEYS.contains(key))
    {
        let reason = format!("`{keys}` has a placeholder from old instructions, which opens nothing");
        warnings.push(found.problem(reason).hint("make a key of your own, or leave it out to have one made"));
    }
    let breaker = &settings.rules.breaker;
    if breaker.min_samples > breaker.window {
        let [samples, window] = [&general::BREAKER_MIN_SAMPLES, &general::BREAKER_WINDOW].map(|it| it.name);
        let found = layers.get(samples).or_else(|| layers.get(window));
        let reason = format!("`{samples}` is above `{window}`, so that no provider is ever left alone");
        warnings.extend(found.map(|found| found.problem(reason)));
    }
    warnings
}

/// Names in `.env` files that are nothing, but nearly something.
fn misspelt(layers: &Layers, catalog: &Catalog) -> Vec<Problem> {
    let known = known_names(catalog);
    let is_known = |name: &str| known.contains(name) || about(catalog, name).is_some();
    let warn = |(file, name, line): (&EnvFile, &str, usize)| {
        if is_known(name) {
            return None;
        }
        let meant = nearly(name, &known)?;
        let reason = format!("the setting `{name}` is not known");
        Some(Problem::new(&file.path, reason).at(line).hint(format!("did you mean `{meant}`?")))
    };
    layers.names_of_files().filter_map(warn).collect()
}

/// Lines of a `.env` file that an earlier line of the same name keeps from counting.
fn written_twice(layers: &Layers) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for file in &layers.env_files {
        let mut firsts: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in file.lines.entries() {
            let first = *firsts.entry(&entry.name).or_insert(entry);
            if first.value != entry.value {
                let reason = format!("`{}` is set in line {} already, which counts", entry.name, first.line);
                let problem = Problem::new(&file.path, reason).at(entry.line);
                warnings.push(problem.hint("remove one of the two lines"));
            }
        }
    }
    warnings
}

/// Numbered keys that are not read, because numbers begin at 2 and end where one is missing.
fn beyond_a_gap(layers: &Layers, catalog: &Catalog) -> Vec<Problem> {
    let names = names(layers);
    let of = |variable: &String| -> Vec<Problem> {
        let is_set = |number: &usize| layers.get(&numbered(variable, *number)).is_some();
        let read: BTreeSet<String> =
            (FIRST_NUMBER..).take_while(is_set).map(|number| numbered(variable, number)).collect();
        let next = numbered(variable, FIRST_NUMBER + read.len());
        let warn = |name: &&str| {
            if !is_numbered(variable, name) || read.contains(*name) {
                return None;
            }
            let found = layers.get(name)?;
            let hint =
                format!("numbers begin at {FIRST_NUMBER} and leave none out; the next one is `{next}`");
            Some(found.problem(format!("the key in `{name}` is not read")).hint(hint))
        };
        names.iter().filter_map(warn).collect()
    };
    catalog.providers.iter().flat_map(|provider| &provider.key_vars).flat_map(of).collect()
}

/// All names without a model in them.
fn known_names(catalog: &Catalog) -> BTreeSet<String> {
    let general = GENERAL.iter().map(|setting| setting.name.to_owned());
    let later = LATER.iter().map(|(name, _)| (*name).to_owned());
    let mut names: BTreeSet<String> = general.chain(later).collect();
    for provider in &catalog.providers {
        names.extend(provider.key_vars.iter().cloned());
        names.extend(provider.key_vars.iter().map(|variable| super::define::provider::plural(variable)));
        names.extend(provider.enabled_by.iter().cloned());
        names.extend(provider.header_vars.values().map(|(variable, _)| variable.clone()));
        names.extend(provider.login.iter().flat_map(login_variables).map(str::to_owned));
        let templates = PER_PROVIDER.iter().map(|template| template.of(provider));
        names.extend(templates.filter(|name| !name.contains('<')));
    }
    names
}

/// How many letters may be wrong in a name of this length that is still meant.
fn slips(name: &str) -> usize {
    match name.len() {
        0..=3 => 0,
        4..=8 => 1,
        _ => 2,
    }
}

/// The known name that was meant, when no more than [`slips`] letters are wrong.
fn nearly<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let name = name.to_ascii_uppercase();
    let slips = slips(&name);
    known
        .iter()
        // So many letters more or fewer are so many slips; this spares the dear comparison mostly.
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= slips)
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate.as_str()))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

//! Facts put over a pool.

use super::fact::{Evidence, Fact, Known, Source, Witness};
use super::facts::{Abilities, Facts, place};
use crate::pool::{Pool, PoolModel};
use crate::settings::Discovery;
use crate::time::Millis;

/// Puts what was found out over a pool as the files and the catalogue say it: models that lists have are added where
/// that is wanted, and what is known of each model takes the catalogue's place. The user's own settings stay.
pub fn overlay(pool: &mut Pool, facts: &Facts, settings: &Discovery, now: Millis) {
    let allowance = pool.rules.spending.any;
    for member in &mut pool.members {
        let place = place(&member.base_url);
        if let Some(listing) = facts.listing(&member.provider.id, &place)
            && member.wishes.finds_models(&member.provider, settings)
            && let Some(models) = super::discover::discover(member, listing, settings.most_models, allowance)
        {
            member.models = models;
        }
        for model in &mut member.models {
            let known = facts.of(&member.provider.id, &place, &model.id);
            refine(model, known, settings, now);
        }
    }
}

fn refine(model: &mut PoolModel, known: Option<&Abilities>, settings: &Discovery, now: Millis) {
    let Some(known) = known else { return };
    let Evidence { tools, vision, structured, reasoning, context, max_output } = &mut model.evidence;
    let put = |value: &mut Option<bool>, witness: &mut Option<Witness>, known: &Known<bool>| {
        set(value, witness, known.best(now, settings.believed));
    };
    put(&mut model.tools, tools, &known.tools);
    put(&mut model.vision, vision, &known.vision);
    put(&mut model.structured, structured, &known.structured);
    put(&mut model.reasoning, reasoning, &known.reasoning);
    set(&mut model.context, context, known.context.best(now, settings.believed));
    set(&mut model.max_output, max_output, known.max_output.best(now, settings.believed));
}

fn set<T>(value: &mut Option<T>, witness: &mut Option<Witness>, fact: Option<Fact<T>>) {
    let is_users = witness.is_some_and(|witness| witness.source == Source::Override);
    if let Some(fact) = fact.filter(|_| !is_users) {
        *value = Some(fact.value);
        *witness = Some(Witness { source: fact.source, at: Some(fact.at) });
    }
}

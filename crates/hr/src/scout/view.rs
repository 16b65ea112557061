//! What is shown of a model's abilities: each with the source that it is known from, and its age.

use hr_core::capability::Witness;
use hr_core::pool::PoolModel;
use hr_core::time::Millis;
use serde_json::{Map, Value, json};

/// What is known of a model; what is not known is left out.
#[must_use]
pub fn abilities(model: &PoolModel, now: Millis) -> Value {
    let evidence = &model.evidence;
    let flag = |value: Option<bool>| value.map(Value::from);
    let number = |value: Option<u64>| value.map(Value::from);
    let all = [
        ("tools", flag(model.tools), evidence.tools),
        ("vision", flag(model.vision), evidence.vision),
        ("structured_output", flag(model.structured), evidence.structured),
        ("reasoning", flag(model.reasoning), evidence.reasoning),
        ("context", number(model.context), evidence.context),
        ("max_output", number(model.max_output), evidence.max_output),
    ];
    let known = all.into_iter().filter_map(|(name, value, witness)| {
        let Witness { source, at } = witness.unwrap_or(Witness::CATALOG);
        let age = at.map(|at| at.until(now).as_secs());
        Some((name.to_owned(), json!({ "value": value?, "source": source, "age_s": age })))
    });
    Value::Object(known.collect::<Map<String, Value>>())
}

//! The shape of an answer: a schema as the API takes it.

use serde_json::{Map, Value, json};

use crate::hub::{Format, Loss};

/// Keywords that the API refuses in the schema of an answer.
const REFUSED: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "contains",
];

/// What is asked of the answer.
pub(super) enum Output {
    /// Nothing special.
    Text,
    /// JSON, whichever.
    AnyJson,
    /// JSON of this schema.
    Schema(Value),
}

/// What to ask for.
pub(super) fn output(format: &Format, losses: &mut Vec<Loss>) -> Output {
    match format {
        Format::Text => Output::Text,
        Format::Schema { schema: Some(schema), .. } => match serde_json::from_str(schema.0.get()) {
            Ok(mut schema) => {
                if clean(&mut schema) {
                    losses.push(Loss::changed(
                        "format.schema",
                        "what may be in values was left out or narrowed",
                    ));
                }
                Output::Schema(schema)
            }
            Err(_) => Output::Schema(json!({"type": "object"})),
        },
        Format::Json | Format::Schema { schema: None, .. } => {
            losses.push(Loss::changed("format", "became an instruction"));
            Output::AnyJson
        }
    }
}

/// Takes out what is refused and closes objects; tells whether a limit went.
fn clean(schema: &mut Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let mut lost = false;
            for keyword in REFUSED {
                lost |= fields.shift_remove(keyword).is_some();
            }
            if fields.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1) {
                fields.shift_remove("minItems");
                lost = true;
            }
            lost |= close(fields);
            for (name, value) in fields.iter_mut() {
                lost |= match (name.as_str(), &mut *value) {
                    // Here the keys are names of the caller's and no keywords.
                    ("properties" | "$defs" | "definitions", Value::Object(inner)) => {
                        inner.values_mut().fold(false, |lost, inner| clean(inner) | lost)
                    }
                    ("enum" | "const" | "default" | "examples", _) => false,
                    (_, value) => clean(value),
                };
            }
            lost
        }
        Value::Array(items) => items.iter_mut().fold(false, |lost, item| clean(item) | lost),
        _ => false,
    }
}

/// Objects must say that they hold nothing else; tells whether one said otherwise.
fn close(fields: &mut Map<String, Value>) -> bool {
    let is_object =
        fields.get("type").is_some_and(|kind| kind == "object") || fields.contains_key("properties");
    is_object
        && fields.insert("additionalProperties".into(), false.into()).is_some_and(|before| before != false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_caller_are_no_keywords() {
        let mut schema = json!({
            "type": "object",
            "properties": {"minimum": {"type": "integer", "minimum": 1}, "list": {"type": "array", "minItems": 3}}
        });
        assert!(clean(&mut schema));
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {"minimum": {"type": "integer"}, "list": {"type": "array"}},
                "additionalProperties": false
            })
        );
        assert!(!clean(&mut schema));
        assert!(clean(&mut json!({"type": "object", "additionalProperties": {"type": "string"}})));
    }
}

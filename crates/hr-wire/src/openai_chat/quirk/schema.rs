//! Quirks of JSON schemas in tools and in the response format.

use serde_json::{Map, Value, json};

use super::{Workbench, mentions};
use crate::hub::Loss;
use crate::json::Kind;
use crate::patch::{self, Fate};

/// Schema words that the OpenAPI subset does not have, and that only narrow or describe.
const NOT_IN_OPENAPI: &[&str] = &[
    "$schema",
    "$id",
    "$ref",
    "$defs",
    "$comment",
    "definitions",
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "if",
    "then",
    "else",
    "not",
    "prefixItems",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "examples",
    "readOnly",
    "writeOnly",
    "deprecated",
    "uniqueItems",
    "multipleOf",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

/// How many references are followed within references before they are cut: recursion cannot be said in the
/// subset.
const REFERENCE_DEPTH: usize = 4;

/// How many references are followed in one schema, so that a few that multiply cannot fill the memory.
const MAX_REFERENCES: usize = 256;

/// `additionalProperties` and `$schema` are taken out of the parameters of tools.
pub(super) fn strip_schema_keys(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change("tools", |tools| {
        if !mentions(tools, &["additionalProperties", "$schema"]) {
            return None;
        }
        each_schema(tools, &mut strip)
    });
    bench.change("response_format", |format| {
        patch::within(format, "json_schema", |named| {
            patch::within(named, "schema", |schema| patch::object(schema, |schema| schema.remove("$schema")))
        })
    });
}

/// The schema and those below it without the two words. Names of properties are not schema words.
fn strip(schema: &str) -> Option<String> {
    if patch::kind(schema) != Some(Kind::Object) {
        return None;
    }
    let each_child = |children: &str| patch::each(children, |_, child| strip(child).into());
    patch::each(schema, |name, value| match (name.unwrap_or_default(), patch::kind(value)) {
        ("additionalProperties" | "$schema", _) => Fate::Drop,
        ("properties" | "$defs" | "definitions" | "patternProperties", Some(Kind::Object))
        | ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Some(Kind::Array)) => {
            each_child(value).into()
        }
        ("items" | "not" | "if" | "then" | "else" | "contains", _) => strip(value).into(),
        _ => Fate::Keep,
    })
}

/// The parameters of tools are brought to the subset of JSON Schema that OpenAPI 3.0 knows.
pub(super) fn openapi_schema_subset(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    let changed = bench.change("tools", |tools| each_schema(tools, &mut narrow));
    if changed {
        losses.push(Loss::changed("tools", "schemas were simplified"));
    }
}

/// The schema in the subset; nothing when it is within it already.
fn narrow(schema: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    let mut narrower = Narrower { root: schema.clone(), left: MAX_REFERENCES };
    let narrowed = narrower.subset(&schema, REFERENCE_DEPTH);
    (narrowed != schema).then(|| narrowed.to_string())
}

/// Applies `change` to the parameters of each function.
fn each_schema(tools: &str, change: &mut impl FnMut(&str) -> Option<String>) -> Option<String> {
    patch::each(tools, |_, tool| {
        patch::within(tool, "function", |function| patch::within(function, "parameters", &mut *change)).into()
    })
}

/// Brings one schema to the subset.
struct Narrower {
    /// What references point into.
    root: Value,
    /// How many more references may be followed.
    left: usize,
}

impl Narrower {
    /// The schema in the subset: references inlined, `const` as `enum`, `oneOf` as `anyOf`, `null` as
    /// `nullable`, the rest of what is unknown taken out.
    fn subset(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(object) = schema.as_object() else { return schema.clone() };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.follow(reference, depth);
        }
        let mut out = Map::new();
        for (key, value) in object {
            match key.as_str() {
                known if NOT_IN_OPENAPI.contains(&known) || known.starts_with("x-") => {}
                "const" => {
                    out.insert("enum".into(), json!([value]));
                }
                "type" => set_type(&mut out, value),
                "properties" => {
                    let children = value.as_object().into_iter().flatten();
                    let children: Map<_, _> =
                        children.map(|(name, child)| (name.clone(), self.subset(child, depth))).collect();
                    out.insert("properties".into(), Value::Object(children));
                }
                "items" => {
                    out.insert("items".into(), self.subset(value, depth));
                }
                "anyOf" | "oneOf" => self.set_branches(&mut out, value, depth),
                "allOf" => {
                    for branch in value.as_array().into_iter().flatten() {
                        merge(&mut out, self.subset(branch, depth));
                    }
                }
                _ => {
                    out.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        Value::Object(out)
    }

    fn follow(&mut self, reference: &str, depth: usize) -> Value {
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
        match (target, depth, self.left) {
            (Some(target), 1.., 1..) => {
                self.left -= 1;
                self.subset(&target, depth - 1)
            }
            _ => json!({"type": "object"}),
        }
    }

    fn set_branches(&mut self, out: &mut Map<String, Value>, branches: &Value, depth: usize) {
        let (nulls, others): (Vec<_>, Vec<_>) =
            branches.as_array().into_iter().flatten().partition(|branch| branch["type"] == "null");
        if !nulls.is_empty() {
            out.insert("nullable".into(), true.into());
        }
        let mut others: Vec<Value> = others.into_iter().map(|branch| self.subset(branch, depth)).collect();
        match others.len() {
            1 => merge(out, others.remove(0)),
            _ => {
                out.insert("anyOf".into(), Value::Array(others));
            }
        }
    }
}

fn set_type(out: &mut Map<String, Value>, kind: &Value) {
    let Some(kinds) = kind.as_array() else {
        out.insert("type".into(), kind.clone());
        return;
    };
    if kinds.iter().any(|kind| kind == "null") {
        out.insert("nullable".into(), true.into());
    }
    let mut others = kinds.iter().filter(|kind| *kind != "null");
    match (others.next(), others.next()) {
        (None, _) => {}
        (Some(only), None) => {
            out.insert("type".into(), only.clone());
        }
        (Some(_), Some(_)) => {
            let branches =
                kinds.iter().filter(|kind| *kind != "null").map(|kind| json!({"type": kind})).collect();
            out.insert("anyOf".into(), Value::Array(branches));
        }
    }
}

/// Adds the words of `other`; properties and required names are united.
fn merge(out: &mut Map<String, Value>, other: Value) {
    let Value::Object(other) = other else { return };
    for (key, value) in other {
        match (out.get_mut(&key), value) {
            (Some(Value::Object(have)), Value::Object(more)) => have.extend(more),
            (Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
            (Some(_), _) => {}
            (None, value) => {
                out.insert(key, value);
            }
        }
    }
}

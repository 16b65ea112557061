//! What models can do, as `hr status` shows it: whatever is known from elsewhere than the catalogue, with its source
//! and age.

use serde_json::Value;

use crate::cli::paint::Paint;
use crate::cli::table::Table;
use crate::cli::{fit, words};

/// The abilities that are shown, by their names in the router's answer and for people.
const SHOWN: [(&str, &str); 6] = [
    ("tools", "Tools"),
    ("vision", "Vision"),
    ("structured_output", "Schema"),
    ("reasoning", "Reasoning"),
    ("context", "Context"),
    ("max_output", "Output"),
];

/// The table, or where it is too wide a line a model; nothing when all is as the catalogue says.
pub fn table(status: &Value, width: Option<usize>, paint: &Paint) -> Option<String> {
    let heading: Vec<&'static str> =
        std::iter::once("Model").chain(SHOWN.iter().map(|(_, heading)| *heading)).collect();
    let mut table = Table::new(&heading);
    let mut lines = String::new();
    for (provider, state) in status["providers"].as_object().into_iter().flatten() {
        let models = state["model_caps"].as_array().into_iter().flatten();
        for model in models.filter(|model| model["by_request"] != true && is_found_out(model)) {
            let name = format!("{provider}/{}", model["model"].as_str().unwrap_or_default());
            let cells: Vec<String> =
                SHOWN.iter().map(|(ability, _)| cell(&model["abilities"][*ability])).collect();
            let known = SHOWN.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
            let mut parts = vec![format!("{}:", paint.strong(&name))];
            parts.extend(known.map(|((_, heading), cell)| format!("{} {cell}", heading.to_lowercase())));
            lines.push_str(&format!("{}\n", fit::fold(&parts, fit::BELOW, width)));
            table.row(std::iter::once(name).chain(cells).map(Into::into));
        }
    }
    let any = !lines.is_empty();
    any.then(|| if table.fits(width) { table.render(paint) } else { lines })
}

fn is_found_out(model: &Value) -> bool {
    let abilities = model["abilities"].as_object();
    abilities.into_iter().flatten().any(|(_, known)| known["source"] != "catalog")
}

/// `yes (listed, 2 h)`; the catalogue's word stands without a source.
fn cell(known: &Value) -> String {
    let value = match &known["value"] {
        Value::Bool(can) => if *can { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return String::new(),
    };
    let age = known["age_s"].as_u64().map_or_else(String::new, |age| format!(", {}", words::span(age)));
    match known["source"].as_str() {
        None | Some("catalog") => value,
        Some(source) => format!("{value} ({source}{age})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_found_out_is_shown_with_its_source_and_age() {
        let known = |value: Value, source: &str, age: Value| json!({ "value": value, "source": source, "age_s": age });
        let status = json!({ "providers": { "alpha": { "model_caps": [
            { "model": "a", "abilities": {
                "tools": known(json!(true), "probed", json!(90)),
                "vision": known(json!(false), "catalog", Value::Null),
                "context": known(json!(8192), "listed", json!(7200)),
            }},
            { "model": "b", "abilities": { "tools": known(json!(true), "catalog", Value::Null) } },
            { "model": "c", "by_request": true, "abilities": { "tools": known(json!(true), "listed", json!(1)) } },
            { "model": "d", "abilities": { "tools": known(json!(false), "override", Value::Null) } },
        ]}}});
        assert_eq!(
            table(&status, None, &Paint::plain()).unwrap(),
            "Model    Tools               Vision  Schema  Reasoning  Context             Output\n\
             alpha/a  yes (probed, 90 s)  no                         8192 (listed, 2 h)\n\
             alpha/d  no (override)\n"
        );
        assert_eq!(
            table(&status, Some(60), &Paint::plain()).unwrap(),
            "alpha/a:  tools yes (probed, 90 s)  vision no\n      \
             context 8192 (listed, 2 h)\n\
             alpha/d:  tools no (override)\n"
        );
        assert_eq!(table(&json!({}), None, &Paint::plain()), None);
        assert_eq!(table(&json!({ "providers": { "x": 7 } }), None, &Paint::plain()), None);
    }
}

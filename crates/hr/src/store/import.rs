//! The state file of the original product: what its probes found out about models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hr_core::route::{Change, Table};
use hr_core::time::Millis;
use serde::Deserialize;
use serde_json::json;

use super::error::StoreError;
use crate::files::store;

/// The most models that are taken over.
const MAX_MODELS: usize = 10_000;

/// The most names that are tried for the copy that is kept.
const MAX_NAMES: usize = 1_000;

/// Its file, as far as it is of use. Which of these there are tells it from any other JSON.
#[derive(Deserialize)]
struct Original {
    last_updated_ts: Option<f64>,
    providers: Option<BTreeMap<String, serde_json::Value>>,
    model_state: Option<BTreeMap<String, Model>>,
}

/// What it found out about one model.
#[derive(Deserialize)]
struct Model {
    supports_tools: Option<bool>,
    #[serde(default)]
    tools_confirmed: bool,
    reasoning: Option<bool>,
}

/// What the original's file says.
pub(super) fn read(path: &Path) -> Result<Vec<Change>, StoreError> {
    let text = store::read(path).map_err(|error| StoreError::unreadable(path, &error))?.unwrap_or_default();
    let original: Original = serde_json::from_str(&text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => StoreError::not_ours(path, "it is JSON of another kind"),
        _ => StoreError::damaged(path, format!("it looks like JSON, but is none: {error}")),
    })?;
    if original.providers.is_none() || (original.model_state.is_none() && original.last_updated_ts.is_none())
    {
        return Err(StoreError::not_ours(path, "it is JSON of another kind"));
    }
    // A time before 1970 or beyond all bounds saturates; then what it says is old, or believed for a while.
    let at = Millis((original.last_updated_ts.unwrap_or_default() * 1_000.0) as u64);
    let models = original.model_state.unwrap_or_default();
    Ok(models.iter().take(MAX_MODELS).filter_map(|(name, model)| capabilities(name, model, at)).collect())
}

fn capabilities(name: &str, model: &Model, at: Millis) -> Option<Change> {
    let (provider, model_id) = name.split_once("::")?;
    let finding = |value: bool| json!({ "value": value, "source": "import", "at": at });
    let mut kept = serde_json::Map::new();
    if let Some(tools) = model.supports_tools.filter(|_| model.tools_confirmed) {
        kept.insert("tools".to_owned(), finding(tools));
    }
    if let Some(reasoning) = model.reasoning {
        kept.insert("reasoning".to_owned(), finding(reasoning));
    }
    let kept = (!kept.is_empty()).then(|| serde_json::Value::Object(kept).to_string())?;
    Some(Change { table: Table::Capabilities, id: format!("{provider}/{model_id}"), kept: Some(kept) })
}

/// Gives the original's file another name, beside which nothing else is lost.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let names = (1..=MAX_NAMES).map(|number| match number {
        1 => store::beside(path, ".imported"),
        _ => store::beside(path, &format!(".imported-{number}")),
    });
    let free = names.into_iter().find(|name| std::fs::symlink_metadata(name).is_err());
    let free =
        free.ok_or_else(|| StoreError::unwritable(path, "there are too many imported copies beside it"))?;
    std::fs::rename(path, &free).map_err(|error| StoreError::unwritable(path, error))?;
    Ok(free)
}

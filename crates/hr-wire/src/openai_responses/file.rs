//! Documents as the input has them.

use serde_json::{Value, json};

use crate::hub::{Document, DocumentSource};

/// A name with an extension, by which servers tell what a file is.
fn file_name(title: &str, media_type: &str) -> String {
    let has_extension = title.rsplit_once('.').is_some_and(|(_, end)| (1..=4).contains(&end.len()));
    match media_type.rsplit_once('/') {
        _ if has_extension => title.to_owned(),
        Some(("text", "plain")) => format!("{title}.txt"),
        Some(("text" | "application", kind)) if kind.len() <= 4 => format!("{title}.{kind}"),
        _ => format!("{title}.pdf"),
    }
}

/// A document as a part of the input: a file, or words.
pub(super) fn wire_file(document: &Document) -> Value {
    let title = document.title.as_deref();
    match &document.source {
        DocumentSource::Url(url) => json!({"type": "input_file", "file_url": url}),
        DocumentSource::File(id) => json!({"type": "input_file", "file_id": id}),
        DocumentSource::Base64 { media_type, data } => json!({
            "type": "input_file",
            "filename": file_name(title.unwrap_or("document"), media_type),
            "file_data": format!("data:{media_type};base64,{data}"),
        }),
        DocumentSource::Text(text) => {
            let told = match title {
                Some(title) => format!("{title}:\n{text}"),
                None => text.clone(),
            };
            json!({"type": "input_text", "text": told})
        }
    }
}

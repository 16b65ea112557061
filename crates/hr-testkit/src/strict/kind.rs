//! Types of fields, and what every dialect's check does with them.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The type of a field; `null` stands for not set, except where [`Kind::takes`] says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string that is not empty, never `null`.
    Name,
    Text,
    Number,
    Whole,
    Flag,
    Object,
    List,
    /// A list that is not empty, never `null`.
    Filled,
    TextOrList,
    TextOrObject,
}

impl Kind {
    pub(crate) fn takes(self, value: &Value) -> bool {
        match self {
            Kind::Name => value.as_str().is_some_and(|text| !text.is_empty()),
            Kind::Filled => value.as_array().is_some_and(|items| !items.is_empty()),
            _ if value.is_null() => true,
            Kind::Text => value.is_string(),
            Kind::Number => value.is_number(),
            Kind::Whole => value.is_i64() || value.is_u64(),
            Kind::Flag => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::List => value.is_array(),
            Kind::TextOrList => value.is_string() || value.is_array(),
            Kind::TextOrObject => value.is_string() || value.is_object(),
        }
    }

    /// What it is, in the words of a validator.
    pub(crate) fn wanted(self) -> &'static str {
        match self {
            Kind::Name | Kind::Text => "string",
            Kind::Number => "number",
            Kind::Whole => "integer",
            Kind::Flag => "boolean",
            Kind::Object => "object",
            Kind::List | Kind::Filled => "array",
            Kind::TextOrList => "string or array",
            Kind::TextOrObject => "string or object",
        }
    }
}

/// The elements of a list; none for anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; an empty one for anything else.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a name has only letters, digits, `_` and `-`, and at most so many of them.
pub(crate) fn is_plain(name: &str, most: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.len() <= most && name.bytes().all(plain)
}

/// The top-level names of an object, repeated ones too; a value tree would keep only the last of them.
pub(crate) fn names(body: &[u8]) -> Vec<String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    serde_json::Deserializer::from_slice(body).deserialize_map(Names).unwrap_or_default()
}

//! The points of a candidate, by the names of their terms.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Points by term: a handful of them, for which a list is smaller than a map. They are written as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points(Vec<(Cow<'static, str>, i32)>);

impl Points {
    /// Those of a term.
    #[must_use]
    pub fn get(&self, term: &str) -> Option<&i32> {
        self.0.iter().find(|(known, _)| known == term).map(|(_, points)| points)
    }

    /// Gives a term these points.
    pub fn insert(&mut self, term: Cow<'static, str>, points: i32) {
        match self.0.iter_mut().find(|(known, _)| *known == term) {
            Some((_, known)) => *known = points,
            None => self.0.push((term, points)),
        }
    }

    /// Each term and its points.
    pub fn iter(&self) -> impl Iterator<Item = (&Cow<'static, str>, &i32)> {
        self.0.iter().map(|(term, points)| (term, points))
    }

    /// The terms.
    pub fn keys(&self) -> impl Iterator<Item = &Cow<'static, str>> {
        self.0.iter().map(|(term, _)| term)
    }

    /// The points.
    pub fn values(&self) -> impl Iterator<Item = &i32> {
        self.0.iter().map(|(_, points)| points)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(&'static str, i32)> for Points {
    fn from_iter<I: IntoIterator<Item = (&'static str, i32)>>(points: I) -> Self {
        Self(points.into_iter().map(|(term, points)| (Cow::Borrowed(term), points)).collect())
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMap;

        impl<'de> Visitor<'de> for AsMap {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("points by term")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Points, A::Error> {
                let mut points = Points::default();
                while let Some((term, value)) = map.next_entry::<String, i32>()? {
                    points.insert(Cow::Owned(term), value);
                }
                Ok(points)
            }
        }

        deserializer.deserialize_map(AsMap)
    }
}

//! The catalogue that is compiled in: `catalog/*.toml`, listed by `build.rs`; and a user's files beside it.

use std::sync::{Arc, LazyLock};

use super::{Catalog, Provider, file};
use crate::problem::Problem;

/// The files that are compiled in: name and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog_files.rs"));

/// Read once: a reload asks for it again.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut providers: Vec<Arc<Provider>> = FILES
        .iter()
        .map(|(name, text)| match file::parse(text, name) {
            Ok(provider) => Arc::new(provider),
            Err(problem) => unreachable!("a file of the build is broken, which its tests refuse: {problem}"),
        })
        .collect();
    providers.sort_by_key(|provider| provider.order);
    Catalog { providers }
});

/// The providers that are compiled in.
#[must_use]
pub fn builtin() -> Catalog {
    CATALOG.clone()
}

impl Catalog {
    /// The same catalogue with a user's own providers. One with the id of a provider that is already there
    /// takes its place, whole.
    ///
    /// # Errors
    ///
    /// When two of `own` have the same id, or one claims an alias or a prefix of another provider: then
    /// commands or settings could not tell them apart.
    pub fn with(mut self, own: Vec<Provider>) -> Result<Self, Problem> {
        for (index, provider) in own.iter().enumerate() {
            if let Some(earlier) = own[..index].iter().find(|earlier| earlier.id == provider.id) {
                return Err(Problem::new(
                    &provider.file,
                    format!("the provider `{}` is already in `{}`", provider.id, earlier.file),
                )
                .hint("give one of them another `id`"));
            }
        }
        self.providers.retain(|there| own.iter().all(|provider| provider.id != there.id));
        for provider in own {
            self.must_tell_apart(&provider)?;
            self.providers.push(Arc::new(provider));
        }
        self.providers.sort_by_key(|provider| provider.order);
        Ok(self)
    }

    /// Refuses a newcomer that shares its prefix or an alias with another provider.
    fn must_tell_apart(&self, newcomer: &Provider) -> Result<(), Problem> {
        for there in &self.providers {
            if there.prefix == newcomer.prefix {
                return Err(Problem::new(
                    &newcomer.file,
                    format!(
                        "the prefix `{}` is already that of the provider `{}`",
                        newcomer.prefix, there.id
                    ),
                )
                .hint("set another `prefix`"));
            }
            let taken = |alias: &&String| **alias == there.id || there.aliases.contains(alias);
            if let Some(alias) = newcomer.aliases.iter().find(taken) {
                return Err(Problem::new(
                    &newcomer.file,
                    format!("the alias `{alias}` already means the provider `{}`", there.id),
                ));
            }
        }
        Ok(())
    }
}

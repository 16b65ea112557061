//! The settings that every provider has, as templates: `<P>` stands for the provider's prefix, `<MODEL>` for
//! an id of a model in upper case with each run of other characters than letters and digits as one `_`.

use super::Kind;
use super::general::MOST_TOKENS;
use crate::catalog::{Catalog, Login, Provider};

/// A setting of every provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Template {
    /// The name with `<P>`, and `<MODEL>` where it is about one model.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// A value that shows what is meant.
    pub example: &'static str,
    /// One sentence on what it is.
    pub summary: &'static str,
    /// What else there is to know; may be empty.
    pub details: &'static str,
    /// Whether its value is masked wherever people see it.
    pub secret: bool,
    /// Whether it has an effect already.
    pub used: bool,
}

/// What a template is when it says nothing of these.
const PLAIN: Template =
    Template { name: "", kind: Kind::Text, example: "", summary: "", details: "", secret: false, used: true };

/// `<P>_BASE_URL`
pub const BASE_URL: Template = Template {
    name: "<P>_BASE_URL",
    kind: Kind::Address,
    example: "http://localhost:8080/v1",
    summary: "Another address for this provider.",
    details: "Plain `http` is accepted here, because you wrote it. An address that leads back to this router \
              switches the provider off. With one set, a retired provider is called again. One that stands in \
              the `.env` of the working directory gets only keys that stand there too.",
    ..PLAIN
};

/// `<P>_MODEL`
pub const MODEL: Template = Template {
    name: "<P>_MODEL",
    kind: Kind::List,
    example: "model-one,model-two",
    summary: "The models to use, instead of the defaults.",
    ..PLAIN
};

/// `<P>_EXCLUDE_MODELS`
pub const EXCLUDE_MODELS: Template = Template {
    name: "<P>_EXCLUDE_MODELS",
    kind: Kind::List,
    example: "model-two",
    summary: "Models that are never used.",
    details: "Whole ids, upper and lower case are the same. A provider with all models excluded stays in the \
              lists and is never called.",
    ..PLAIN
};

/// `<P>_EMBED_MODEL`
pub const EMBED_MODEL: Template = Template {
    name: "<P>_EMBED_MODEL",
    example: "embedding-model",
    summary: "The model for `POST /v1/embeddings`, instead of the default.",
    ..PLAIN
};

/// `<P>_SUPPORTS_TOOLS`
pub const SUPPORTS_TOOLS: Template = Template {
    name: "<P>_SUPPORTS_TOOLS",
    kind: Kind::Switch,
    example: "1",
    summary: "Whether the provider's models call tools, when the catalogue does not know or is wrong.",
    ..PLAIN
};

/// `<P>_REASONING`
pub const REASONING: Template = Template {
    name: "<P>_REASONING",
    kind: Kind::Switch,
    example: "0",
    summary: "Whether the provider's models reason before they answer.",
    ..PLAIN
};

/// `<P>_<MODEL>_SUPPORTS_TOOLS`
pub const MODEL_SUPPORTS_TOOLS: Template = Template {
    name: "<P>_<MODEL>_SUPPORTS_TOOLS",
    kind: Kind::Switch,
    example: "0",
    summary: "Whether this one model calls tools; it wins over the provider's.",
    ..PLAIN
};

/// `<P>_<MODEL>_REASONING`
pub const MODEL_REASONING: Template = Template {
    name: "<P>_<MODEL>_REASONING",
    kind: Kind::Switch,
    example: "1",
    summary: "Whether this one model reasons before it answers; it wins over the provider's.",
    ..PLAIN
};

/// `<P>_SKIP_TOKENS_OVER`
pub const SKIP_TOKENS_OVER: Template = Template {
    name: "<P>_SKIP_TOKENS_OVER",
    kind: Kind::Whole { unit: "tokens", min: 0, max: MOST_TOKENS },
    example: "5500",
    summary: "Prompts estimated above this size are not sent here.",
    details: "`0` sends all.",
    ..PLAIN
};

/// `<P>_MAX_OUTPUT_TOKENS`
pub const MAX_OUTPUT_TOKENS: Template = Template {
    name: "<P>_MAX_OUTPUT_TOKENS",
    kind: Kind::Whole { unit: "tokens", min: 0, max: MOST_TOKENS },
    example: "8192",
    summary: "The longest answer that is asked for here; a larger limit of a request is lowered to it.",
    details: "`0` leaves requests as they are.",
    ..PLAIN
};

/// `<P>_AUTO_DISCOVER_MODELS`
pub const AUTO_DISCOVER_MODELS: Template = Template {
    name: "<P>_AUTO_DISCOVER_MODELS",
    kind: Kind::Switch,
    example: "1",
    summary: "Whether models are added from the provider's list, whatever `AUTO_DISCOVER_MODELS` says.",
    ..PLAIN
};

/// All settings that every provider has besides its keys, in the order of the manual.
pub const PER_PROVIDER: &[&Template] = &[
    &BASE_URL,
    &MODEL,
    &EXCLUDE_MODELS,
    &EMBED_MODEL,
    &SUPPORTS_TOOLS,
    &REASONING,
    &MODEL_SUPPORTS_TOOLS,
    &MODEL_REASONING,
    &SKIP_TOKENS_OVER,
    &MAX_OUTPUT_TOKENS,
    &AUTO_DISCOVER_MODELS,
];

impl Template {
    /// The name for this provider, when the template is not about one model.
    #[must_use]
    pub fn of(&self, provider: &Provider) -> String {
        self.name.replace("<P>", &provider.prefix)
    }

    /// The name for this model of this provider.
    #[must_use]
    pub fn of_model(&self, provider: &Provider, model: &str) -> String {
        self.of(provider).replace("<MODEL>", &model_in_names(model))
    }

    /// Whether `name` is this setting of the provider. Asked for every variable of the environment at each
    /// reload, so it makes no strings.
    fn matches(&self, provider: &Provider, name: &str) -> bool {
        let (Some(own), Some(rest)) =
            (self.name.strip_prefix("<P>"), name.strip_prefix(provider.prefix.as_str()))
        else {
            return false;
        };
        match own.split_once("<MODEL>") {
            None => own == rest,
            Some((before, after)) => rest
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|model| !model.is_empty()),
        }
    }
}

/// An id of a model as it stands in names: `acme/large-2.5` is `ACME_LARGE_2_5`.
#[must_use]
pub fn model_in_names(model: &str) -> String {
    let mut name = String::with_capacity(model.len());
    for c in model.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_uppercase());
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.trim_matches('_').to_owned()
}

/// The variable for several keys, separated by commas: the plural.
#[must_use]
pub fn plural(key_variable: &str) -> String {
    format!("{key_variable}S")
}

/// The number of the first variable for one more key.
pub const FIRST_NUMBER: usize = 2;

/// The variable for one more key; numbers begin at [`FIRST_NUMBER`].
#[must_use]
pub fn numbered(key_variable: &str, number: usize) -> String {
    format!("{key_variable}_{number}")
}

/// What a name is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum About {
    /// A key of a provider, or several.
    Keys,
    /// A setting of every provider.
    Template(&'static Template),
    /// A header of a provider.
    Header,
    /// How accounts of a provider sign in.
    Login,
}

/// What `name` is at the providers of this catalogue, unless it is nothing.
#[must_use]
pub fn about(catalog: &Catalog, name: &str) -> Option<About> {
    let of = |provider: &Provider| {
        if provider.key_vars.iter().any(|variable| is_key_form(variable, name)) {
            return Some(About::Keys);
        }
        if provider.header_vars.values().any(|(variable, _)| variable == name) {
            return Some(About::Header);
        }
        if provider
            .login
            .as_ref()
            .is_some_and(|login| login_variables(login).any(|variable| variable == name))
        {
            return Some(About::Login);
        }
        PER_PROVIDER
            .iter()
            .find(|template| template.matches(provider, name))
            .map(|template| About::Template(template))
    };
    catalog.providers.iter().find_map(|provider| of(provider))
}

/// The variables of a login.
pub fn login_variables(login: &Login) -> impl Iterator<Item = &str> {
    login.token_url_vars.iter().chain([&login.home_var]).map(String::as_str)
}

fn is_key_form(variable: &str, name: &str) -> bool {
    name == variable || name == plural(variable) || is_numbered(variable, name)
}

/// Whether `name` is this variable with a number behind it, whether or not that number is read.
#[must_use]
pub fn is_numbered(variable: &str, name: &str) -> bool {
    let number = name.strip_prefix(variable).and_then(|rest| rest.strip_prefix('_'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

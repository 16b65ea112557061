//! Reads one provider's TOML file. A bad file is refused with its line, the reason and, where something
//! near is known, a "did you mean".

mod limit;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use self::limit::{LimitEntry, MeteringEntry, RefusedLimitEntry};
use super::check;
use super::{
    AuthScheme, Dialect, Discovery, Embedding, ErrorRow, Family, LocalServer, Login, Model, Price, Provider,
    QUIRK_FUNCTIONS, Quirks, RefusedKey, Retired, SpendClass,
};
use crate::failure::{FailureKind, Scope};
use crate::problem::{Problem, did_you_mean};

/// The largest file of a provider.
pub const MAX_FILE_BYTES: usize = 256 * 1024;
/// The longest wait that an error row may ask for: a month.
const MAX_WAIT_SECONDS: u64 = 31 * 24 * 60 * 60;
/// The longest wait for a first byte that a file may ask for.
const MAX_FIRST_BYTE_SECONDS: u64 = 3600;
/// The place in lists of a provider that does not name one: after all that do.
const LAST: u32 = 1000;
/// A provider's file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    id: Spanned<String>,
    name: Option<String>,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    order: Option<u32>,
    dialect: Option<Dialect>,
    base_url: Spanned<String>,
    auth: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    key_vars: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    refuse_key: Vec<RefusedKeyEntry>,
    login: Option<LoginEntry>,
    #[serde(default)]
    enabled_by: Vec<Spanned<String>>,
    spend: Option<SpendClass>,
    #[serde(default)]
    local: bool,
    #[serde(default)]
    fast: bool,
    sign_up: Option<Spanned<String>>,
    note: Option<String>,
    #[serde(default)]
    headers: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    header_vars: BTreeMap<Spanned<String>, HeaderVariable>,
    retired: Option<Retired>,
    unavailable: Option<String>,
    #[serde(default)]
    pass_user_agent: Vec<Spanned<String>>,
    #[serde(default)]
    paid_hosts: Vec<String>,
    #[serde(default)]
    server: Vec<ServerEntry>,
    first_byte_timeout: Option<Spanned<u64>>,
    skip_tokens_over: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    model: Vec<ModelEntry>,
    #[serde(default)]
    family: Vec<FamilyEntry>,
    embedding: Option<EmbeddingEntry>,
    discovery: Option<Spanned<Discovery>>,
    #[serde(default)]
    limit: Vec<LimitEntry>,
    #[serde(default)]
    ratelimit: MeteringEntry,
    #[serde(default)]
    quirks: QuirksEntry,
    #[serde(default)]
    error: Vec<Spanned<ErrorEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderVariable {
    var: Spanned<String>,
    default: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedKeyEntry {
    prefix: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginEntry {
    client: String,
    token_url: Spanned<String>,
    #[serde(default)]
    token_url_vars: Vec<Spanned<String>>,
    account_header: Spanned<String>,
    program: String,
    install: String,
    home_var: Spanned<String>,
    home: String,
    warning: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    id: Spanned<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    tools: Option<bool>,
    vision: Option<bool>,
    reasoning: Option<bool>,
    rating: Option<Spanned<u8>>,
    price: Option<Spanned<Price>>,
    spend: Option<SpendClass>,
    #[serde(default)]
    quirks: Vec<Spanned<String>>,
    #[serde(default = "yes")]
    default: bool,
    source: Option<String>,
    date: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyEntry {
    prefix: Spanned<String>,
    max_output: Option<u64>,
    #[serde(default)]
    quirks: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddingEntry {
    model: Spanned<String>,
    dimensions: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuirksEntry {
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    rename: BTreeMap<String, String>,
    #[serde(default)]
    clamp: BTreeMap<String, Spanned<(f64, f64)>>,
    #[serde(default)]
    force: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    functions: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorEntry {
    status: Option<Spanned<u16>>,
    code: Option<String>,
    contains: Option<Spanned<String>>,
    kind: FailureKind,
    scope: Option<Scope>,
    wait: Option<Spanned<u64>>,
    limit: Option<RefusedLimitEntry>,
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    name: String,
    base_url: Spanned<String>,
    told_by: Option<Spanned<String>>,
    lists_at: Option<Spanned<String>>,
}

fn yes() -> bool {
    true
}

/// Reads a provider's file. `file` is its name as shown to people.
///
/// # Errors
///
/// When the text is not TOML, has an unknown key or value, lacks `id` or `base_url`, or says something that
/// cannot be: the problem names the line.
pub fn parse(text: &str, file: &str) -> Result<Provider, Problem> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Problem::new(
            file,
            format!("larger than the {MAX_FILE_BYTES} bytes that a provider's file may have"),
        ));
    }
    let page = Page { text, file };
    let entry: ProviderFile = toml::from_str(text).map_err(|error| page.refused(&error))?;
    page.provider(entry)
}

/// The beginning of a text's hash.
fn digest(text: &str) -> [u8; 8] {
    let whole: [u8; 32] = Sha256::digest(text).into();
    std::array::from_fn(|at| whole[at])
}

/// A file and its text, to say where in it something is wrong.
struct Page<'a> {
    text: &'a str,
    file: &'a str,
}

impl Page<'_> {
    fn provider(&self, entry: ProviderFile) -> Result<Provider, Problem> {
        self.check(&entry.id, |id| check::id(id))?;
        for alias in &entry.aliases {
            self.check(alias, |alias| check::alias(alias))?;
        }
        let prefix = match entry.prefix {
            Some(prefix) => self.checked(prefix, |prefix| check::prefix(prefix))?,
            None => self.default_prefix(&entry.id)?,
        };
        let auth = match &entry.auth {
            Some(auth) => self.auth(auth)?,
            None => AuthScheme::Bearer,
        };
        if auth == AuthScheme::Oauth
            && entry.login.is_none()
            && let Some(auth) = &entry.auth
        {
            return Err(self
                .problem(auth.span(), "accounts need to know how they sign in")
                .hint("add `[login]`"));
        }
        let key_vars = match entry.key_vars {
            Some(names) => self.key_variables(names)?,
            None => vec![format!("{prefix}_API_KEY")],
        };
        self.check(&entry.base_url, |url| check::address(url))?;
        if let Some(sign_up) = &entry.sign_up {
            self.check(sign_up, |url| check::address(url))?;
        }
        if let Some(wait) = &entry.first_byte_timeout {
            self.check(wait, |seconds| check::within(*seconds, 1, MAX_FIRST_BYTE_SECONDS, "seconds"))?;
        }
        let id = entry.id.into_inner();
        Ok(Provider {
            name: entry.name.unwrap_or_else(|| id.clone()),
            aliases: entry.aliases.into_iter().map(Spanned::into_inner).collect(),
            order: entry.order.unwrap_or(LAST),
            dialect: entry.dialect.unwrap_or(Dialect::OpenaiChat),
            base_url: entry.base_url.get_ref().trim_end_matches('/').to_owned(),
            auth,
            prefix,
            key_vars,
            refused_keys: entry
                .refuse_key
                .into_iter()
                .map(|keys| RefusedKey { prefix: keys.prefix, reason: keys.reason })
                .collect(),
            login: entry.login.map(|login| self.login(login)).transpose()?,
            enabled_by: self.variables(entry.enabled_by)?,
            spend: entry.spend.unwrap_or(SpendClass::Paid),
            local: entry.local,
            fast: entry.fast,
            sign_up: entry.sign_up.map(Spanned::into_inner),
            note: entry.note,
            headers: self.headers(entry.headers)?,
            header_vars: self.header_variables(entry.header_vars)?,
            pass_user_agent: entry
                .pass_user_agent
                .into_iter()
                .map(|prefix| self.checked(prefix, |prefix| check::header_value(prefix)))
                .collect::<Result<_, _>>()?,
            paid_hosts: entry.paid_hosts.iter().map(|host| host.to_lowercase()).collect(),
            servers: entry.server.into_iter().map(|server| self.server(server)).collect::<Result<_, _>>()?,
            retired: entry.retired,
            unavailable: entry.unavailable,
            first_byte_timeout: entry.first_byte_timeout.map(|wait| Duration::from_secs(wait.into_inner())),
            skip_tokens_over: entry.skip_tokens_over,
            max_output_tokens: entry.max_output_tokens,
            models: self.models(entry.model)?,
            families: entry.family.into_iter().map(|family| self.family(family)).collect::<Result<_, _>>()?,
            embedding: entry.embedding.map(|embedding| self.embedding(embedding)).transpose()?,
            discovery: entry.discovery.map(|entry| self.discovery(entry)).transpose()?.unwrap_or_default(),
            limits: entry.limit.into_iter().map(|limit| self.limit(limit)).collect::<Result<_, _>>()?,
            metering: self.metering(entry.ratelimit)?,
            quirks: self.quirks(entry.quirks)?,
            errors: entry.error.into_iter().map(|row| self.error_row(row)).collect::<Result<_, _>>()?,
            file: self.file.to_owned(),
            digest: digest(self.text),
            id,
        })
    }

    fn auth(&self, written: &Spanned<String>) -> Result<AuthScheme, Problem> {
        match written.get_ref().as_str() {
            "bearer" => Ok(AuthScheme::Bearer),
            "oauth" => Ok(AuthScheme::Oauth),
            "none" => Ok(AuthScheme::None),
            other => match other.strip_prefix("header:") {
                Some(name) => match check::header_name(name) {
                    Ok(()) => Ok(AuthScheme::Header(name.to_owned())),
                    Err(reason) => Err(self.problem(written.span(), reason)),
                },
                None => Err(self.unknown(
                    written,
                    "auth scheme",
                    &["bearer", "header:x-api-key", "oauth", "none"],
                )),
            },
        }
    }

    fn login(&self, entry: LoginEntry) -> Result<Login, Problem> {
        Ok(Login {
            client: entry.client,
            token_url: self.checked(entry.token_url, |url| check::address(url))?,
            token_url_vars: self.variables(entry.token_url_vars)?,
            account_header: self.checked(entry.account_header, |name| check::header_name(name))?,
            program: entry.program,
            install: entry.install,
            home_var: self.checked(entry.home_var, |name| check::variable(name))?,
            home: entry.home,
            warning: entry.warning,
        })
    }

    /// `my-box` → `MY_BOX`.
    fn default_prefix(&self, id: &Spanned<String>) -> Result<String, Problem> {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let prefix = id.get_ref().chars().map(upper).collect::<String>();
        check::prefix(&prefix)
            .map_err(|reason| self.problem(id.span(), reason).hint("set another `prefix`"))?;
        Ok(prefix)
    }

    fn key_variables(&self, names: Vec<Spanned<String>>) -> Result<Vec<String>, Problem> {
        names.into_iter().map(|name| self.checked(name, |name| check::key_variable(name))).collect()
    }

    fn variables(&self, names: Vec<Spanned<String>>) -> Result<Vec<String>, Problem> {
        names.into_iter().map(|name| self.checked(name, |name| check::variable(name))).collect()
    }

    fn headers(
        &self,
        headers: BTreeMap<Spanned<String>, Spanned<String>>,
    ) -> Result<BTreeMap<String, String>, Problem> {
        headers
            .into_iter()
            .map(|(name, value)| {
                let name = self.checked(name, |name| check::header_name(name))?;
                Ok((name, self.checked(value, |value| check::header_value(value))?))
            })
            .collect()
    }

    fn header_variables(
        &self,
        headers: BTreeMap<Spanned<String>, HeaderVariable>,
    ) -> Result<BTreeMap<String, (String, String)>, Problem> {
        headers
            .into_iter()
            .map(|(name, value)| {
                let name = self.checked(name, |name| check::header_name(name))?;
                let variable = self.checked(value.var, |name| check::variable(name))?;
                Ok((name, (variable, self.checked(value.default, |value| check::header_value(value))?)))
            })
            .collect()
    }

    fn models(&self, entries: Vec<ModelEntry>) -> Result<Vec<Model>, Problem> {
        let mut seen = BTreeSet::new();
        let mut models = Vec::with_capacity(entries.len());
        for entry in entries {
            self.check(&entry.id, |id| check::model_id(id))?;
            if !seen.insert(entry.id.get_ref().clone()) {
                let reason = format!("the model `{}` is there twice", entry.id.get_ref());
                return Err(self.problem(entry.id.span(), reason));
            }
            if let Some(rating) = &entry.rating {
                self.check(rating, |rating| {
                    check::within(u64::from(*rating), 1, 5, "(1 is outstanding, 5 basic)")
                })?;
            }
            if let Some(price) = &entry.price {
                self.check(price, check::price)?;
            }
            models.push(Model {
                id: entry.id.into_inner(),
                context: entry.context,
                max_output: entry.max_output,
                tools: entry.tools,
                vision: entry.vision,
                reasoning: entry.reasoning,
                rating: entry.rating.map(Spanned::into_inner),
                price: entry.price.map(Spanned::into_inner),
                spend: entry.spend,
                quirks: self.functions(entry.quirks)?,
                source: entry.source,
                date: self.date(entry.date)?,
                default: entry.default,
            });
        }
        models.sort_by_key(|model| !model.default);
        Ok(models)
    }

    fn family(&self, entry: FamilyEntry) -> Result<Family, Problem> {
        Ok(Family {
            prefix: self.checked(entry.prefix, |prefix| check::model_id(prefix))?.to_ascii_lowercase(),
            max_output: entry.max_output,
            quirks: self.functions(entry.quirks)?,
        })
    }

    fn discovery(&self, entry: Spanned<Discovery>) -> Result<Discovery, Problem> {
        let span = entry.span();
        let bad = |reason| self.problem(span.clone(), reason);
        for list in &entry.get_ref().lists {
            check::path(&list.at).map_err(bad)?;
            if let Some(name) = &list.key_header {
                check::header_name(name).map_err(bad)?;
            }
        }
        Ok(entry.into_inner())
    }

    fn embedding(&self, entry: EmbeddingEntry) -> Result<Embedding, Problem> {
        let model = self.checked(entry.model, |id| check::model_id(id))?;
        Ok(Embedding { model, dimensions: entry.dimensions })
    }

    fn quirks(&self, entry: QuirksEntry) -> Result<Quirks, Problem> {
        let mut clamp = Vec::with_capacity(entry.clamp.len());
        for (field, bounds) in entry.clamp {
            let (low, high) = self.checked(bounds, check::bounds)?;
            clamp.push((field, low, high));
        }
        let functions = self.functions(entry.functions)?;
        Ok(Quirks {
            drop: entry.drop,
            rename: entry.rename.into_iter().collect(),
            clamp,
            force: entry.force.into_iter().collect(),
            functions,
        })
    }

    fn functions(&self, names: Vec<Spanned<String>>) -> Result<Vec<String>, Problem> {
        let known = |name: Spanned<String>| match QUIRK_FUNCTIONS.contains(&name.get_ref().as_str()) {
            true => Ok(name.into_inner()),
            false => Err(self.unknown(&name, "quirk function", QUIRK_FUNCTIONS)),
        };
        names.into_iter().map(known).collect()
    }

    fn error_row(&self, entry: Spanned<ErrorEntry>) -> Result<ErrorRow, Problem> {
        let span = entry.span();
        let entry = entry.into_inner();
        if entry.status.is_none() && entry.code.is_none() && entry.contains.is_none() {
            return Err(self
                .problem(span, "an `[[error]]` row without a condition")
                .hint("give it a `status`, a `code` or words that the body `contains`"));
        }
        if let Some(status) = &entry.status {
            self.check(status, |status| check::within(u64::from(*status), 100, 599, "(an HTTP status)"))?;
        }
        if let Some(words) = &entry.contains {
            self.check(words, |words| check::lower_case(words))?;
        }
        if let Some(wait) = &entry.wait {
            self.check(wait, |seconds| check::within(*seconds, 0, MAX_WAIT_SECONDS, "seconds"))?;
        }
        Ok(ErrorRow {
            status: entry.status.map(Spanned::into_inner),
            code: entry.code,
            contains: entry.contains.map(Spanned::into_inner),
            kind: entry.kind,
            scope: entry.scope,
            wait: entry.wait.map(|wait| Duration::from_secs(wait.into_inner())),
            limit: entry.limit.map(|limit| self.refused_limit(limit)).transpose()?,
            hint: entry.hint,
        })
    }

    fn server(&self, entry: ServerEntry) -> Result<LocalServer, Problem> {
        self.check(&entry.base_url, |url| check::loopback(url))?;
        let path = |path: Option<Spanned<String>>| {
            path.map(|path| self.checked(path, |path| check::path(path))).transpose()
        };
        Ok(LocalServer {
            name: entry.name,
            base_url: entry.base_url.get_ref().trim_end_matches('/').to_owned(),
            told_by: path(entry.told_by)?,
            lists_at: path(entry.lists_at)?,
        })
    }

    fn date(&self, date: Option<Spanned<String>>) -> Result<Option<String>, Problem> {
        date.map(|date| self.checked(date, |date| check::date(date))).transpose()
    }

    /// Places what a check found.
    fn check<T>(
        &self,
        value: &Spanned<T>,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<(), Problem> {
        check(value.get_ref()).map_err(|reason| self.problem(value.span(), reason))
    }

    /// The value, once a check has nothing against it.
    fn checked<T>(
        &self,
        value: Spanned<T>,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<T, Problem> {
        self.check(&value, check)?;
        Ok(value.into_inner())
    }

    fn unknown(&self, value: &Spanned<String>, what: &str, known: &[&str]) -> Problem {
        let word = check::shown(value.get_ref());
        let hint = hint(value.get_ref(), known);
        self.problem(value.span(), format!("unknown {what} `{word}`")).hint(hint)
    }

    fn problem(&self, span: Range<usize>, reason: impl Into<String>) -> Problem {
        Problem::new(self.file, reason).at(self.line(span.start))
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// Says in our words what the TOML reader refused. It quotes names and values in backticks: first what
    /// it found, then what it knows. A value that is not one of those names is not repeated: it may be secret.
    fn refused(&self, error: &toml::de::Error) -> Problem {
        let message = error.message();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let (reason, hint) = match quoted.split_first() {
            Some((word, known)) if message.starts_with("unknown field") => {
                (format!("unknown key `{}`", check::shown(word)), Some(hint(word, known)))
            }
            Some((word, known)) if message.starts_with("unknown variant") => {
                (format!("unknown value `{}`", check::shown(word)), Some(hint(word, known)))
            }
            Some((word, _)) if message.starts_with("missing field") => {
                (format!("the key `{word}` is missing"), None)
            }
            _ => (without_value(message), None),
        };
        let mut problem = Problem::new(self.file, reason);
        problem.line = error.span().map(|span| self.line(span.start));
        problem.hint = hint;
        problem
    }
}

/// What was meant, or else all that could be meant.
fn hint(word: &str, known: &[&str]) -> String {
    did_you_mean(word, known.iter().copied()).unwrap_or_else(|| format!("known are {}", known.join(", ")))
}

/// The reader's message with a wrong value reduced to its type.
fn without_value(message: &str) -> String {
    let message = message.lines().next().unwrap_or("not a TOML file");
    match (message.find('"'), message.rfind("\", expected ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", message[..start].trim_end(), &message[end + 1..])
        }
        _ => message.to_owned(),
    }
}

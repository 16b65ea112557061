//! Settings, catalogue and credentials put together.

use std::sync::Arc;

use crate::capability::{Evidence, Wishes, Witness};
use crate::catalog::{AuthScheme, Catalog, Dialect, Model, Provider, SpendClass};
use crate::credentials::{AuthSource, Collected, collect_keys};
use crate::problem::{Problem, did_you_mean};
use crate::secret::{InstallSecret, KeyId, Secret};
use crate::settings::Origin;
use crate::settings::address::{Address, OwnAddresses};
use crate::settings::define::provider::EXCLUDE_MODELS;
use crate::settings::layers::{Layers, Trust};
use crate::settings::resolve::{BaseUrl, ProviderSettings, Resolved};

use super::{Key, KeySource, Member, Pool, PoolModel, rating};

/// Who can be called, with what, under which rules; and what looks like a mistake. A provider whose address
/// leads back to this router is switched off and warned of; the rest of the pool stands.
///
/// # Errors
///
/// Every key that no request could carry. Then there is no pool: the caller keeps the one it had.
pub fn resolve(
    catalog: &Catalog,
    layers: &Layers,
    resolved: &Resolved,
    auth: &[AuthSource],
    install: &InstallSecret,
    own: &OwnAddresses,
) -> Result<(Pool, Vec<Problem>), Vec<Problem>> {
    let mut gathering = Gathering {
        layers,
        auth,
        install,
        own,
        access_keys: &resolved.settings.proxy_api_keys,
        warnings: strangers(catalog, auth),
        problems: Vec::new(),
    };
    let unset = ProviderSettings::default();
    let members = catalog
        .providers
        .iter()
        .filter_map(|provider| {
            gathering.member(provider, resolved.providers.get(&provider.id).unwrap_or(&unset))
        })
        .collect();
    if !gathering.problems.is_empty() {
        return Err(gathering.problems);
    }
    Ok((Pool { members, rules: resolved.settings.rules.clone() }, gathering.warnings))
}

/// Keys that are stored for a provider that nobody knows.
fn strangers(catalog: &Catalog, auth: &[AuthSource]) -> Vec<Problem> {
    let of = |source: &AuthSource| -> Vec<Problem> {
        let unknown = source.file.providers().filter(|name| catalog.providers.iter().all(|p| p.id != *name));
        unknown
            .map(|name| {
                let reason = format!("keys are stored for the provider `{name}`, which is not known");
                let problem = Problem::new(&source.path, reason);
                match did_you_mean(name, catalog.names()) {
                    Some(hint) => problem.hint(hint),
                    None => problem.hint("a file in `providers.d` can add it"),
                }
            })
            .collect()
    };
    auth.iter().flat_map(of).collect()
}

/// What members are made from, and what was found wrong on the way.
struct Gathering<'a> {
    layers: &'a Layers,
    auth: &'a [AuthSource],
    install: &'a InstallSecret,
    own: &'a OwnAddresses,
    access_keys: &'a [Secret],
    warnings: Vec<Problem>,
    problems: Vec<Problem>,
}

impl Gathering<'_> {
    /// The provider as a member, unless it has no key and needs one, or needs none and is not asked for.
    fn member(&mut self, provider: &Arc<Provider>, set: &ProviderSettings) -> Option<Member> {
        let keyless = provider.auth == AuthScheme::None;
        if keyless && !self.is_asked_for(provider) {
            return None;
        }
        let mut keys = self.keys(provider, set);
        if keys.is_empty() && !keyless {
            return None;
        }
        self.see_to_tokens(provider, set);
        let off = self.off(provider, set.base_url.as_ref()).or_else(|| self.signed_out(provider, &mut keys));
        if off.is_none() {
            self.hold_back_access_keys(provider, &mut keys);
        }
        if keys.is_empty() {
            if !keyless {
                return None;
            }
            keys.push(Key {
                id: KeyId::keyless(),
                secret: None,
                account: None,
                source: KeySource::Keyless,
                owner: None,
            });
        }
        let models = self.models(provider, set);
        let base_url = match &set.base_url {
            Some(base_url) => full(provider.dialect, base_url.address.as_str()),
            None => full(provider.dialect, &provider.base_url),
        };
        Some(Member {
            base_url,
            base_url_is_users: set.base_url.is_some(),
            models,
            excluded: set.excluded.clone(),
            keys,
            embed_model: set
                .embed_model
                .clone()
                .or_else(|| provider.embedding.as_ref().map(|embedding| embedding.model.clone()))
                .filter(|model| !set.excluded.contains(&model.to_lowercase())),
            skip_tokens_over: set.skip_tokens_over.or(provider.skip_tokens_over).filter(|tokens| *tokens > 0),
            max_output_tokens: set
                .max_output_tokens
                .or(provider.max_output_tokens)
                .filter(|tokens| *tokens > 0),
            headers: headers(provider, set),
            token_url: provider.login.as_ref().map(|login| {
                let own = set.token_url.as_ref().map(|url| url.address.as_str());
                own.unwrap_or(&login.token_url).to_owned()
            }),
            off,
            wishes: Wishes {
                discover: set.discover,
                tools: set.supports_tools,
                reasoning: set.reasoning,
                all_paid: is_sold(provider, set),
            },
            provider: Arc::clone(provider),
        })
    }

    /// The keys that may go to the provider's address. A working directory's address gets only the keys that
    /// came with it: else a folder from elsewhere could collect the user's own.
    fn keys(&mut self, provider: &Provider, set: &ProviderSettings) -> Vec<Key> {
        let all = collect_keys(provider, self.auth, self.layers, self.install);
        let addresses = [&set.base_url, &set.token_url].into_iter().flatten();
        match addresses.into_iter().find(|address| address.trust == Trust::WorkingDirectory) {
            None => self.sound(all),
            Some(base_url) => {
                let own = self.of_working_directory(provider);
                let kept = self.sound(own);
                if all.keys.iter().any(|key| kept.iter().all(|own| own.id != key.id)) {
                    let reason = format!(
                        "`{}` stands in the working directory, so keys of `{}` from elsewhere are not sent there",
                        base_url.variable, provider.id
                    );
                    let hint = format!("set `{}` in the environment to trust the address", base_url.variable);
                    self.warnings.push(base_url.origin.problem(reason).hint(hint));
                }
                kept
            }
        }
    }

    /// Warns of an address to which tokens of accounts would go unencrypted. Whoever has one has the whole account, not
    /// only some calls.
    fn see_to_tokens(&mut self, provider: &Provider, set: &ProviderSettings) {
        if provider.auth != AuthScheme::Oauth {
            return;
        }
        let addresses = [&set.base_url, &set.token_url].into_iter().flatten();
        for url in addresses.filter(|url| url.address.is_in_the_clear()) {
            let reason =
                format!("`{}` sends the tokens of accounts to another machine unencrypted", url.variable);
            self.warnings.push(url.origin.problem(reason).hint("use an `https://` address"));
        }
    }

    /// Leaves out the accounts whose user has to sign in again. When none is left, they stay to be seen, and this
    /// is why the provider is not called.
    fn signed_out(&mut self, provider: &Provider, keys: &mut Vec<Key>) -> Option<String> {
        let is_out = |key: &Key| key.account.as_ref().is_some_and(|account| account.login_needed.is_some());
        let out: Vec<Problem> = keys
            .iter()
            .filter(|key| is_out(key))
            .filter_map(|key| {
                let path = self.auth.first().map_or("auth.json", |source| &source.path);
                let account = key.account.as_ref()?;
                let reason = format!("the account `{}` of `{}` is signed out", account.id, provider.id);
                Some(
                    Problem::new(path, reason)
                        .hint(format!("sign in again: `hr auth login {}`", provider.id)),
                )
            })
            .collect();
        let all = !keys.is_empty() && out.len() == keys.len();
        self.warnings.extend(out);
        if all {
            return Some(format!(
                "its accounts are signed out; sign in again: `hr auth login {}`",
                provider.id
            ));
        }
        keys.retain(|key| !is_out(key));
        None
    }

    /// Leaves out the router's own access keys: who lets other programs call the router exports one under the
    /// name of a provider's key, and it must not be sent to that provider.
    fn hold_back_access_keys(&mut self, provider: &Provider, keys: &mut Vec<Key>) {
        let is_ours =
            |key: &mut Key| key.secret.as_ref().is_some_and(|secret| self.access_keys.contains(secret));
        for key in keys.extract_if(.., is_ours) {
            let held = format!("an access key of this router, which is not sent to `{}`", provider.id);
            self.warnings.push(match &key.source {
                KeySource::Environment(name) | KeySource::EnvFile(name) => {
                    let origin = self.layers.get(name).map_or(Origin::Environment, |found| found.origin);
                    origin.problem(format!("`{name}` holds {held}"))
                }
                KeySource::AuthFile | KeySource::Keyless => {
                    let path = self.auth.first().map_or("auth.json", |source| &source.path);
                    Problem::new(path, format!("a stored key of `{}` is {held}", provider.id))
                }
            });
        }
    }

    /// Whether a provider that needs no key is to be used: one of its variables is set, or it names none.
    fn is_asked_for(&self, provider: &Provider) -> bool {
        provider.enabled_by.is_empty()
            || provider.enabled_by.iter().any(|variable| self.layers.get(variable).is_some())
    }

    fn of_working_directory(&self, provider: &Provider) -> Collected {
        let auth: Vec<AuthSource> =
            self.auth.iter().filter(|source| source.trust == Trust::WorkingDirectory).cloned().collect();
        collect_keys(provider, &auth, &self.layers.of_working_directory(), self.install)
    }

    fn sound(&mut self, collected: Collected) -> Vec<Key> {
        self.problems.extend(collected.problems);
        collected.keys
    }

    /// Why the provider is not called although it has a key.
    fn off(&mut self, provider: &Provider, base_url: Option<&BaseUrl>) -> Option<String> {
        if let Some(why) = &provider.unavailable {
            return Some(why.clone());
        }
        match base_url {
            Some(base_url) if base_url.address.leads_to(self.own) => {
                let reason = format!("`{}` leads back to this router", base_url.variable);
                let hint = format!("unset it to call the provider `{}` itself", provider.id);
                self.warnings.push(base_url.origin.problem(&reason).hint(hint));
                Some(reason)
            }
            Some(_) => None,
            None if leads_back(&provider.base_url, self.own) => {
                let reason =
                    format!("the address of the provider `{}` leads back to this router", provider.id);
                self.warnings.push(Problem::new(&provider.file, &reason));
                Some(reason)
            }
            None => provider.retired.as_ref().map(|retired| retired.note.clone()),
        }
    }

    /// The models that may be used, in the user's order.
    fn models(&mut self, provider: &Provider, set: &ProviderSettings) -> Vec<PoolModel> {
        let listed = |default: bool| {
            let models = provider.models.iter().filter(move |model| model.default == default);
            models.map(|model| model.id.as_str())
        };
        // A list of the user's is the whole list; without one, what else is known can be asked for by name.
        let (wanted, by_request): (Vec<&str>, Vec<&str>) = if set.models.is_empty() {
            (listed(true).collect(), listed(false).collect())
        } else {
            (set.models.iter().map(String::as_str).collect(), Vec::new())
        };
        let allowed = |id: &&&str| !set.excluded.contains(&id.to_lowercase());
        let mut models: Vec<PoolModel> =
            wanted.iter().filter(allowed).map(|id| pool_model(provider, set, id)).collect();
        let none_left = models.is_empty() && !wanted.is_empty();
        models.extend(
            by_request
                .iter()
                .filter(allowed)
                .map(|id| PoolModel { by_request: true, ..pool_model(provider, set, id) }),
        );
        if none_left {
            let variable = EXCLUDE_MODELS.of(provider);
            let reason =
                format!("`{variable}` excludes every model of `{}` that is used unasked", provider.id);
            self.warnings.extend(self.layers.get(&variable).map(|found| found.problem(reason)));
        }
        models
    }
}

/// The address as the dialect needs it. People write an Anthropic one with and without its version.
fn full(dialect: Dialect, base_url: &str) -> String {
    let is_version = |segment: &str| {
        let number = segment.strip_prefix('v').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    // A host may be called `v1` too: two slashes before it tell.
    let has_version =
        base_url.rsplit_once('/').is_some_and(|(before, last)| !before.ends_with('/') && is_version(last));
    if dialect == Dialect::Anthropic && !has_version { format!("{base_url}/v1") } else { base_url.to_owned() }
}

fn leads_back(base_url: &str, own: &OwnAddresses) -> bool {
    Address::parse(base_url).is_ok_and(|address| address.leads_to(own))
}

/// A model under the user's settings: the catalogue's facts where it knows the id.
fn pool_model(provider: &Provider, set: &ProviderSettings, id: &str) -> PoolModel {
    let known = provider
        .models
        .iter()
        .find(|model| model.id == id)
        .or_else(|| provider.models.iter().find(|model| model.id.eq_ignore_ascii_case(id)));
    let family = if known.is_none() { provider.family(id) } else { None };
    let rating = known.and_then(|model| model.rating).unwrap_or_else(|| rating::rating(id));
    let set_tools = set.model_supports_tools.get(id).copied().or(set.supports_tools);
    let set_reasoning = set.model_reasoning.get(id).copied().or(set.reasoning);
    PoolModel {
        id: id.to_owned(),
        rating,
        quality: rating::quality(id, rating, provider.order),
        context: known.and_then(|model| model.context),
        max_output: known
            .and_then(|model| model.max_output)
            .or_else(|| family.and_then(|family| family.max_output)),
        tools: set_tools.or_else(|| known.and_then(|model| model.tools)),
        vision: known.and_then(|model| model.vision),
        structured: None,
        reasoning: set_reasoning.or_else(|| known.and_then(|model| model.reasoning)),
        evidence: Evidence {
            tools: set_tools.map(|_| Witness::OVERRIDE),
            reasoning: set_reasoning.map(|_| Witness::OVERRIDE),
            ..Evidence::default()
        },
        price: known.and_then(|model| model.price),
        spend: if is_sold(provider, set) {
            SpendClass::Paid
        } else {
            known.and_then(|model| model.spend).unwrap_or_else(|| spend(provider, known, id))
        },
        quirks: known
            .map(|model| &model.quirks)
            .or_else(|| family.map(|family| &family.quirks))
            .cloned()
            .unwrap_or_default(),
        by_request: false,
    }
}

/// Whether the address in force is one where the provider charges for every call.
fn is_sold(provider: &Provider, set: &ProviderSettings) -> bool {
    let host = set.base_url.as_ref().map(|base_url| base_url.address.host());
    host.is_some_and(|host| provider.paid_hosts.iter().any(|paid| paid == host))
}

/// A model that only a request names.
pub(super) fn unlisted(provider: &Provider, id: &str) -> PoolModel {
    PoolModel { by_request: true, ..pool_model(provider, &ProviderSettings::default(), id) }
}

/// A model that the provider's list names.
pub(super) fn found(member: &Member, id: &str) -> PoolModel {
    let wishes = member.wishes;
    let set = ProviderSettings {
        supports_tools: wishes.tools,
        reasoning: wishes.reasoning,
        ..ProviderSettings::default()
    };
    pool_model(&member.provider, &set, id)
}

/// What a call costs when the model's own entry does not say. Where a provider's free models are listed, the
/// price of another is unknown, which counts as paid; but one that ends in the same variant (`…:free`) as a
/// listed one is of its class. A subscription and the user's own machine charge for no model.
fn spend(provider: &Provider, known: Option<&Model>, id: &str) -> SpendClass {
    let class = |model: &Model| model.spend.unwrap_or(provider.spend);
    let sells = || provider.models.iter().any(|model| class(model) == SpendClass::Paid);
    let all_alike = match provider.spend {
        SpendClass::Free => provider.local || provider.models.is_empty(),
        SpendClass::Included => !sells(),
        SpendClass::Paid => false,
    };
    if known.is_some() || all_alike {
        return provider.spend;
    }
    let variant = |id: &str| id.rsplit_once(':').map(|(_, variant)| variant.to_owned());
    variant(id)
        .and_then(|wanted| provider.models.iter().find(|model| variant(&model.id).as_ref() == Some(&wanted)))
        .map_or(SpendClass::Paid, class)
}

/// The headers sent with each request, variables resolved.
fn headers(provider: &Provider, set: &ProviderSettings) -> Vec<(String, String)> {
    let fixed = provider.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    let from_variables = provider
        .header_vars
        .iter()
        .map(|(name, (_, default))| (name.clone(), set.headers.get(name).unwrap_or(default).clone()));
    fixed.chain(from_variables).filter(|(_, value)| !value.is_empty()).collect()
}

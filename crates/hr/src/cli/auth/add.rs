//! `hr auth add`

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read};

use anyhow::{Context, bail};
use clap::Args;
use hr_core::catalog::{AuthScheme, Provider};
use hr_core::credentials::Added;
use hr_core::secret::Secret;

use crate::cli::desk::{self, Desk};
use crate::cli::report::Advice;
use crate::cli::{print, words};
use crate::files::{edit, install};

/// The most that is read from standard input: thousands of keys.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

/// The longest name of an owner.
const MAX_OWNER_CHARS: usize = 80;

/// Store keys for a provider
///
/// On a terminal you are asked for the key, which is not shown, and then for
/// more. Otherwise keys are read from standard input, one a line or separated by
/// commas. A key is never an argument: every program on the machine could read it
/// there. A router that runs uses new keys at once.
///
/// Examples:
///
///   hr auth add <provider>                         asks for it
///   hr auth add <provider> < keys.txt              takes all keys of a file
///   pass show my-key | hr auth add <provider>      takes it from a password store
///   hr auth add <provider> --owner my-project      keys of one project share its quota
///
/// `hr providers` lists the providers and where to get a key.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Add {
    /// The provider, by its name or a common other name of it
    provider: Option<String>,

    /// Who the provider counts these keys' quota against: a project, an organisation, an account. A key that is stored
    /// already is given the name too
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    // Caught here, so that no message repeats what may be a key.
    #[arg(hide = true)]
    surplus: Vec<String>,
}

impl Add {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let catalog = desk.catalog()?;
        let provider = desk::provider(&catalog, self.provider.as_deref())?;
        if !self.surplus.is_empty() {
            let hint = format!("pipe it in instead: `hr auth add {} < key.txt`", provider.id);
            let what = "a key is not taken as an argument, where every program on the machine could read it";
            return Err(Advice::new(what, hint).into());
        }
        takes_keys(provider)?;
        let owner = self.owner.as_deref().map(str::trim);
        if let Some(owner) = owner
            && (owner.is_empty()
                || owner.chars().count() > MAX_OWNER_CHARS
                || owner.contains(char::is_control))
        {
            bail!("the owner's name must have 1 to {MAX_OWNER_CHARS} printable characters");
        }
        let keys = if io::stdin().is_terminal() { ask(provider)? } else { read_keys(io::stdin().lock())? };
        if keys.is_empty() {
            let hint = format!("pipe keys in, one a line: `hr auth add {} < keys.txt`", provider.id);
            return Err(Advice::new("no key was given", hint).into());
        }
        allowed(provider, &keys)?;
        store(desk, provider, &keys, owner)
    }
}

/// Refuses a provider that has no use for a key, and says what there is to know of one that has.
fn takes_keys(provider: &Provider) -> anyhow::Result<()> {
    let id = &provider.id;
    match (&provider.auth, &provider.unavailable) {
        (AuthScheme::Oauth, _) => {
            let what = format!("`{id}` signs in with accounts, not with keys");
            Err(Advice::new(what, format!("sign in: `hr auth login {id}`"))
                .and(format!("or take over the login of its own program: `hr auth import-{id}`"))
                .into())
        }
        (AuthScheme::None, _) => {
            let switch = provider.enabled_by.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let hint = match switch.as_slice() {
                [] => "it is used as it is".to_owned(),
                names => format!("set {} in the settings file, see `hr config path`", names.join(" or ")),
            };
            let mut advice = Advice::new(format!("`{id}` needs no key"), hint);
            if !provider.servers.is_empty() {
                let names = provider.servers.iter().map(|server| server.name.as_str());
                let names: BTreeSet<&str> = names.collect();
                advice = advice.and(format!(
                    "`hr providers --scan` finds what runs on this machine ({}) and says how to use it",
                    names.into_iter().collect::<Vec<_>>().join(", ")
                ));
            }
            if let Some(variable) = provider.key_vars.first() {
                advice = advice.and(format!("if your server asks for a key all the same, set `{variable}`"));
            }
            Err(advice.into())
        }
        (_, Some(why)) => {
            print::say(&format!("note: {why}"));
            Ok(())
        }
        (_, None) => {
            if let Some(retired) = &provider.retired {
                print::say(&format!(
                    "note: `{id}` was retired on {}: {}; it is called only when `{}_BASE_URL` is set",
                    retired.date, retired.note, provider.prefix
                ));
            }
            Ok(())
        }
    }
}

/// Refuses keys that may not be used here, although the provider gives them out.
fn allowed(provider: &Provider, keys: &[Secret]) -> anyhow::Result<()> {
    for refused in &provider.refused_keys {
        if keys.iter().any(|key| key.expose().starts_with(&refused.prefix)) {
            let what =
                format!("a key that begins with `{}` is not taken: {}", refused.prefix, refused.reason);
            let hint = match &provider.sign_up {
                Some(link) => format!("make a key of the API at {link}"),
                None => "make a key of the API".to_owned(),
            };
            return Err(Advice::new(what, hint).into());
        }
    }
    Ok(())
}

/// Asks for keys until there are no more.
fn ask(provider: &Provider) -> anyhow::Result<Vec<Secret>> {
    if let Some(link) = &provider.sign_up {
        print::say(&format!("Get a key for {} at {link}", provider.name));
    }
    let mut keys = Vec::new();
    loop {
        let text = match rpassword::prompt_password(format!("Key for {} (not shown): ", provider.id)) {
            Ok(text) => text,
            // Ctrl-D: there are no more, and what was entered before counts.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                print::say("");
                return Ok(keys);
            }
            Err(error) => return Err(error).context("could not read the key from the terminal"),
        };
        let found = split(&text);
        if found.is_empty() {
            print::say("warning: nothing was entered, so nothing is added");
        }
        keys.extend(found);
        if !super::yes("Add another?")? {
            return Ok(keys);
        }
    }
}

fn read_keys(input: impl Read) -> anyhow::Result<Vec<Secret>> {
    let mut text = String::new();
    input
        .take(MAX_INPUT_BYTES + 1)
        .read_to_string(&mut text)
        .context("could not read keys from standard input")?;
    if text.len() as u64 > MAX_INPUT_BYTES {
        bail!("standard input is longer than {MAX_INPUT_BYTES} bytes");
    }
    Ok(split(&text))
}

/// The keys of a text: one a line, or separated by commas.
fn split(text: &str) -> Vec<Secret> {
    let keys = text.split(['\n', '\r', ',']).map(str::trim).filter(|key| !key.is_empty());
    keys.map(Secret::new).collect()
}

fn store(desk: &Desk, provider: &Provider, keys: &[Secret], owner: Option<&str>) -> anyhow::Result<()> {
    let install = install::secret(&desk.home.install_key)?;
    let path = desk.auth_path();
    let (new, known, total) = edit::credentials(&path, |file| {
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for key in keys {
            match file.add_key(&provider.id, key, owner, &install).map_err(anyhow::Error::msg)? {
                Added::New => new.push(key.tail()),
                Added::Duplicate => known.push(key.tail()),
            }
        }
        Ok((new, known, file.keys(&provider.id).count()))
    })?;
    let shown = |tails: &[String]| tails.iter().map(|tail| format!("…{tail}")).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    if !known.is_empty() {
        text.push_str(&format!("Already stored: {}\n", shown(&known)));
    }
    if !new.is_empty() {
        text.push_str(&format!(
            "Added {} for {}: {}\n",
            words::count(new.len(), "key"),
            provider.id,
            shown(&new)
        ));
    }
    if let Some(owner) = owner {
        text.push_str(&format!("Their quota is that of `{owner}`\n"));
    }
    text.push_str(&format!("{} now has {} in {}\n", provider.id, words::count(total, "key"), path.display()));
    if desk.running()?.is_some() {
        text.push_str("The router that runs uses it at once.\n");
    }
    print::out(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_one_a_line_or_between_commas() {
        let keys = read_keys("\n a-1 ,b-2\r\n\r\nc-3,,".as_bytes()).unwrap();
        let keys: Vec<&str> = keys.iter().map(Secret::expose).collect();
        assert_eq!(keys, ["a-1", "b-2", "c-3"]);
        assert!(read_keys(" \n,".as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn more_than_fits_is_refused() {
        let endless = io::repeat(b'a');
        assert!(read_keys(endless).is_err());
    }
}

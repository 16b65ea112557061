//! From the files and the environment to what is in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hr_core::catalog::{self, Catalog, Provider};
use hr_core::credentials::{AuthFile, AuthSource, collect_keys};
use hr_core::pool::{self, Pool};
use hr_core::problem::Problem;
use hr_core::settings::dotenv::DotEnv;
use hr_core::settings::{self, EnvFile, Layers, OwnAddresses, Settings, Trust, Value};
use sha2::{Digest, Sha256};

use crate::files::home::{Home, Place};
use crate::files::install;
use crate::files::store;

/// The most files of a user's own providers.
const MAX_OWN_PROVIDERS: usize = 256;

/// Everything that a request needs to know, read and checked as a whole.
#[derive(Debug)]
pub struct Loaded {
    /// The settings in force.
    pub settings: Settings,
    /// All providers, the user's own included.
    pub catalog: Arc<Catalog>,
    /// Who can be called, with what.
    pub pool: Pool,
    /// Every setting with its origin, for people.
    pub values: Vec<Value>,
    /// What looks like a mistake and does not stop anything.
    pub warnings: Vec<Problem>,
    /// The settings file.
    pub env_path: PathBuf,
    /// The credentials file.
    pub auth_path: PathBuf,
    /// What was read, to tell whether it has changed since.
    pub print: Print,
}

/// Stands for the contents of all files: equal when they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print([u8; 32]);

/// Reads and checks everything.
///
/// # Errors
///
/// Everything that is wrong, with file, line and hint. Nothing of it is in force then.
pub fn load(
    home: &Home,
    environment: &BTreeMap<String, String>,
    flags: &BTreeMap<String, String>,
) -> Result<Loaded, Vec<Problem>> {
    Sources::read(home, environment, flags).resolve(home, environment, flags)
}

/// The texts of all files as they were at one time.
pub struct Sources {
    env: Text,
    auth: Text,
    own: Vec<Text>,
    /// Why the folder of the user's own providers could not be listed.
    folder: Option<Problem>,
}

/// A file and what it says; no text when there is no file.
struct Text {
    path: PathBuf,
    text: Result<Option<String>, Problem>,
}

impl Text {
    fn read(path: PathBuf) -> Self {
        let text = store::read(&path).map_err(|error| unreadable(&path, &error));
        Self { path, text }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let problem = Problem::new(path.display().to_string(), format!("could not be read: {error}"));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            problem.hint("it must be readable for the user who runs `hr`")
        }
        _ => problem,
    }
}

impl Sources {
    /// Reads all files. What cannot be read becomes a problem when it is used.
    pub fn read(
        home: &Home,
        environment: &BTreeMap<String, String>,
        flags: &BTreeMap<String, String>,
    ) -> Self {
        let env = Text::read(home.env.clone());
        let auth = Text::read(auth_path(home, environment, flags, &env));
        let (own, folder) = match own_provider_files(&home.providers) {
            Ok(paths) => (paths.into_iter().map(Text::read).collect(), None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        Self { env, auth, own, folder }
    }

    /// Stands for these contents.
    #[must_use]
    pub fn print(&self) -> Print {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // The length first, so that no two lists of parts run together to the same bytes.
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        for file in [&self.env, &self.auth].into_iter().chain(&self.own) {
            part(file.path.as_os_str().as_encoded_bytes());
            match &file.text {
                Ok(Some(text)) => part(text.as_bytes()),
                Ok(None) => part(b"absent"),
                Err(problem) => part(problem.reason.as_bytes()),
            }
            part(&[u8::from(matches!(file.text, Ok(Some(_))))]);
        }
        part(self.folder.as_ref().map_or("", |problem| &problem.reason).as_bytes());
        Print(hash.finalize().into())
    }

    /// The paths of all files that were looked at, and the folder of the user's own providers.
    #[must_use]
    pub fn files(&self, home: &Home) -> Vec<PathBuf> {
        let mut files = vec![self.env.path.clone(), self.auth.path.clone(), home.providers.clone()];
        files.extend(self.own.iter().map(|file| file.path.clone()));
        files
    }

    /// What the settings file says.
    pub fn env_text(&self) -> Option<&str> {
        self.env.text.as_ref().ok().and_then(Option::as_deref)
    }

    /// What the credentials file says.
    pub fn auth_text(&self) -> Option<&str> {
        self.auth.text.as_ref().ok().and_then(Option::as_deref)
    }

    /// The credentials file in use.
    pub fn auth_path(&self) -> &Path {
        &self.auth.path
    }

    /// How many files of the user's own providers there are.
    pub fn provider_count(&self) -> usize {
        self.own.len()
    }

    /// All providers, the user's own included.
    ///
    /// # Errors
    ///
    /// Each of the user's files that is wrong.
    pub fn catalog(&self) -> Result<Catalog, Vec<Problem>> {
        let mut problems: Vec<Problem> = self.folder.iter().cloned().collect();
        let mut own = Vec::new();
        for file in &self.own {
            match &file.text {
                Ok(Some(text)) => match catalog::parse(text, &file.shown()) {
                    Ok(provider) => own.push(provider),
                    Err(problem) => problems.push(problem),
                },
                // It was there when the folder was listed.
                Ok(None) => {}
                Err(problem) => problems.push(problem.clone()),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        catalog::builtin().with(own).map_err(|problem| vec![problem])
    }

    /// The layers of settings above the defaults.
    ///
    /// # Errors
    ///
    /// Each line of the settings file that cannot be read.
    pub fn layers(
        &self,
        home: &Home,
        environment: &BTreeMap<String, String>,
        flags: &BTreeMap<String, String>,
    ) -> Result<Layers, Vec<Problem>> {
        let text = self.env.text.as_ref().map_err(|problem| vec![problem.clone()])?;
        let env_files = match text {
            None => Vec::new(),
            Some(text) => {
                let path = self.env.shown();
                let lines = DotEnv::parse(&path, text)?;
                vec![EnvFile { path, lines, trust: home.trust() }]
            }
        };
        Ok(Layers { flags: flags.clone(), environment: environment.clone(), env_files })
    }

    /// The layers with only those lines of the settings file that can be read: for judging these, and for what
    /// has to work while others are wrong.
    pub fn legible_layers(
        &self,
        home: &Home,
        environment: &BTreeMap<String, String>,
        flags: &BTreeMap<String, String>,
    ) -> Layers {
        let lines = DotEnv::legible(self.env_text().unwrap_or_default());
        let env_files = vec![EnvFile { path: self.env.shown(), lines, trust: home.trust() }];
        Layers { flags: flags.clone(), environment: environment.clone(), env_files }
    }

    /// The credentials file, when there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is broken.
    pub fn credentials(&self, home: &Home) -> Result<Option<AuthSource>, Problem> {
        let Some(text) = self.auth.text.as_ref().map_err(Clone::clone)? else { return Ok(None) };
        let path = self.auth.shown();
        let file = AuthFile::parse(text, &path)?;
        Ok(Some(AuthSource { path, file, trust: auth_trust(home, &self.auth.path) }))
    }

    /// Puts everything together.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn resolve(
        &self,
        home: &Home,
        environment: &BTreeMap<String, String>,
        flags: &BTreeMap<String, String>,
    ) -> Result<Loaded, Vec<Problem>> {
        let mut problems = Vec::new();
        let catalog = keep(self.catalog(), &mut problems).unwrap_or_else(catalog::builtin);
        let layers = keep(self.layers(home, environment, flags), &mut problems)
            .unwrap_or_else(|| self.legible_layers(home, environment, flags));
        let credentials = keep(self.credentials(home).map_err(|problem| vec![problem]), &mut problems);
        let install =
            keep(install::secret(&home.install_key).map_err(|problem| vec![problem]), &mut problems);
        // People want to hear of everything at once: what could be read is judged although something could not.
        let resolved = keep(settings::resolve(&layers, &catalog), &mut problems);
        let sources: Vec<AuthSource> = credentials.flatten().into_iter().collect();
        let Some(install) = install else { return Err(problems) };
        let Some(resolved) = resolved else {
            let keys =
                |provider: &Arc<Provider>| collect_keys(provider, &sources, &layers, &install).problems;
            problems.extend(catalog.providers.iter().flat_map(keys));
            return Err(problems);
        };
        let own = own_addresses(&resolved.settings);
        let pool = keep(pool::resolve(&catalog, &layers, &resolved, &sources, &install, &own), &mut problems);
        let Some((pool, of_pool)) = pool.filter(|_| problems.is_empty()) else { return Err(problems) };
        let mut warnings = resolved.warnings;
        warnings.extend(of_pool);
        Ok(Loaded {
            settings: resolved.settings,
            catalog: Arc::new(catalog),
            pool,
            values: resolved.values,
            warnings,
            env_path: self.env.path.clone(),
            auth_path: self.auth.path.clone(),
            print: self.print(),
        })
    }
}

/// What this router can be reached at, as far as its settings and its machine tell.
fn own_addresses(settings: &Settings) -> OwnAddresses {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let aliases = settings.allowed_hosts.iter().cloned().chain([name]).filter(|name| !name.is_empty());
    OwnAddresses { host: settings.host.clone(), port: settings.port, aliases: aliases.collect() }
}

/// The value, or its problems set aside: people want to hear of all of them at once.
fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

/// The credentials file: the one that `ROUTER_AUTH_FILE` names, else the one of the home. A relative path starts
/// where it was written: from the folder of the settings file, or else from the working directory.
fn auth_path(
    home: &Home,
    environment: &BTreeMap<String, String>,
    flags: &BTreeMap<String, String>,
    env: &Text,
) -> PathBuf {
    const NAME: &str = "ROUTER_AUTH_FILE";
    let named = |layer: &BTreeMap<String, String>| {
        layer.get(NAME).map(|path| path.trim().to_owned()).filter(|path| !path.is_empty())
    };
    if let Some(path) = named(flags).or_else(|| named(environment)) {
        return home.cwd.join(path);
    }
    let text = env.text.as_ref().ok().and_then(Option::as_deref).unwrap_or_default();
    // A file with a wrong line has no say; what is wrong with it comes out when it is used.
    let lines = DotEnv::parse("", text).unwrap_or_default();
    match lines.get(NAME).map(|entry| entry.value.trim()).filter(|path| !path.is_empty()) {
        Some(path) => store::folder_of(&home.env).join(path),
        None => home.auth.clone(),
    }
}

/// Whose word a credentials file is. One that lies in the working directory came with it; one that merely is
/// named there is still the user's.
fn auth_trust(home: &Home, path: &Path) -> Trust {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if home.place == Place::WorkingDirectory && real(path).starts_with(real(&home.cwd)) {
        Trust::WorkingDirectory
    } else {
        Trust::Home
    }
}

/// The user's own provider files, by name; none when there is no such folder.
fn own_provider_files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        // Editors keep their own copies beside a file, with names that begin with a dot.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > MAX_OWN_PROVIDERS {
            let reason = format!("there are more than {MAX_OWN_PROVIDERS} providers in it");
            return Err(Problem::new(folder.display().to_string(), reason));
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Variables = BTreeMap<String, String>;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A folder to be started in, and the user's own beside it.
    struct Scene {
        root: tempfile::TempDir,
        environment: Variables,
    }

    impl Scene {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let user = root.path().join("user").display().to_string();
            for folder in ["user/.config/hermes-router/providers.d", "cwd/providers.d"] {
                fs::create_dir_all(root.path().join(folder)).unwrap();
            }
            Self { environment: variables(&[("HOME", &user)]), root }
        }

        fn file(&self, path: &str, text: &str) -> &Self {
            fs::write(self.root.path().join(path), text).unwrap();
            self
        }

        fn load(&self) -> Result<Loaded, Vec<Problem>> {
            let home = Home::find(&self.environment, &self.root.path().join("cwd"));
            load(&home, &self.environment, &Variables::new())
        }

        /// The tails of the keys that a provider would be called with.
        fn tails(&self, provider: &str) -> Vec<String> {
            let loaded = self.load().unwrap();
            let member = loaded.pool.members.iter().find(|member| member.provider.id == provider);
            let keys = member.map(|member| member.keys.as_slice()).unwrap_or_default();
            keys.iter()
                .filter_map(|key| key.secret.as_ref())
                .map(|secret| secret.expose().to_owned())
                .collect()
        }
    }

    const CONFIG: &str = "user/.config/hermes-router";

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let scene = Scene::new();
        scene
            .file(&format!("{CONFIG}/.env"), "PORT=1\nbroken\n")
            .file(&format!("{CONFIG}/auth.json"), "{")
            .file(&format!("{CONFIG}/providers.d/one.toml"), "id = \"one\"\n")
            .file(&format!("{CONFIG}/providers.d/two.toml"), "id = 2\n");
        let problems = scene.load().unwrap_err();
        for name in [".env", "auth.json", "one.toml", "two.toml"] {
            assert!(problems.iter().any(|problem| problem.file.ends_with(name)), "{name}: {problems:?}");
        }
    }

    #[test]
    fn files_of_editors_are_not_providers() {
        let scene = Scene::new();
        for name in [".mine.toml.swp", ".#mine.toml", "mine.toml~", "notes.txt"] {
            scene.file(&format!("{CONFIG}/providers.d/{name}"), "not a provider");
        }
        scene.load().unwrap();
    }

    #[test]
    fn a_named_credentials_file_starts_where_its_name_was_written() {
        let mut scene = Scene::new();
        let keys = |key: &str| format!("{{\"providers\": {{\"groq\": [\"{key}\"]}}}}");
        scene
            .file(&format!("{CONFIG}/.env"), "ROUTER_AUTH_FILE=other.json\n")
            .file(&format!("{CONFIG}/other.json"), &keys("beside-env"))
            .file("user/third.json", &keys("from-cwd"));
        assert_eq!(scene.tails("groq"), ["beside-env"]);
        scene.environment.insert("ROUTER_AUTH_FILE".to_owned(), "../user/third.json".to_owned());
        assert_eq!(scene.tails("groq"), ["from-cwd"]);
    }

    #[test]
    fn an_address_of_the_working_directory_gets_only_keys_of_the_working_directory() {
        let mut scene = Scene::new();
        scene.file("cwd/.env", "PROXY_API_KEYS=x\nOPENAI_BASE_URL=http://elsewhere.example/v1\n");
        scene.environment.insert("OPENAI_API_KEY".to_owned(), "users-own".to_owned());
        assert!(scene.tails("openai").is_empty());
        scene.file("cwd/auth.json", r#"{"providers": {"openai": ["came-with-it"]}}"#);
        assert_eq!(scene.tails("openai"), ["came-with-it"]);
    }

    #[test]
    fn naming_the_users_credentials_file_does_not_make_it_the_working_directorys() {
        let scene = Scene::new();
        let own = scene.root.path().join("user/auth.json");
        scene
            .file("user/auth.json", r#"{"providers": {"openai": ["users-own"]}}"#)
            .file("cwd/.env", &format!("PROXY_API_KEYS=x\nROUTER_AUTH_FILE={}\n", own.display()));
        assert_eq!(scene.tails("openai"), ["users-own"], "the router's own address gets them");
        let address = format!(
            "PROXY_API_KEYS=x\nROUTER_AUTH_FILE={}\nOPENAI_BASE_URL=http://elsewhere.example/v1\n",
            own.display()
        );
        scene.file("cwd/.env", &address);
        assert!(scene.tails("openai").is_empty());
        // Nor does a link inside the folder.
        scene.file("cwd/.env", "PROXY_API_KEYS=x\nOPENAI_BASE_URL=http://elsewhere.example/v1\n");
        std::os::unix::fs::symlink(&own, scene.root.path().join("cwd/auth.json")).unwrap();
        assert!(scene.tails("openai").is_empty());
    }

    #[test]
    fn providers_of_the_working_directory_are_not_read() {
        let scene = Scene::new();
        let file =
            "id = \"thief\"\nbase_url = \"http://elsewhere.example\"\nkey_vars = [\"OPENAI_API_KEY\"]\n";
        scene.file("cwd/.env", "PROXY_API_KEYS=x\n").file("cwd/providers.d/thief.toml", file);
        assert!(scene.load().unwrap().catalog.find("thief").is_none());
    }

    #[test]
    fn the_print_tells_contents_apart_and_nothing_else() {
        let scene = Scene::new();
        let print = || scene.load().unwrap().print;
        let empty = print();
        assert_eq!(print(), empty);
        scene.file(&format!("{CONFIG}/.env"), "");
        let with_env = print();
        assert_ne!(with_env, empty, "an empty file is not the same as none");
        scene.file(&format!("{CONFIG}/.env"), "# a\n");
        assert_ne!(print(), with_env);
        scene.file(&format!("{CONFIG}/.env"), "");
        assert_eq!(print(), with_env);
    }
}

//! A home, and the binary run in it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that is `HR_HOME`, and nothing else of the environment.
pub struct Scene {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home").display().to_string();
        Self { folder, variables: vec![("HR_HOME".to_owned(), home)] }
    }

    /// The same with a variable more in the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    /// Puts a file into the home.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// The text of a file in the home.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The command, ready to run.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hr"));
        command
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command with nothing on standard input.
    pub fn run(&self, arguments: &str) -> Said {
        self.run_with(arguments, "")
    }

    /// Runs a command with this on standard input.
    pub fn run_with(&self, arguments: &str, input: &str) -> Said {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // A command that refuses early does not read it.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        said(child.wait_with_output().expect("it ends"))
    }
}

fn said(output: Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    /// It went well, and said this on standard output.
    #[track_caller]
    pub fn well(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        for word in words {
            assert!(self.out.contains(word), "`{word}` is missing: {self:?}");
        }
        self
    }

    /// It failed as mistakes do, and said this on standard error.
    #[track_caller]
    pub fn refused(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing: {self:?}");
        }
        self
    }

    /// It also said this on standard error.
    #[track_caller]
    pub fn also(self, word: &str) -> Self {
        assert!(self.err.contains(word), "`{word}` is missing: {self:?}");
        self
    }

    /// Nowhere did it say this.
    #[track_caller]
    pub fn never(self, secret: &str) -> Self {
        assert!(!self.out.contains(secret) && !self.err.contains(secret), "it says `{secret}`: {self:?}");
        self
    }

    /// What it said, as data.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Who may do what with a file, in the system's numbers.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

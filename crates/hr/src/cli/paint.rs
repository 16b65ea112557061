//! Colour, where it helps and is wanted. Every text also reads without it.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

/// Whether and how words are coloured.
pub struct Paint {
    colour: bool,
}

impl Paint {
    /// No colour at all.
    pub fn plain() -> Self {
        Self { colour: false }
    }

    /// For standard output.
    pub fn stdout() -> Self {
        Self { colour: std::io::stdout().is_terminal() && wanted() }
    }

    /// For standard error.
    pub fn stderr() -> Self {
        Self { colour: std::io::stderr().is_terminal() && wanted() }
    }

    /// Whether colour is on.
    pub fn is_on(&self) -> bool {
        self.colour
    }

    /// Something that works.
    pub fn good(&self, text: &str) -> String {
        self.apply(AnsiColor::Green.on_default(), text)
    }

    /// Something that needs a look.
    pub fn doubtful(&self, text: &str) -> String {
        self.apply(AnsiColor::Yellow.on_default(), text)
    }

    /// Something that failed.
    pub fn bad(&self, text: &str) -> String {
        self.apply(AnsiColor::Red.on_default().bold(), text)
    }

    /// A side remark.
    pub fn note(&self, text: &str) -> String {
        self.apply(AnsiColor::Cyan.on_default(), text)
    }

    /// A heading.
    pub fn strong(&self, text: &str) -> String {
        self.apply(Style::new().bold(), text)
    }

    /// What matters less.
    pub fn faint(&self, text: &str) -> String {
        self.apply(Style::new().dimmed(), text)
    }

    fn apply(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// <https://no-color.org>: any value but an empty one switches colour off; so does a terminal that has none.
fn wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

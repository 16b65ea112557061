//! Every setting, defined once: its name, what its value may be, its default, and what it means.
//!
//! [`general`] holds the settings of the router itself as constants, which [`mod@super::resolve`] reads by name of
//! the constant; [`provider`] those that every provider has, as templates over its prefix; [`later`] the names
//! of the original product that mean nothing yet. The manual, the example file and `hr config show` are walks
//! over these tables, so that none of them can say something else than the code does.

pub mod general;
pub mod later;
pub mod provider;

pub use general::GENERAL;
pub use later::LATER;
pub use provider::{PER_PROVIDER, Template};

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A word or a sentence.
    Text,
    /// Words between commas.
    List,
    /// A host name or an IP address.
    Host,
    /// A path of a file or a folder.
    Path,
    /// An address that begins with `http://` or `https://`.
    Address,
    /// A whole number.
    Whole {
        /// What is counted, when anything is.
        unit: &'static str,
        /// The least that is accepted.
        min: u64,
        /// The most that is accepted.
        max: u64,
    },
    /// Seconds; fractions are accepted.
    Seconds {
        /// The least that is accepted.
        min: f64,
        /// The most that is accepted.
        max: f64,
    },
    /// A part of one.
    Share {
        /// The least that is accepted.
        min: f64,
        /// The most that is accepted.
        max: f64,
    },
    /// US dollars.
    Dollars {
        /// The least that is accepted.
        min: f64,
        /// The most that is accepted.
        max: f64,
    },
    /// On or off.
    Switch,
    /// One of these words. Each is a name and what else is understood as it.
    Choice(&'static [(&'static str, &'static [&'static str])]),
}

/// A setting of the router itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The name of its variable.
    pub name: &'static str,
    /// Under which heading people find it.
    pub group: Group,
    /// What its value may be.
    pub kind: Kind,
    /// The value when nothing is set, as it would be written; empty when there is none.
    pub default: &'static str,
    /// A value that shows what is meant, where the default does not.
    pub example: Option<&'static str>,
    /// One sentence on what it is.
    pub summary: &'static str,
    /// What else there is to know; may be empty.
    pub details: &'static str,
    /// Whether its value is masked wherever people see it.
    pub secret: bool,
}

/// A heading of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Where it listens and who may call.
    Server,
    /// Where things live.
    Files,
    /// Who is tried next.
    Routing,
    /// What may cost money.
    Spending,
    /// What is found out about models.
    Discovery,
    /// How long it waits, how much it accepts.
    Bounds,
}

impl Group {
    /// All headings, in the order of the manual.
    pub const ALL: [Self; 6] =
        [Self::Server, Self::Files, Self::Routing, Self::Spending, Self::Discovery, Self::Bounds];

    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Server => "Server and access",
            Self::Files => "Where things live",
            Self::Routing => "Routing",
            Self::Spending => "Spending",
            Self::Discovery => "Finding out about models",
            Self::Bounds => "Waits and limits",
        }
    }
}

impl Kind {
    /// What a value may be, in words for people.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::List => "list, separated by commas".to_owned(),
            Self::Host => "host name or IP address".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Address => "`http://` or `https://` address".to_owned(),
            Self::Whole { unit: "", min, max } => format!("whole number, {min} to {max}"),
            Self::Whole { unit, min, max } => format!("whole number of {unit}, {min} to {max}"),
            Self::Seconds { min, max } => format!("seconds, {min} to {max}, fractions accepted"),
            Self::Share { min, max } => format!("share, {min} to {max}"),
            Self::Dollars { min, max } => format!("US dollars, {min} to {max}, fractions accepted"),
            Self::Switch => "`1`/`0`, `true`/`false`, `yes`/`no` or `on`/`off`".to_owned(),
            Self::Choice(words) => {
                let names: Vec<String> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
                names.join(", ")
            }
        }
    }
}

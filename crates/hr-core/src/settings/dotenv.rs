//! The text of a `.env` file: read with positions, edited without touching what is not meant.
//!
//! A line is `NAME=value`, `export NAME=value`, a comment, or blank. A value is plain (a `#` after white space
//! begins a comment), in single quotes (taken as it is), or in double quotes (with `\n`, `\r`, `\t`, `\"`,
//! `\\` and `\$`). The first line of a name wins, as in the original product.

use std::fmt;
use std::ops::Range;

use crate::problem::Problem;

/// The largest `.env` that is read.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A name and its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The value, quotes and escapes undone.
    pub value: String,
    /// Its line, counted from 1.
    pub line: usize,
}

/// What a `.env` file says, in its order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DotEnv {
    entries: Vec<Entry>,
}

/// Names only: values may be secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=… (line {})", self.name, self.line)
    }
}

impl fmt::Debug for DotEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

impl DotEnv {
    /// Reads the text of a file; `file` is its path as shown to people.
    ///
    /// # Errors
    ///
    /// Every line that is none of the four kinds.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (lines, problems) = Self::read(file, text);
        if problems.is_empty() { Ok(lines) } else { Err(problems) }
    }

    /// Only what can be read, for telling what else is wrong in a file that [`DotEnv::parse`] refuses.
    #[must_use]
    pub fn legible(text: &str) -> Self {
        Self::read("", text).0
    }

    fn read(file: &str, text: &str) -> (Self, Vec<Problem>) {
        if text.len() > MAX_FILE_BYTES {
            let reason = format!("larger than the {MAX_FILE_BYTES} bytes that a `.env` may have");
            return (Self::default(), vec![Problem::new(file, reason)]);
        }
        let mut entries = Vec::new();
        let mut problems = Vec::new();
        for (index, range) in lines(text).enumerate() {
            match Line::read(&text[range]) {
                Line::Nothing => {}
                Line::Pair { name, value, .. } => {
                    entries.push(Entry { name: name.to_owned(), value, line: index + 1 });
                }
                Line::Bad { reason, hint } => {
                    problems.push(Problem::new(file, reason).at(index + 1).hint(hint));
                }
            }
        }
        (Self { entries }, problems)
    }

    /// The first entry of this name, which is the one in force.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// All entries in order, later ones of the same name included.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// The same text with `name` set to `value`: in place of the line in force, else as a new last line.
/// Everything else stays as it is, byte for byte.
#[must_use]
pub fn set(text: &str, name: &str, value: &str) -> String {
    let quoted = quote(value);
    for range in lines(text) {
        if let Line::Pair { name: there, span, .. } = Line::read(&text[range.clone()])
            && there == name
        {
            let (start, end) = (range.start + span.start, range.start + span.end);
            return [&text[..start], &quoted, &text[end..]].concat();
        }
    }
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { ending };
    [text, gap, name, "=", &quoted, ending].concat()
}

/// The same text without any line of `name`, comments behind its values included.
#[must_use]
pub fn remove(text: &str, name: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for range in lines(text) {
        // The line with its own ending.
        let end = text[range.end..].find('\n').map_or(text.len(), |newline| range.end + newline + 1);
        let is_it =
            matches!(Line::read(&text[range.clone()]), Line::Pair { name: there, .. } if there == name);
        if is_it {
            kept.push_str(&text[from..range.start]);
            from = end;
        }
    }
    kept.push_str(&text[from..]);
    kept
}

/// The value as it is written: plain when it can be, else in double quotes.
fn quote(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=~".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '"' | '\\' | '$' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Where the lines of a text are, without a byte order mark and line endings.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let begin = start;
        let end = match text[start..].find('\n') {
            Some(newline) => {
                start += newline + 1;
                start - 1
            }
            None => {
                over = true;
                text.len()
            }
        };
        let end = if text[begin..end].ends_with('\r') { end - 1 } else { end };
        Some(begin..end)
    })
}

/// One line.
enum Line<'a> {
    /// Blank, or a comment.
    Nothing,
    /// A name and its value.
    Pair {
        /// The name.
        name: &'a str,
        /// The value, quotes and escapes undone.
        value: String,
        /// Where the value is written, quotes included.
        span: Range<usize>,
    },
    /// Neither.
    Bad {
        /// What is wrong.
        reason: String,
        /// What would help.
        hint: &'static str,
    },
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            return Self::Nothing;
        }
        let bad = |reason: &str, hint| Self::Bad { reason: reason.to_owned(), hint };
        let Some(equals) = line.find('=') else {
            return bad("a line without `=`", "write `NAME=value`, or begin the line with `#`");
        };
        let mut name = line[..equals].trim();
        if let Some(rest) = name.strip_prefix("export")
            && rest.starts_with(char::is_whitespace)
        {
            name = rest.trim_start();
        }
        if !is_name(name) {
            // The text before `=` is not repeated: in a line that went wrong it may be part of a secret.
            return bad("what stands before `=` is not a name", "a name is letters, digits and `_`");
        }
        let written = &line[equals + 1..];
        let lead = written.len() - written.trim_start().len();
        let start = equals + 1 + lead;
        match written.trim_start().chars().next() {
            Some(mark @ ('"' | '\'')) => match unquote(&line[start + 1..], mark) {
                Some((value, length)) => {
                    let end = start + 1 + length;
                    let after = line[end..].trim_start();
                    let spaced = after.len() < line.len() - end;
                    if after.is_empty() || (spaced && after.starts_with('#')) {
                        return Self::Pair { name, value, span: start..end };
                    }
                    Self::Bad {
                        reason: format!("the value of `{name}` goes on after its closing quote"),
                        hint: "escape a quote inside the value, or begin a comment with ` #`",
                    }
                }
                None => Self::Bad {
                    reason: format!("the value of `{name}` begins with a quote that is not closed"),
                    hint: "close it on the same line; a line break inside is written `\\n`",
                },
            },
            _ => {
                let end = equals + 1 + comment_start(written);
                let value = line[equals + 1..end].trim();
                let start = if value.is_empty() { equals + 1 } else { start };
                Self::Pair { name, value: value.to_owned(), span: start..start + value.len() }
            }
        }
    }
}

/// Where a comment begins in a plain value: at the first `#` after white space.
fn comment_start(written: &str) -> usize {
    let mut before = None;
    for (position, c) in written.char_indices() {
        if c == '#' && before.is_some_and(char::is_whitespace) {
            return position;
        }
        before = Some(c);
    }
    written.len()
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The value up to the closing quote, and how long it is written, that quote included.
fn unquote(written: &str, mark: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = written.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            c if c == mark => return Some((value, position + mark.len_utf8())),
            '\\' if mark == '"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                escaped @ ('"' | '\\' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

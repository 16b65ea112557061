//! A walk over JSON text that builds nothing.
//!
//! The native lane never makes a value tree: [`Cursor`] checks the grammar as it moves, hands out slices of
//! the text, and lets the caller decide what to enter and what to step over. Nesting is bounded by
//! [`MAX_DEPTH`].

use std::borrow::Cow;

/// How deep values may be nested. Real requests stay under twenty; the limit keeps hostile ones cheap.
pub const MAX_DEPTH: usize = 100;

/// What a value is, as its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// Any number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

impl Kind {
    /// The kind with its article, for messages: `an object`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        }
    }
}

/// Where the text stops being JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// The byte offset.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes between the quotes, escapes included.
    pub raw: &'a str,
    /// Whether there is a backslash in it.
    pub escaped: bool,
    /// The byte offset of `raw` in the text.
    pub at: usize,
}

impl<'a> Text<'a> {
    /// The string itself. Lone surrogates become U+FFFD: Python sends them, and they are not worth a refusal.
    #[must_use]
    pub fn decode(&self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// Whether this is the string `word`.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        if self.escaped { unescape(self.raw) == word } else { self.raw == word }
    }

    /// Whether nothing but white space is in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        if self.escaped { unescape(self.raw).trim().is_empty() } else { self.raw.trim().is_empty() }
    }
}

/// A position in JSON text.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor before the first byte of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The byte offset of the cursor.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What the next value is.
    pub fn kind(&mut self) -> Result<Kind, Syntax> {
        self.space();
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.fault("expected a value")),
            None => Err(self.fault("the text ends where a value is expected")),
        }
    }

    /// Walks the fields of an object. `each` gets the name with the cursor before the value; a value that
    /// `each` leaves alone is stepped over.
    pub fn fields<E: From<Syntax>>(
        &mut self,
        mut each: impl FnMut(&mut Self, Text<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'{')?;
        self.space();
        if self.eat(b'}') {
            return self.close();
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.fault("expected `:` after the key").into());
            }
            self.space();
            let before = self.at;
            each(self, name)?;
            if self.at == before {
                self.skip()?;
            }
            self.space();
            if self.eat(b',') {
                continue;
            }
            if self.eat(b'}') {
                return self.close();
            }
            return Err(self.fault("expected `,` or `}`").into());
        }
    }

    /// Walks the items of an array. `each` gets the index with the cursor before the item; an item that
    /// `each` leaves alone is stepped over.
    pub fn items<E: From<Syntax>>(
        &mut self,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'[')?;
        self.space();
        if self.eat(b']') {
            return self.close();
        }
        let mut index = 0;
        loop {
            self.space();
            let before = self.at;
            each(self, index)?;
            if self.at == before {
                self.skip()?;
            }
            index += 1;
            self.space();
            if self.eat(b',') {
                continue;
            }
            if self.eat(b']') {
                return self.close();
            }
            return Err(self.fault("expected `,` or `]`").into());
        }
    }

    /// Reads a string.
    pub fn string(&mut self) -> Result<Text<'a>, Syntax> {
        self.space();
        if !self.eat(b'"') {
            return Err(self.fault("expected a string"));
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_prefix(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escaped, at: start });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault("a control character inside a string must be escaped")),
                None => return Err(self.fault("the text ends inside a string")),
            }
        }
    }

    /// Reads a number and returns it as written.
    pub fn number(&mut self) -> Result<&'a str, Syntax> {
        self.space();
        let start = self.at;
        let _minus = self.eat(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.fault("expected a digit")),
        }
        if self.eat(b'.') {
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.fault("expected a digit after the decimal point"));
            }
            self.digits();
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.fault("expected a digit in the exponent"));
            }
            self.digits();
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, Syntax> {
        self.space();
        if self.peek() == Some(b't') {
            self.word("true").map(|()| true)
        } else {
            self.word("false").map(|()| false)
        }
    }

    /// Steps over any value and returns it as written.
    pub fn skip(&mut self) -> Result<&'a str, Syntax> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object => self.fields(|_, _| Ok::<(), Syntax>(()))?,
            Kind::Array => self.items(|_, _| Ok::<(), Syntax>(()))?,
            Kind::String => {
                self.string()?;
            }
            Kind::Number => {
                self.number()?;
            }
            Kind::Bool => {
                self.boolean()?;
            }
            Kind::Null => self.word("null")?,
        }
        Ok(&self.text[start..self.at])
    }

    /// Makes sure that only white space is left.
    pub fn end(&mut self) -> Result<(), Syntax> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("something follows the end of the value")),
        }
    }

    fn open(&mut self, bracket: u8) -> Result<(), Syntax> {
        self.space();
        if !self.eat(bracket) {
            return Err(self.fault(if bracket == b'{' { "expected an object" } else { "expected an array" }));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault("values are nested too deeply"));
        }
        Ok(())
    }

    /// Leaves a bracket; returns a result only so that callers can end on it.
    fn close<E>(&mut self) -> Result<(), E> {
        self.depth -= 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(digit) if digit.is_ascii_hexdigit() => self.at += 1,
                        _ => return Err(self.fault("`\\u` needs four hexadecimal digits")),
                    }
                }
                Ok(())
            }
            _ => Err(self.fault("unknown escape in a string")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Syntax> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("expected `true`, `false` or `null`"))
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Syntax {
        Syntax { at: self.at, what }
    }
}

/// How many bytes come before the first quote, backslash or control character. Most of a request is the
/// inside of strings, so whole blocks are ruled out first, in a form that compiles to vector instructions,
/// and the rest is looked at eight bytes at a time.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let special = |block: &[u8; 32]| block.iter().fold(false, |found, byte| found | is_special(*byte));
    let at = 32 * blocks.iter().take_while(|block| !special(block)).count();
    at + first_special(&bytes[at..])
}

fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

fn first_special(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for chunk in words {
        let word = u64::from_le_bytes(*chunk);
        let quote = has_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quote | backslash | control;
        if found != 0 {
            // The lowest marked byte is exact: borrows only travel upwards.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest[at + 1..].bytes().next();
        rest = rest.get(at + 2..).unwrap_or("");
        match escape {
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'n') => out.push('\n'),
            Some(b'r') => out.push('\r'),
            Some(b't') => out.push('\t'),
            Some(b'u') => {
                let high = hex_unit(rest).unwrap_or(0xFFFD);
                rest = rest.get(4..).unwrap_or("");
                let low = rest.strip_prefix("\\u").and_then(hex_unit);
                match (high, low) {
                    (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                        out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
                        rest = &rest[6..];
                    }
                    _ => out.push(char::from_u32(high).unwrap_or('\u{FFFD}')),
                }
            }
            Some(other) => out.push(char::from(other)),
            None => {}
        }
    }
    out.push_str(rest);
    out
}

fn hex_unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.get(..4)?, 16).ok()
}

/// The beginning of a text: at most this many bytes, and only whole characters.
#[must_use]
pub fn head(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let plain = plain_prefix(rest.as_bytes());
        out.extend_from_slice(&rest.as_bytes()[..plain]);
        let Some(&byte) = rest.as_bytes().get(plain) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    // Only ASCII was added to what was already text.
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_joined() {
        assert_eq!(unescape(r"a\ud83d\ude00b"), "a😀b");
        assert_eq!(unescape(r"a\ud83dx"), "a\u{FFFD}x");
        assert_eq!(unescape(r"\ude00\n"), "\u{FFFD}\n");
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Cursor::new(&deep(MAX_DEPTH)).skip().is_ok());
        assert_eq!(
            Cursor::new(&deep(MAX_DEPTH + 1)).skip().unwrap_err().what,
            "values are nested too deeply"
        );
    }

    fn accepts(text: &str) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.skip().is_ok() && cursor.end().is_ok()
    }

    proptest! {
        #[test]
        fn strings_survive_quoting(text in any::<String>()) {
            let quoted = quoted(&text);
            let read = Cursor::new(&quoted).string().unwrap();
            prop_assert_eq!(read.decode(), text.as_str());
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }

        #[test]
        fn the_grammar_is_that_of_serde(text in r#"[\[\]{},:"\\ a-bnutrlsefE0-9.+\-]{0,24}"#) {
            prop_assert_eq!(accepts(&text), serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn the_plain_prefix_is_exact(bytes in proptest::collection::vec(prop_oneof![9 => 0x20..=255_u8, 1 => any::<u8>()], 0..200)) {
            let expected = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_prefix(&bytes), expected);
        }
    }
}

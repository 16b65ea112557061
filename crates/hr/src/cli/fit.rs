//! Text that fits the terminal. What goes into a file or to a program keeps its lines.

use rustix::termios::tcgetwinsize;

/// Between two parts of a line.
const GAP: &str = "  ";

/// How far from the left a line of a page goes on that is longer than the terminal is wide.
pub const BELOW: usize = 6;

/// Terminals that say that they are narrower are not believed.
const NARROWEST: usize = 20;

/// How many columns the terminal has that standard output goes to; `None` when it goes elsewhere.
pub fn width() -> Option<usize> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    // Terminals that do not know say zero.
    (size.ws_col > 0).then(|| usize::from(size.ws_col).max(NARROWEST))
}

/// A line of parts; where it is too long it goes on below, this far from the left, between two parts if that will do.
pub fn fold(parts: &[String], indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return parts.join(GAP) };
    let mut text = Folded { text: String::new(), column: 0, indent, width };
    for (at, part) in parts.iter().enumerate() {
        let gap = if at == 0 { "" } else { GAP };
        if text.fits(gap, part) {
            text.add(gap, part);
        } else if at > 0 && indent + visible(part) <= width {
            text.next(part);
        } else {
            for (at, word) in part.split(' ').enumerate() {
                text.word(if at == 0 { gap } else { " " }, word);
            }
        }
    }
    text.text
}

/// The columns that a text takes; what only changes its colour takes none.
pub fn visible(text: &str) -> usize {
    let mut painted = false;
    let seen = text.chars().filter(|letter| {
        let was = painted;
        painted = if was { *letter != 'm' } else { *letter == '\x1b' };
        !was && !painted
    });
    seen.count()
}

/// Text that grows line by line.
struct Folded {
    text: String,
    column: usize,
    indent: usize,
    width: usize,
}

impl Folded {
    fn fits(&self, gap: &str, part: &str) -> bool {
        self.column + gap.len() + visible(part) <= self.width
    }

    fn add(&mut self, gap: &str, part: &str) {
        self.text.push_str(gap);
        self.text.push_str(part);
        self.column += gap.len() + visible(part);
    }

    /// Goes on below.
    fn next(&mut self, part: &str) {
        self.text.push('\n');
        self.text.push_str(&" ".repeat(self.indent));
        self.column = self.indent;
        self.add("", part);
    }

    /// Adds a word; one that is longer than a line is cut.
    fn word(&mut self, gap: &str, word: &str) {
        if self.fits(gap, word) {
            return self.add(gap, word);
        }
        if self.indent + visible(word) <= self.width || word.contains('\x1b') {
            return self.next(word);
        }
        let mut letters: Vec<char> = word.chars().collect();
        while !letters.is_empty() {
            let room = self.width.saturating_sub(self.indent).max(1).min(letters.len());
            let piece: String = letters.drain(..room).collect();
            self.next(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::Paint;

    fn folded(parts: &[&str], indent: usize, width: usize) -> String {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        fold(&parts, indent, Some(width))
    }

    #[test]
    fn a_line_that_is_too_long_goes_on_below() {
        assert_eq!(folded(&["one two", "three"], 2, 14), "one two  three");
        assert_eq!(folded(&["one two", "three"], 2, 13), "one two\n  three", "between two parts");
        assert_eq!(folded(&["one two", "three four five"], 2, 12), "one two\n  three four\n  five");
        assert_eq!(folded(&["  one two three"], 4, 12), "  one two\n    three");
        assert_eq!(folded(&["a 0123456789abc"], 2, 8), "a\n  012345\n  6789ab\n  c", "even a long word");
        assert_eq!(fold(&["one".into(), "two".into()], 2, None), "one  two");
    }

    #[test]
    fn colours_take_no_columns() {
        let bold = anstyle::Style::new().bold();
        let painted = format!("{bold}three{bold:#}");
        assert_eq!(visible(&painted), 5);
        assert_eq!(visible(&Paint::plain().strong("three")), 5);
        assert_eq!(fold(&["one two".into(), painted.clone()], 2, Some(14)), format!("one two  {painted}"));
    }
}

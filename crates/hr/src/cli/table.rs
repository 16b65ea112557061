//! Plain aligned columns.

use crate::cli::fit;
use crate::cli::paint::Paint;

/// Between two columns.
const GAP: &str = "  ";

/// No column is made narrower than this to fit.
const NARROWEST: usize = 6;

/// A word with how it is painted.
pub struct Cell {
    text: String,
    paint: fn(&Paint, &str) -> String,
}

impl Cell {
    /// A cell painted with one of [`Paint`]'s methods.
    pub fn painted(text: impl Into<String>, paint: fn(&Paint, &str) -> String) -> Self {
        Self { text: text.into(), paint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: |_, text| text.to_owned() }
    }
}

/// Rows under a heading; a column is as wide as its widest cell.
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; what it lacks stays blank.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, one line a row, nothing after the last word of a line.
    pub fn render(&self, paint: &Paint) -> String {
        self.render_in(None, paint)
    }

    /// The same in so many columns: where a row is too long, its longest cells go on below.
    pub fn render_in(&self, columns: Option<usize>, paint: &Paint) -> String {
        let mut widths = self.widths();
        while columns.is_some_and(|columns| total(&widths) > columns) {
            let widest = widths.iter_mut().max_by_key(|width| **width);
            let Some(widest) = widest.filter(|width| **width > NARROWEST) else { break };
            *widest -= 1;
        }
        let heading = self.heading.iter().map(|word| Cell::painted(*word, Paint::strong)).collect();
        let mut text = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            for part in parts(row, &widths) {
                text.push_str(&line(&part, &widths, paint));
                text.push('\n');
            }
        }
        text
    }

    /// Whether no row is too long for so many columns.
    pub fn fits(&self, columns: Option<usize>) -> bool {
        columns.is_none_or(|columns| total(&self.widths()) <= columns)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|word| word.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        widths
    }
}

/// The columns of a row.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// A row as rows whose cells are no longer than this.
fn parts(row: &[Cell], widths: &[usize]) -> Vec<Vec<Cell>> {
    let mut parts = Vec::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        let folded = fit::fold(std::slice::from_ref(&cell.text), 0, Some(*width));
        for (below, piece) in folded.split('\n').enumerate() {
            if parts.len() == below {
                parts.push(row.iter().map(|cell| Cell::painted("", cell.paint)).collect::<Vec<_>>());
            }
            piece.clone_into(&mut parts[below][at].text);
        }
    }
    parts
}

/// Padding is counted before painting, so that invisible colour codes do not shift columns.
fn line(row: &[Cell], widths: &[usize], paint: &Paint) -> String {
    let mut line = String::new();
    let mut pending = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let length = cell.text.chars().count();
        if length > 0 {
            line.push_str(&pending);
            pending.clear();
            line.push_str(&(cell.paint)(paint, &cell.text));
        }
        pending.push_str(&" ".repeat(width - length));
        pending.push_str(GAP);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_at_their_last_word() {
        let mut table = Table::new(&["Name", "Keys", "Note"]);
        table.row(["a".into(), "12345".into(), "x".into()]);
        table.row(["longer".into(), "".into(), "".into()]);
        table.row(["b".into(), "".into(), "y".into()]);
        assert_eq!(
            table.render(&Paint::plain()),
            "Name    Keys   Note\na       12345  x\nlonger\nb              y\n"
        );
    }

    #[test]
    fn what_is_too_long_goes_on_below_in_its_column() {
        let mut table = Table::new(&["Name", "State", "Note"]);
        table.row(["a".into(), "resting (rate limited, 7 s)".into(), "x".into()]);
        table.row(["b".into(), "ok".into(), "".into()]);
        assert!(table.fits(None) && table.fits(Some(40)) && !table.fits(Some(30)));
        assert_eq!(
            table.render_in(Some(30), &Paint::plain()),
            "Name  State               Note\na     resting (rate       x\n      limited, 7 s)\nb     ok\n"
        );
        assert_eq!(table.render_in(Some(40), &Paint::plain()), table.render(&Paint::plain()));
    }
}

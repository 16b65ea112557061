//! Plain aligned columns.

use crate::cli::paint::Paint;

/// Between two columns.
const GAP: &str = "  ";

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
        let mut widths: Vec<usize> = self.heading.iter().map(|word| word.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let heading = self.heading.iter().map(|word| Cell::painted(*word, Paint::strong)).collect();
        let mut text = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            text.push_str(&line(row, &widths, paint));
            text.push('\n');
        }
        text
    }
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
}

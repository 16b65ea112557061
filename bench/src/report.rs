//! What came out, beside what was aimed at.

use std::fmt::Write as _;

use serde::Serialize;

/// The outcome of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// What has a target.
    pub rows: Vec<Row>,
    /// What helps to read the rows.
    pub details: Details,
}

/// The machine of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor, as the kernel names it.
    pub processor: String,
    /// The core of the measured programs, and that of upstream and load.
    pub cores: [usize; 2],
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The unit of `proxy` and `hr`, and of `target` when there is no `ratio`.
    pub unit: &'static str,
    /// The proxy's value: the median of the rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<f64>,
    /// The value of `hr`: the median of the rounds.
    pub hr: f64,
    /// The ratio of both, where it is what the target is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    /// What the ratio, or the value of `hr`, is at most to be.
    pub target: f64,
    /// Whether it is.
    pub met: bool,
}

/// The ratios of the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    /// Their median.
    pub median: f64,
    /// The smallest.
    pub lowest: f64,
    /// The largest.
    pub highest: f64,
}

impl Row {
    /// A measurement that is judged by its ratio to the proxy; `proxy` and `hr` in microseconds.
    pub fn ratio(name: impl Into<String>, proxy: f64, hr: f64, ratios: &[f64], target: f64) -> Row {
        let ratio = Ratio {
            median: median(ratios),
            lowest: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            highest: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        };
        Row {
            name: name.into(),
            unit: "µs",
            proxy: Some(proxy),
            hr,
            ratio: Some(ratio),
            target,
            met: ratio.median <= target,
        }
    }

    /// A measurement that is judged by itself.
    pub fn absolute(
        name: impl Into<String>,
        unit: &'static str,
        proxy: Option<f64>,
        hr: f64,
        target: f64,
    ) -> Row {
        Row { name: name.into(), unit, proxy, hr, ratio: None, target, met: hr <= target }
    }
}

/// What helps to read the rows.
#[derive(Clone, Debug, Serialize)]
pub struct Details {
    /// Rounds that were made.
    pub rounds: usize,
    /// How long the run took.
    pub seconds: f64,
    /// The median latency without anyone in between, in microseconds.
    pub direct_latency: f64,
    /// The median time to the first token without anyone in between, in microseconds.
    pub direct_first_token: f64,
    /// Counted starts of `hr`.
    pub starts: usize,
    /// The quickest start, in milliseconds.
    pub fastest_start: f64,
    /// Idle memory of `hr` with shared pages divided among their users, in MiB.
    pub idle_proportional: f64,
    /// Resident memory of `hr` after all rounds, in MiB.
    pub resident_after_rounds: f64,
    /// Slow streams that were open at once.
    pub open_streams: usize,
}

impl Report {
    /// The report for people, which is also Markdown.
    pub fn table(&self) -> String {
        let mut lines = vec![["", "proxy", "hr", "ratio (range)", "target", ""].map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        let mut text = table(&lines);
        text.push('\n');
        self.describe(&mut text);
        text
    }

    fn describe(&self, text: &mut String) {
        let Details { rounds, seconds, starts, open_streams, .. } = &self.details;
        let Details { direct_latency, direct_first_token, fastest_start, .. } = &self.details;
        let Details { idle_proportional, resident_after_rounds, .. } = &self.details;
        let Machine { processor, cores: [measured, around] } = &self.machine;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{rounds} rounds in {seconds:.0} s on {processor}; proxy and hr on core {measured}, upstream and load on core {around}.\n\
             Straight to the upstream: latency {direct_latency:.0} µs, first token {direct_first_token:.0} µs.\n\
             Starts: {starts}, the quickest {fastest_start:.1} ms. Idle, shared pages divided: {idle_proportional:.1} MiB.\n\
             Resident after all rounds: {resident_after_rounds:.1} MiB. Open streams: {open_streams}.\n"
        );
    }
}

/// What became of the costs of a request from one program to another.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Rounds that count.
    pub rounds: usize,
    /// How long it took.
    pub seconds: f64,
    /// What was measured.
    pub changes: Vec<Change>,
}

/// What became of one cost: medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// What was measured.
    pub name: String,
    /// The ratio of the program before to the proxy.
    pub before: f64,
    /// The ratio of the program after to the proxy.
    pub after: f64,
    /// What the one after costs more than the one before, as a part of it.
    pub change: f64,
}

impl Comparison {
    /// The comparison for people, which is also Markdown.
    pub fn table(&self) -> String {
        let mut lines = vec![["", "before", "after", "change"].map(str::to_owned)];
        lines.extend(self.changes.iter().map(|Change { name, before, after, change }| {
            [name.clone(), format!("{before:.2}"), format!("{after:.2}"), format!("{:+.1} %", change * 100.0)]
        }));
        format!("{}\n{} rounds in {:.0} s.\n", table(&lines), self.rounds, self.seconds)
    }
}

/// Lines under a head; all but the first column stand to the right.
fn table<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(2))
        .collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let cell =
                if column == 0 { format!("| {cell}{padding} ") } else { format!("| {padding}{cell} ") };
            text.push_str(&cell);
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text.push_str(&if column == 0 { format!("|{dashes}-") } else { format!("|{dashes}:") });
            }
            text.push_str("|\n");
        }
    }
    text
}

fn cells(row: &Row) -> [String; 6] {
    let value = |value: f64| format!("{value:.1} {}", row.unit);
    let ratio = row.ratio.map_or(String::new(), |ratio| {
        format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.lowest, ratio.highest)
    });
    let target = if row.ratio.is_some() {
        format!("{:.1}", row.target)
    } else {
        format!("{:.0} {}", row.target, row.unit)
    };
    let verdict = if row.met { "ok" } else { "missed" };
    [
        row.name.clone(),
        row.proxy.map_or(String::new(), value),
        value(row.hr),
        ratio,
        target,
        verdict.to_owned(),
    ]
}

/// The middle value; of an even number, the upper one of the two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_is_judged_by_its_median_and_nothing_measured_is_missed() {
        assert!(Row::ratio("cpu", 10.0, 25.0, &[2.4, 9.0, 2.5], 3.0).met);
        assert!(!Row::ratio("cpu", 10.0, 35.0, &[3.4, 3.5, 1.0], 3.0).met);
        assert!(!Row::ratio("cpu", 10.0, 35.0, &[], 3.0).met);
        assert!(Row::absolute("start", "ms", None, 12.0, 12.0).met);
    }
}

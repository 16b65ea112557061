//! What came of simulations, side by side.

use std::fmt::Write as _;

use super::judge::Foresight;
use super::provider::Spec;
use super::run::Report;

/// The contenders side by side; the last one is what the others are measured by.
#[must_use]
pub fn table(reports: &[&Report]) -> String {
    let best = reports.last().map_or(1, |report| report.served.max(1));
    let mut out = format!(
        "{:<28}{:>9}{:>8}{:>11}{:>8}{:>7}{:>12}",
        "", "requests", "served", "of the best", "calls", "429", "avoidable %"
    );
    for why in Foresight::ALL {
        let _ = write!(out, "{:>11}", why.name());
    }
    out.push('\n');
    for report in reports {
        let _ = write!(
            out,
            "{:<28}{:>9}{:>8}{:>10.1}%{:>8}{:>7}{:>11.2}%",
            report.name,
            report.requests,
            report.served,
            report.served as f64 * 100.0 / best as f64,
            report.calls.len(),
            report.refusals(),
            report.avoidable() * 100.0,
        );
        for why in Foresight::ALL {
            let _ = write!(out, "{:>11}", report.refused(why));
        }
        out.push('\n');
    }
    out
}

/// How much each provider served and refused under each contender: where quota is left, and where calls are wasted.
#[must_use]
pub fn by_provider(specs: &[Spec], reports: &[&Report]) -> String {
    let mut out = format!("{:<22}", "served / 429 / avoidable");
    for report in reports {
        let _ = write!(out, "{:>28}", report.name);
    }
    out.push('\n');
    for (member, spec) in specs.iter().enumerate() {
        let _ = write!(out, "{:<22}", spec.id);
        for report in reports {
            let own = || report.calls.iter().filter(|call| call.candidate.member == member);
            let served = own().filter(|call| call.served).count();
            let refused = own().filter(|call| call.refused.is_some()).count();
            let avoidable = own().filter(|call| call.refused == Some(Foresight::Avoidable)).count();
            let _ = write!(out, "{:>28}", format!("{served} / {refused} / {avoidable}"));
        }
        out.push('\n');
    }
    out
}

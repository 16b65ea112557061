//! How an error looks in a terminal: what happened, why, and what would help.

use std::fmt::{self, Write};

use hr_core::problem::Problem;

use crate::cli::paint::Paint;

/// What went wrong, with the commands or actions that would help.
#[derive(Debug)]
pub struct Advice {
    what: String,
    hints: Vec<String>,
    cause: Option<anyhow::Error>,
}

impl Advice {
    /// An error with one hint.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hints: vec![hint.into()], cause: None }
    }

    /// The same with a hint more.
    #[must_use]
    pub fn and(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with what led to it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Advice {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(AsRef::as_ref)
    }
}

/// Mistakes in the user's files and variables, all of them at once.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write_place(f, problem),
            problems => write!(f, "{} settings or files are wrong", problems.len()),
        }
    }
}

impl std::error::Error for Problems {}

/// The problem without its hint, which gets a line of its own.
fn write_place(f: &mut impl Write, problem: &Problem) -> fmt::Result {
    match problem.line {
        Some(line) => write!(f, "{}:{line}: {}", problem.file, problem.reason),
        None => write!(f, "{}: {}", problem.file, problem.reason),
    }
}

/// The whole report of an error: `error:`, each `caused by:`, each `hint:`.
pub fn report(error: &anyhow::Error, paint: &Paint) -> String {
    let mut text = String::new();
    let mut hints = Vec::new();
    let mut line = |label: String, what: &str| text.push_str(&format!("{label} {what}\n"));
    for (depth, cause) in error.chain().enumerate() {
        let label = if depth == 0 { paint.bad("error:") } else { paint.bad("caused by:") };
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            let mut place = String::new();
            let _ = write_place(&mut place, problem);
            line(label, &place);
            hints.extend(problem.hint.clone());
            continue;
        }
        line(label, &cause.to_string());
        if let Some(advice) = cause.downcast_ref::<Advice>() {
            hints.extend(advice.hints.iter().cloned());
        }
        if let Some(Problems(problems)) = cause.downcast_ref::<Problems>() {
            for problem in problems {
                if problems.len() > 1 {
                    let mut place = String::new();
                    let _ = write_place(&mut place, problem);
                    line("  -".to_owned(), &place);
                }
                if let Some(hint) = &problem.hint
                    && !hints.contains(hint)
                {
                    hints.push(hint.clone());
                }
            }
        }
    }
    for hint in hints {
        line(paint.note("hint:"), &hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn tells_what_why_and_what_helps() {
        let cause = anyhow::anyhow!("address in use").context("bind failed");
        let advice =
            Advice::new("the port is taken", "try `--port 0`").and("or stop the other").because(cause);
        let error = anyhow::Error::from(advice);
        let error = Err::<(), _>(error).context("could not start").unwrap_err();
        assert_eq!(
            report(&error, &Paint::plain()),
            "error: could not start\ncaused by: the port is taken\ncaused by: bind failed\n\
             caused by: address in use\nhint: try `--port 0`\nhint: or stop the other\n"
        );
    }

    #[test]
    fn one_problem_is_the_error_itself() {
        let problem = Problem::new(".env", "`PORT` is not a number").at(3).hint("use 1 to 65535");
        let report = report(&Problems(vec![problem]).into(), &Paint::plain());
        assert_eq!(report, "error: .env:3: `PORT` is not a number\nhint: use 1 to 65535\n");
    }

    #[test]
    fn several_problems_are_listed_and_a_hint_is_given_once() {
        let one = Problem::new(".env", "first").hint("same");
        let two = Problem::new("auth.json", "second").at(9).hint("same");
        assert_eq!(
            report(&Problems(vec![one, two]).into(), &Paint::plain()),
            "error: 2 settings or files are wrong\n  - .env: first\n  - auth.json:9: second\nhint: same\n"
        );
    }
}

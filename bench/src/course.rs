//! The courses whose CPU is measured: what is sent, in which dialect it comes, and in which it goes on.

use crate::dialect::Dialect;
use crate::plan::{Loop, Plan};
use crate::report::{Row, median};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A small request with a whole reply.
    Small,
    /// One of 100 KB.
    Medium,
    /// One of 1 MB.
    Large,
    /// A stream, whose chunks are counted.
    Chunk,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Small, Kind::Medium, Kind::Large, Kind::Chunk];

    /// The load of it that `plan` has.
    pub fn load(self, plan: &Plan) -> Loop {
        match self {
            Kind::Small => plan.small,
            Kind::Medium => plan.medium,
            Kind::Large => plan.large,
            Kind::Chunk => plan.chunks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Small => "small request",
            Kind::Medium => "request of 100 KB",
            Kind::Large => "request of 1 MB",
            Kind::Chunk => "streamed chunk",
        }
    }

    /// How often the work of the proxy it may be at most where the bytes pass.
    fn native_target(self) -> f64 {
        match self {
            Kind::Small => 3.0,
            Kind::Medium => 1.8,
            Kind::Large => 1.5,
            Kind::Chunk => 1.4,
        }
    }
}

/// Who speaks what to whom, and what of it counts.
#[derive(Clone, Debug)]
pub struct Course {
    /// What is sent.
    pub kind: Kind,
    /// What the caller speaks.
    pub client: Dialect,
    /// What the upstream speaks. The proxy, which translates nothing, is called in this too.
    pub upstream: Dialect,
    target: f64,
    pairs: Vec<Pair>,
}

/// What one round gave for both, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Pair {
    proxy: f64,
    hr: f64,
}

/// The translations that matter: clients and the upstreams that they would not reach otherwise.
const TRANSLATED: [(Dialect, Dialect); 4] = [
    (Dialect::OpenaiChat, Dialect::Anthropic),
    (Dialect::Anthropic, Dialect::OpenaiChat),
    (Dialect::OpenaiResponses, Dialect::OpenaiChat),
    (Dialect::OpenaiChat, Dialect::OpenaiResponses),
];

/// What a translation is measured by, and how often the work of the proxy it may be at most.
const TRANSLATED_TARGETS: [(Kind, f64); 2] = [(Kind::Small, 4.0), (Kind::Chunk, 3.0)];

/// All courses, in the order of the report.
pub fn all() -> Vec<Course> {
    let course =
        |kind, client, upstream, target| Course { kind, client, upstream, target, pairs: Vec::new() };
    let native = Dialect::ALL.into_iter().flat_map(|dialect| {
        Kind::ALL.into_iter().map(move |kind| course(kind, dialect, dialect, kind.native_target()))
    });
    let translated = TRANSLATED.into_iter().flat_map(|(client, upstream)| {
        TRANSLATED_TARGETS.into_iter().map(move |(kind, target)| course(kind, client, upstream, target))
    });
    native.chain(translated).collect()
}

impl Course {
    /// Adds what a round gave.
    pub fn add(&mut self, proxy: f64, hr: f64) {
        self.pairs.push(Pair { proxy, hr });
    }

    /// What it is called in a report.
    pub fn name(&self) -> String {
        let Course { kind, client, upstream, .. } = self;
        if client == upstream {
            format!("{}: CPU per {}", client.name(), kind.name())
        } else {
            format!("{} to {}: CPU per {}", client.name(), upstream.name(), kind.name())
        }
    }

    /// What all rounds gave.
    pub fn row(&self) -> Row {
        let Course { target, pairs, .. } = self;
        let of = |value: fn(&Pair) -> f64| pairs.iter().map(value).collect::<Vec<f64>>();
        let (proxy, hr) = (median(&of(|pair| pair.proxy)), median(&of(|pair| pair.hr)));
        Row::ratio(self.name(), proxy, hr, &of(|pair| pair.hr / pair.proxy), *target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_course_has_a_name_of_its_own() {
        let mut names: Vec<String> = all().iter().map(Course::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().any(|name| name == "Chat: CPU per small request"));
        assert!(names.iter().any(|name| name == "Chat to Messages: CPU per streamed chunk"));
    }

    #[test]
    fn a_row_is_judged_by_the_median_of_the_rounds() {
        let mut course = all().remove(0);
        for hr in [20.0, 90.0, 25.0] {
            course.add(10.0, hr);
        }
        let row = course.row();
        assert_eq!((row.hr, row.ratio.map(|ratio| ratio.median)), (25.0, Some(2.5)));
        assert!(row.met);
    }
}

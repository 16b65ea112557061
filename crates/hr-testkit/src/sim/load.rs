//! The requests of a simulation.

use hr_core::time::Millis;

use super::calendar::DAY;
use super::dice::Dice;

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// When it comes.
    pub at: Millis,
    /// Tokens of its prompt, as providers count them.
    pub input: u64,
    /// Tokens of its prompt, as the router estimates them.
    pub estimate: u64,
    /// Tokens of its answer.
    pub output: u64,
    /// The most tokens of an answer that the caller allows, when it says.
    pub max_output: Option<u64>,
    /// From 1 (hardest) to 5 (easiest).
    pub difficulty: u8,
    /// The conversation that it belongs to.
    pub session: Option<u64>,
    /// What decides over its chances.
    pub chance: u64,
}

impl Request {
    /// A small one.
    #[must_use]
    pub fn small(at: Millis, number: u64) -> Self {
        let chance = Dice::new(number).draw();
        Self {
            at,
            input: 200,
            estimate: 200,
            output: 100,
            max_output: None,
            difficulty: 3,
            session: None,
            chance,
        }
    }
}

/// How requests come.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// When the first may come.
    pub start: Millis,
    /// How long they come, in milliseconds.
    pub lasts: u64,
    /// How many come, about.
    pub count: f64,
    /// How much more come at the height of the day than on average, as a part of the average.
    pub swing: f64,
    /// How wrong estimates of tokens are: an estimate is up to this many times the truth, or as little of it.
    pub estimates: f64,
    /// What decides over all.
    pub seed: u64,
}

impl Load {
    /// The requests, in order: as if by chance, more by day than by night, of mixed sizes.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let mut dice = Dice::new(self.seed);
        let mean_gap = self.lasts as f64 / self.count.max(1.0);
        let top = 1.0 + self.swing;
        let mut requests = Vec::new();
        let mut at = 0.0;
        loop {
            at += -(1.0 - dice.share()).ln() * mean_gap / top;
            if at >= self.lasts as f64 {
                return requests;
            }
            let now = Millis(self.start.0 + at as u64);
            let turn = (now.0 % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
            // The height of the day is at noon.
            if dice.share() * top < 1.0 - self.swing * turn.cos() {
                requests.push(self.request(now, &mut dice));
            }
        }
    }

    fn request(&self, at: Millis, dice: &mut Dice) -> Request {
        let input = dice.between(100.0, 6000.0);
        let output = dice.between(50.0, 1500.0);
        let wrong = dice.between(1.0 / self.estimates, self.estimates);
        let roomy = (output * 1.5).max(2000.0) as u64;
        Request {
            at,
            input: input as u64,
            estimate: (input * wrong) as u64,
            output: output as u64,
            max_output: (dice.share() < 0.6).then_some(roomy),
            difficulty: 1 + (dice.draw() % 5) as u8,
            session: None,
            chance: dice.draw(),
        }
    }
}

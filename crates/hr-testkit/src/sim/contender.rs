//! Who decides where requests go.

use hr_core::route::{Candidate, Tried};
use hr_core::time::Millis;

use super::load::Request;
use super::world::{Reply, World};

/// What is to be done about a request now.
#[derive(Debug)]
pub enum Step<H> {
    /// To call this one.
    Call {
        /// Whom.
        candidate: Candidate,
        /// What is to be handed back when the call ends.
        held: H,
        /// Whether it is called although its quota seems to be used up.
        test: bool,
    },
    /// To ask again then.
    Wait(Millis),
    /// Nothing any more.
    Nobody,
}

/// What a request has behind it.
#[derive(Debug, Default)]
pub struct Visit {
    /// Who failed it, for the router.
    pub tried: Tried,
    /// Who failed it.
    pub failed: Vec<Candidate>,
    /// How often somebody was called for it.
    pub attempts: u32,
    /// How many of these were known to be failing.
    pub known_bad: u32,
    /// How often those who had failed it were asked again.
    pub repeats: u32,
    /// How many of its calls were refused for a limit.
    pub refusals: u32,
}

/// Somebody who decides where requests go.
pub trait Contender {
    /// What it keeps of a call under way.
    type Held;

    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// A request comes.
    fn arrives(&mut self, _now: Millis) {}

    /// What is to be done about a request. Only who knows everything may look at the world.
    fn next(
        &mut self,
        now: Millis,
        world: &mut World,
        request: &Request,
        visit: &mut Visit,
    ) -> Step<Self::Held>;

    /// A call has ended; whether its request goes on, should it have failed.
    fn ends(
        &mut self,
        now: Millis,
        call: (Candidate, Self::Held),
        request: &Request,
        reply: &Reply,
        visit: &mut Visit,
    ) -> bool;
}

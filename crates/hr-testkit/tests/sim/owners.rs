//! Keys of one owner are one quota.

use hr_core::catalog::{LimitSpan, OwnerScope};
use hr_core::time::Millis;
use hr_testkit::sim::{Dice, HiddenLimit, Owner, Request, Reset, Spec, Telling, Voice, Words};

use crate::stage::{SECOND, START, routed, within};

const POOLS: u64 = 10_000;

/// One request, whose reply tells the limits, and a burst when it has ended.
fn burst(count: u64) -> Vec<Request> {
    let first = Request::small(START, 0);
    let burst = (1..=count).map(|number| Request::small(Millis(START.0 + 10 * SECOND), number));
    std::iter::once(first).chain(burst).collect()
}

#[test]
fn keys_of_a_declared_owner_are_never_counted_as_two_quotas() {
    let mut dice = Dice::new(1);
    let mut more = 0;
    for number in 0..POOLS {
        let amount = 2 + (dice.draw() % 15) as u32;
        let reset = [Reset::Aligned, Reset::Rolling, Reset::Bucket][(dice.draw() % 3) as usize];
        let span = [LimitSpan::Minute, LimitSpan::Hour, LimitSpan::Day][(dice.draw() % 3) as usize];
        let good = [Telling::Left, Telling::LeftAndReset][(dice.draw() % 2) as usize];
        let keys = 2 + (dice.draw() % 4) as usize;
        let voice =
            Voice { good, words: Words::Limit, names: dice.draw().is_multiple_of(2), ..Voice::SILENT };
        let limit = HiddenLimit::requests(amount, span, reset);
        let limit = if dice.draw().is_multiple_of(2) { limit.shared() } else { limit };
        let mut owners = vec![Owner::of(keys).declared()];
        if dice.draw().is_multiple_of(2) {
            owners.push(Owner::of(1));
        }
        let count = owners.len();
        let spec = Spec::new("generated", voice).owners(OwnerScope::Organisation, owners).limit(limit);
        let report = routed(std::slice::from_ref(&spec), &burst(u64::from(amount) * 2 + 5), &[]);
        let of_owner = report.calls.iter().filter(|call| call.candidate.key < keys);
        let made = of_owner.filter(|call| call.at.0 < START.0 + 11 * SECOND).count();
        // Where the first reply came from the other owner, nothing is known of this one, and only refusals stop it.
        let known = report.calls[0].candidate.key < keys;
        if known && made > amount as usize + 1 {
            more += 1;
            println!("pool {number}: {made} calls with {amount} in {spec:?}");
        }
        assert!(count > 0);
    }
    assert_eq!(more, 0, "pools in which keys were counted one by one, of {POOLS}");
}

#[test]
fn a_burst_of_a_thousand_with_a_hundred_left_sends_at_most_a_hundred_and_one() {
    for keys in [1, 2, 5] {
        let owners = vec![Owner::of(keys).declared()];
        let limit = HiddenLimit::requests(101, LimitSpan::Minute, Reset::Aligned).shared();
        let spec = Spec::new("bursty", Voice::OPEN).owners(OwnerScope::Organisation, owners).limit(limit);
        let report = routed(&[spec], &burst(1000), &[]);
        let (served, refused) = within(&report, Millis(START.0 + 10 * SECOND), Millis(START.0 + 60 * SECOND));
        println!("{keys} keys, 100 left, 1000 at once: {} sent, {refused} of them refused", served + refused);
        assert!((99..=101).contains(&(served + refused)));
    }
}

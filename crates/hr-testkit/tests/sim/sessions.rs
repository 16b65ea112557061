//! Conversations stay where they are, and leave a home that is closed at once.

use hr_core::catalog::{LimitSpan, LimitUnit, OwnerScope};
use hr_core::route::Candidate;
use hr_core::time::Millis;
use hr_testkit::sim::{Change, Dice, HiddenLimit, Owner, Report, Request, Reset, Spec, Voice};

use crate::stage::{SECOND, START, routed};

const SESSIONS: u64 = 1000;
const TURNS: u64 = 12;

/// Each session takes a turn every minute or so.
fn turns() -> Vec<Request> {
    let mut dice = Dice::new(9);
    let mut requests = Vec::new();
    for session in 0..SESSIONS {
        let mut at = START.0 + dice.draw() % (60 * SECOND);
        for turn in 0..TURNS {
            let mut request = Request::small(Millis(at), session * TURNS + turn);
            request.session = Some(session.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
            request.input = 1000 + 500 * turn;
            request.estimate = request.input;
            requests.push(request);
            at += 40 * SECOND + dice.draw() % (60 * SECOND);
        }
    }
    requests.sort_by_key(|request| request.at);
    requests
}

/// Five providers with four keys each.
fn providers(limit: Option<HiddenLimit>) -> Vec<Spec> {
    let names = ["ash", "birch", "cedar", "dogwood", "elm"];
    let spec = |name: &&str| {
        let spec = Spec::new(name, Voice::OPEN).owners(OwnerScope::Key, vec![Owner::of(1); 4]);
        limit.into_iter().fold(spec, Spec::limit)
    };
    names.iter().map(spec).collect()
}

/// Of consecutive turns, how many stayed with their key; and the calls of each request.
fn stayed(requests: &[Request], report: &Report) -> (usize, usize, Vec<Vec<(Candidate, bool)>>) {
    let mut calls = vec![Vec::new(); requests.len()];
    for call in &report.calls {
        calls[call.request].push((call.candidate, call.served));
    }
    let mut last = std::collections::HashMap::new();
    let (mut stayed, mut pairs) = (0, 0);
    for (request, made) in requests.iter().zip(&calls) {
        let Some((candidate, true)) = made.last() else { continue };
        if let Some(before) = last.insert(request.session, *candidate) {
            pairs += 1;
            stayed += usize::from(before == *candidate);
        }
    }
    (stayed, pairs, calls)
}

#[test]
fn consecutive_turns_stay_on_their_key() {
    let requests = turns();
    let report = routed(&providers(None), &requests, &[]);
    let (same, pairs, _) = stayed(&requests, &report);
    let share = same as f64 / pairs as f64;
    println!("{SESSIONS} sessions over 20 keys: {:.1} % of {pairs} turns stayed on their key", share * 100.0);
    assert_eq!(pairs as u64, SESSIONS * (TURNS - 1));
    assert!(share >= 0.95);
}

#[test]
fn a_refusal_at_home_moves_in_one_hop() {
    let requests = turns();
    // After five minutes the keys of one provider allow a quarter of what they did, which nothing tells before.
    let limit = HiddenLimit::requests(80, LimitSpan::Minute, Reset::Aligned).untold();
    let closes = Change::Scale(LimitUnit::Requests, LimitSpan::Minute, 0.25);
    let changes = [(Millis(START.0 + 300 * SECOND), 0, closes)];
    let report = routed(&providers(Some(limit)), &requests, &changes);
    let (same, pairs, calls) = stayed(&requests, &report);
    let refused = calls.iter().filter(|made| made.iter().any(|(_, served)| !served)).count();
    let hops = calls.iter().filter(|made| made.len() > 2).count();
    println!(
        "with homes that close: {:.1} % of {pairs} turns stayed, {refused} were refused at home, {hops} of them \
         needed more than one hop; 429s {}",
        same as f64 * 100.0 / pairs as f64,
        report.refusals()
    );
    assert!(refused > 0, "the limit is met");
    assert_eq!(hops, 0);
    assert!(calls.iter().all(|made| made.last().is_some_and(|(_, served)| *served)), "every turn is served");
}

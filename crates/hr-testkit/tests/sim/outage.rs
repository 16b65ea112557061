//! Ten minutes in which nobody answers.

use hr_core::catalog::OwnerScope;
use hr_core::time::Millis;
use hr_testkit::sim::{Change, Owner, Spec, Voice};

use crate::stage::{SECOND, START, every, routed};

const RATE: u64 = 200;
const DOWN: u64 = 600 * SECOND;
const BEFORE: u64 = 60 * SECOND;
const AFTER: u64 = 60 * SECOND;

#[test]
fn a_total_outage_is_neither_hammered_nor_mourned() {
    let names = ["ash", "birch", "cedar", "dogwood"];
    let spec = |name: &&str| {
        Spec::new(name, Voice::SILENT).owners(OwnerScope::Key, vec![Owner::of(1); 3]).takes(300.0, 900.0)
    };
    let specs: Vec<_> = names.iter().map(spec).collect();
    let (falls, rises) = (Millis(START.0 + BEFORE), Millis(START.0 + BEFORE + DOWN));
    let changes: Vec<_> = (0..specs.len())
        .flat_map(|member| [(falls, member, Change::Down(true)), (rises, member, Change::Down(false))])
        .collect();
    let ends = Millis(rises.0 + AFTER);
    let requests = every(SECOND / RATE, START, ends);
    let report = routed(&specs, &requests, &changes);

    let meanwhile = report.calls.iter().filter(|call| call.at >= falls && call.at < rises).count();
    let asked = (DOWN / SECOND * RATE) as usize;
    let most = report.by_second(START).into_iter().max().unwrap();
    // The first instant after which the requests of a whole second are all served.
    let mut served = vec![false; requests.len()];
    report.calls.iter().filter(|call| call.served).for_each(|call| served[call.request] = true);
    let failed_last =
        requests.iter().zip(&served).filter(|(request, served)| request.at >= rises && !**served);
    let recovered = failed_last.map(|(request, _)| request.at).max();
    let recovery = recovered.map_or(0, |at| at.0 - rises.0);
    println!(
        "outage: {meanwhile} calls for {asked} requests ({:.2} a request); served again after {recovery} ms; \
         {most} calls in the busiest second, {RATE} requests a second",
        meanwhile as f64 / asked as f64
    );
    assert!(meanwhile as f64 <= 1.2 * asked as f64);
    assert!(recovery <= 2 * SECOND);
    assert!(f64::from(most) <= 1.5 * RATE as f64);
}

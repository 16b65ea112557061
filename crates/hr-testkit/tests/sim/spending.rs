//! A day in which nothing may cost money.

use hr_core::catalog::SpendClass;
use hr_testkit::sim::calendar::DAY;
use hr_testkit::sim::{Load, Routing, World, mixed, pool, run};

use crate::stage::START;

#[test]
fn a_day_under_spend_free_makes_no_paid_call() {
    let mut specs = mixed::pool();
    for (number, spec) in specs.iter_mut().enumerate() {
        spec.spend = [SpendClass::Free, SpendClass::Paid, SpendClass::Included][number % 3];
    }
    let load = Load { start: START, lasts: DAY, count: 20_000.0, swing: 0.5, estimates: 1.3, seed: 8 };
    let requests = load.requests();
    let mut router = Routing::new(START, pool(&specs)).spend(SpendClass::Free);
    let report = run(World::new(&specs, START), &mut router, &requests, &[]);
    let included = report.calls.iter().filter(|call| call.candidate.member % 3 == 2).count();
    println!(
        "SPEND=free: {} requests, {} served, {} calls, {} paid, {included} included",
        report.requests,
        report.served,
        report.calls.len(),
        report.paid
    );
    assert!(report.served > 5000);
    assert_eq!((report.paid, included), (0, 0));
}

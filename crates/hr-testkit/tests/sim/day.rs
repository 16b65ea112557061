//! A day of a mixed pool at more than it can serve.

use hr_testkit::sim::calendar::DAY;
use hr_testkit::sim::{
    Clairvoyant, Load, RoundRobin, Routing, Spec, World, by_provider, mixed, pool, run, table,
};

use crate::stage::START;

/// Plays a part of a day at 1.2 times what a pool can serve, and holds the router to the two yardsticks.
fn play(specs: &[Spec], lasts: u64, seed: u64, (least, most): (f64, f64)) {
    // What sizes between these come to on average.
    let mean = |least: f64, most: f64| (most - least) / (most / least).ln();
    let size = (mean(100.0, 6000.0), mean(50.0, 1500.0));
    let capacity = mixed::capacity(specs, START, lasts, size);
    let load = Load { start: START, lasts, count: 1.2 * capacity, swing: 0.5, estimates: 1.3, seed };
    let requests = load.requests();
    let world = || World::new(specs, START);
    let began = std::time::Instant::now();
    let router = run(world(), &mut Routing::new(START, pool(specs)), &requests, &[]);
    let took = began.elapsed();
    let naive = run(world(), &mut RoundRobin::new(&world()), &requests, &[]);
    let best = run(world(), &mut Clairvoyant::new(&world()), &requests, &[]);
    let reports = [&router, &naive, &best];
    println!("seed {seed}, capacity {capacity:.0}, router took {took:?}");
    println!("{}\n{}", table(&reports), by_provider(specs, &reports));
    assert_eq!(best.refusals(), 0, "who knows everything is never refused");
    assert!(router.served as f64 >= least * best.served as f64);
    assert!(router.avoidable() <= most);
}

#[test]
fn half_a_day_of_another_pool_is_served_with_few_refusals_to_foresee() {
    // Two keys that nobody declared share limits that only refusals name, ends of spans that are not told are found by
    // trying: it is further from the best than the other pool, whichever requests come.
    for (seed, most) in [(1, 0.007), (5, 0.007), (9, 0.005)] {
        play(&mixed::other_pool(), DAY / 2, seed, (0.94, most));
    }
}

#[test]
fn a_day_at_more_than_capacity_is_served_nearly_as_well_as_by_a_clairvoyant() {
    let specs = mixed::pool();
    let (keys, owners) =
        specs.iter().fold((0, 0), |(keys, owners), spec| (keys + spec.keys(), owners + spec.owners.len()));
    assert_eq!((specs.len(), keys, owners), (12, 30, 17));
    play(&specs, DAY, 4, (0.97, 0.005));
}

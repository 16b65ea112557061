//! Those who wait for a reset are let go without a burst.

use hr_core::catalog::LimitSpan;
use hr_core::time::Millis;
use hr_testkit::sim::{HiddenLimit, Request, Reset, Spec, Voice};

use crate::stage::{SECOND, START, routed};

#[test]
fn a_thousand_that_wait_for_one_reset_are_let_go_below_every_limit() {
    let spec = Spec::new("waited-for", Voice::OPEN)
        .limit(HiddenLimit::requests(600, LimitSpan::Minute, Reset::Aligned))
        .limit(HiddenLimit::requests(200, LimitSpan::Second, Reset::Aligned))
        .takes(100.0, 200.0);
    // The minute is used up by its thirtieth second, and a thousand come in its last three.
    let early = (0..600).map(|number| Request::small(Millis(START.0 + number * 50), number));
    let late =
        (0..1000).map(|number| Request::small(Millis(START.0 + 57 * SECOND + number * 3), 1000 + number));
    let requests: Vec<_> = early.chain(late).collect();
    let report = routed(&[spec], &requests, &[]);
    let seconds = report.by_second(START);
    println!("calls in the seconds after the reset: {:?}; 429s: {}", &seconds[60..], report.refusals());
    assert!(seconds.iter().all(|calls| *calls <= 201), "{seconds:?}");
    assert!(seconds[60..].iter().sum::<u32>() >= 570, "what the new minute has is used: {seconds:?}");
    assert!(report.refusals() <= 3, "{}", report.refusals());
}

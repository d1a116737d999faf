//! A drain that lasts as long as calls do.

use std::time::Duration;

use turn_tests::system::Drained;

#[test]
fn realtime_r19_a_drain_lets_calls_of_a_minute_end_and_goes_with_the_last() {
    Drained::start("").ends_with_its_calls(Duration::from_secs(10), Duration::from_secs(60));
}

//! Allocations by size: so many for each session, however many there are.

use allocation_counter::{AllocationInfo, measure};
use gateway_reaper::domain::decide::decide;
use gateway_reaper::sources::gateway::table_json::parse;

use crate::crowd::{Crowd, table_json};

/// For all sessions together, tables that grow among them.
const SOME: u64 = 100;

fn deciding(sessions: usize) -> AllocationInfo {
    let crowd = Crowd::of(sessions);
    measure(|| drop(decide(&crowd.seen, &crowd.memory, &crowd.rules, crowd.now)))
}

fn parsing(sessions: usize) -> AllocationInfo {
    let json = table_json(sessions);
    measure(|| drop(parse(json.as_bytes()).unwrap()))
}

fn assert_linear(work: impl Fn(usize) -> AllocationInfo, calls_each: u64, bytes_each: u64) {
    let (some, many) = (work(1_000), work(10_000));
    println!("1,000: {some:?}\n10,000: {many:?}");
    assert!(
        many.count_total <= calls_each * 10_000 + SOME,
        "{} allocations for 10,000 sessions",
        many.count_total
    );
    assert!(many.bytes_max <= bytes_each * 10_000, "{} bytes for 10,000 sessions", many.bytes_max);
    assert!(many.count_total <= some.count_total * 11, "{some:?} for a tenth of {many:?}");
    // Tables grow by doubling, so twice what is linear may be held at the worst moment.
    assert!(many.bytes_max <= some.bytes_max * 20, "{some:?} for a tenth of {many:?}");
}

#[test]
fn a_decision_allocates_so_much_for_each_session_and_no_more() {
    // The owner of each worker is answered before the sessions are judged, from the keys of rows and workers.
    assert_linear(deciding, 7, 1536);
}

#[test]
fn a_table_is_read_without_a_copy_of_what_is_not_kept() {
    // The id, the key and the activity.
    assert_linear(parsing, 3, 1024);
}

//! When the system refuses: what fails is told with its remedy, and nothing is guessed.

use std::io;

use gateway_reaper::domain::table::CloseAnswer;
use gateway_reaper::reap::outcome::{Outcome, Step};

use crate::play::{Cast, Play};
use crate::stage::{Manner, ms, pid};

const NO_HOLD: &str = "pidfd_open of process 200 failed: permission denied";

fn play(cast: Cast, spoil: impl FnOnce(&mut Play)) -> Play {
    let mut play = cast.rehearse();
    spoil(&mut play);
    play.begin()
}

fn worker() -> Cast {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child");
    cast
}

fn session() -> Cast {
    let mut cast = Cast::new();
    cast.session("s", 200);
    cast
}

#[test]
fn a_worker_that_cannot_be_held_is_not_signalled() {
    let mut play = play(worker(), |play| _ = play.kernel.unholdable.insert(200));
    assert_eq!(play.done(), "failed");
    assert_eq!(play.failure(), NO_HOLD);
}

#[test]
fn a_session_is_closed_all_the_same_and_its_worker_asked_after_when_its_time_is_over() {
    let mut play = play(session(), |play| _ = play.kernel.unholdable.insert(200));
    assert_eq!(play.done(), "announce close of s");
    play.answer(CloseAnswer::Reaped);
    assert_eq!(play.pass(ms(9_999)).done(), "");
    assert_eq!(play.pass(ms(1)).done(), "failed");
    assert_eq!(play.failure(), NO_HOLD);
}

#[test]
fn a_session_is_not_closed_while_its_worker_can_not_be_held_for_a_reason_that_may_pass() {
    let mut play = play(session(), |play| {
        play.kernel.refusal = io::ErrorKind::OutOfMemory;
        play.kernel.unlistable.insert(200);
    });
    assert_eq!(play.done(), "failed");
    assert!(play.requests.is_empty() && play.kernel.is_alive(200));
    assert_eq!(play.failure(), "a look in /proc of process 200 failed: out of memory");
}

#[test]
fn a_worker_that_could_not_be_held_and_is_gone_later_is_reaped() {
    let mut play = play(session(), |play| _ = play.kernel.unholdable.insert(200));
    play.answer(CloseAnswer::Reaped);
    play.kernel.unholdable.clear();
    play.kernel.end(200);
    play.pass(ms(10_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

#[test]
fn a_worker_that_could_not_be_held_and_is_still_there_later_is_a_failure() {
    let mut play = play(session(), |play| _ = play.kernel.unholdable.insert(200));
    play.answer(CloseAnswer::Reaped);
    play.kernel.unholdable.clear();
    play.pass(ms(10_000));
    assert_eq!(play.failure(), "closed, but its worker 200 (started at tick 200) is still there");
    assert!(play.kernel.is_alive(200));
}

#[test]
fn a_tree_that_cannot_be_listed_is_not_signalled() {
    let mut play = play(worker(), |play| _ = play.kernel.unlistable.insert(200));
    assert_eq!(play.done(), "failed");
    assert_eq!(play.failure(), "a look in /proc of process 200 failed: permission denied");
}

#[test]
fn what_was_stopped_is_killed_even_if_the_rest_cannot_be_listed() {
    let mut play = play(worker(), |_| {});
    play.kernel.actors.get_mut(&201).unwrap().manner = Manner::Deaf;
    play.pass(ms(4_999)).done();
    play.kernel.unlistable.insert(201);
    play.pass(ms(1));
    assert_eq!(
        play.done(),
        "take 200+201 to be stopped, announce SIGKILL 200, Stop 200, announce SIGKILL 201, Stop 201, Kill 200, Kill 201, failed"
    );
    assert_eq!(play.failure(), "a look in /proc of process 201 failed: permission denied");
}

#[test]
fn a_signal_that_is_refused_ends_it() {
    let mut play = play(worker(), |play| _ = play.kernel.unsignallable.insert(200));
    assert_eq!(play.done(), "take 200+201, announce SIGTERM 200, failed");
    let ending = play.ending();
    assert_eq!(ending.steps, [Step::Term]);
    assert!(play.kernel.is_alive(201));
}

#[test]
fn a_sigterm_that_is_refused_ends_it_for_the_rest_of_the_tree_too() {
    let mut play = play(worker(), |play| {
        let sibling = play.kernel.actors[&201].clone();
        play.kernel.actors.insert(202, sibling);
        play.kernel.actors.get_mut(&202).unwrap().process.identity.pid = pid(202);
        play.kernel.unsignallable.insert(201);
    });
    play.done();
    assert_eq!(play.pass(ms(2_500)).done(), "announce SIGTERM 201, failed");
    assert_eq!(play.failure(), "pidfd_send_signal of process 201 failed: permission denied");
    assert!(play.kernel.is_alive(202));
}

#[test]
fn a_sigkill_that_is_refused_is_told_and_the_rest_which_is_stopped_is_killed() {
    let mut play = play(worker(), |play| _ = play.kernel.unkillable.insert(200));
    play.kernel.actors.get_mut(&201).unwrap().manner = Manner::Deaf;
    play.pass(ms(4_999)).done();
    let done = play.pass(ms(1)).done();
    assert!(
        done.ends_with("Stop 200, announce SIGKILL 201, Stop 201, Kill 201, Continue 200, failed"),
        "{done}"
    );
    assert_eq!(play.failure(), "pidfd_send_signal of process 200 failed: permission denied");
}

#[test]
fn a_tree_that_cannot_be_listed_again_is_not_asked_to_end() {
    let mut play = play(worker(), |_| {});
    play.done();
    play.kernel.unlistable.insert(201);
    assert_eq!(play.pass(ms(2_500)).done(), "failed");
    assert!(play.kernel.is_alive(201));
}

#[test]
fn a_hold_that_cannot_be_asked_ends_it() {
    let mut play = play(worker(), |_| {});
    play.done();
    play.kernel.unaskable.insert(201);
    assert_eq!(play.pass(ms(60_000)).done(), "failed");
    assert_eq!(play.failure(), "poll of the pidfd of process 201 failed: permission denied");
}

#[test]
fn a_tree_whose_rest_cannot_be_searched_for_is_not_taken_for_gone() {
    let mut cast = Cast::new();
    cast.worker(200).process.session = 200;
    let mut play = play(cast, |play| play.kernel.blind = true);
    assert_eq!(play.done(), "take 200, announce SIGTERM 200, Term 200, failed");
    assert_eq!(play.failure(), "a look in /proc of process 1 failed: permission denied");
    assert!(play.record.unfinished.contains_key(&200));
}

#[test]
fn a_re_parented_descendant_that_cannot_be_held_is_told_of() {
    let mut cast = Cast::new();
    cast.is_unmarkable = true;
    cast.worker(200).process.session = 200;
    cast.stray(201, "re-parented").process.session = 200;
    let mut play = play(cast, |play| _ = play.kernel.unholdable.insert(201));
    assert_eq!(play.failure(), "pidfd_open of process 201 failed: permission denied");
}

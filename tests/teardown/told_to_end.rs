//! A run that is told to end: what is under way has `term_timeout` and half a second, after the time that the worker of a closed session has
//! to exit; and the rest is left to the next run.

use gateway_reaper::domain::table::CloseAnswer;
use gateway_reaper::domain::time::Awake;
use gateway_reaper::reap::event::Event;
use gateway_reaper::reap::outcome::{Ending, Outcome};

use crate::play::{Cast, Play, stands};
use crate::stage::{Manner, ms};

const IN_THE_MIDDLE: &str = "the reaper was told to end in the middle of it, and the next run goes on";

fn is_left_to_the_next_run(ending: &Ending) -> bool {
    ending.outcome == Outcome::Failed { why: IN_THE_MIDDLE.into() }
}

/// A session whose worker is deaf.
fn session() -> Play {
    let mut cast = Cast::new();
    cast.session("s", 200).manner = Manner::Deaf;
    cast.begin()
}

#[test]
fn a_close_has_the_time_that_its_gateway_has_and_what_comes_of_it_no_longer() {
    let mut play = session();
    play.tell(Event::Stop);
    play.pass(ms(60_000)).done();
    assert!(!play.is_over());
    play.answer(CloseAnswer::Failed { why: "no answer".into() });
    play.pass(ms(5_499)).done();
    assert!(!play.is_over());
    assert_eq!(play.pass(ms(1)).done(), "failed");
    assert!(play.record.unfinished.contains_key(&200), "the next run goes on with it");
    assert!(is_left_to_the_next_run(&play.ending()));
}

#[test]
fn a_worker_that_takes_its_time_to_exit_after_the_close_is_ended_all_the_same() {
    let told_before_the_answer = {
        let mut play = session();
        play.tell(Event::Stop);
        play.answer(CloseAnswer::Reaped).done();
        play
    };
    let told_after_it = {
        let mut play = session();
        play.answer(CloseAnswer::Reaped).done();
        play.tell(Event::Stop);
        play
    };
    for mut play in [told_before_the_answer, told_after_it] {
        assert_eq!(play.pass(ms(9_999)).done(), "", "it has its time to exit");
        play.pass(ms(1) + ms(5_000));
        assert_eq!(play.ending().outcome, Outcome::Reaped);
    }
}

#[test]
fn what_another_look_takes_is_not_taken_from_the_time_that_is_left() {
    let mut cast = Cast::new();
    cast.session("s", 200).manner = Manner::Deaf;
    let mut play = cast.rehearse();
    play.keeps_questions = true;
    let mut play = play.begin();
    play.answer(CloseAnswer::Reaped).done();
    play.tell(Event::Stop);
    play.pass(ms(10_000)).pass(ms(60_000)).done();
    assert_eq!(play.rechecks, [0], "its gateway takes its time");
    play.keeps_questions = false;
    play.recheck(stands(Awake::from_nanos(u64::MAX))).pass(ms(5_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

#[test]
fn a_close_that_was_not_sent_yet_is_withdrawn() {
    let mut play = session();
    play.tell(Event::Stop);
    play.answer(CloseAnswer::Unasked { why: "told to end".into() });
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps), (Outcome::Failed { why: "told to end".into() }, vec![]));
}

#[test]
fn what_was_asked_to_end_is_still_killed() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    let mut play = cast.begin();
    play.tell(Event::Stop);
    play.pass(ms(5_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

#[test]
fn what_does_not_die_of_sigkill_is_not_waited_for_longer() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Stuck;
    let mut play = cast.begin();
    play.pass(ms(1_000));
    play.tell(Event::Stop);
    play.pass(ms(5_499));
    assert!(!play.is_over());
    play.pass(ms(1));
    assert!(is_left_to_the_next_run(&play.ending()));
}

#[test]
fn what_was_not_begun_is_not_begun() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.worker(300);
    let mut play = cast.rehearse();
    play.open();
    play.tell(Event::Stop);
    assert!(play.is_over());
    assert_eq!(play.done(), "failed, failed");
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(300));
}

#[test]
fn what_is_gone_and_waits_for_the_search_is_not_woken_until_the_patience_with_another_gateway_s_is_over() {
    let mut cast = Cast::new();
    cast.worker(200).process.session = 200;
    let mut other = Cast::new();
    other.policy.term_timeout = ms(60_000);
    other.worker(300).manner = Manner::Stuck;
    let mut play = cast.rehearse_with(other).begin();
    play.tell(Event::Stop);
    // A deadline that is met and stays would wake the driver again and again.
    play.pass(ms(5_500) + ms(1)).done();
    assert!(play.deadline().is_some_and(|deadline| deadline > play.kernel.now));
    play.pass(ms(60_000));
    let outcomes: Vec<_> = play.endings().into_iter().map(|ending| ending.outcome.as_str()).collect();
    assert_eq!(outcomes, ["reaped", "failed"]);
}

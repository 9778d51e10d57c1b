//! What the gateway answers to the conditional reap, and what that means for the worker.

use gateway_reaper::domain::ids::Instance;
use gateway_reaper::domain::table::CloseAnswer;
use gateway_reaper::reap::event::Recheck;
use gateway_reaper::reap::outcome::{Outcome, Step};

use crate::play::{Cast, Play, stands};
use crate::stage::{Manner, ms};

/// A session whose worker has a child.
fn session() -> Play {
    let mut cast = Cast::new();
    cast.session("s", 200).manner = Manner::Deaf;
    cast.actor(201, 200, "child");
    cast.begin()
}

#[test]
fn the_gateway_is_asked_and_nothing_else_is_done_before_its_answer() {
    let mut play = session();
    assert_eq!(play.done(), "take 200+201 while s is asked for, announce close of s");
    let [request] = &play.requests[..] else { panic!("one is asked: {:?}", play.requests) };
    assert_eq!((request.victim, request.gateway.as_str(), request.order.id.as_str()), (0, "gw", "s"));
    assert_eq!(request.order.instance, Some(Instance::from("run 1")));
    assert_eq!(request.within, ms(10_000));
    assert_eq!(play.deadline(), None, "the answer has its own");
    assert_eq!(play.pass(ms(60_000)).done(), "");
    assert_eq!(play.exits(200).done(), "", "and whatever its worker does");
    assert!(!play.is_over());
}

#[test]
fn a_worker_that_exits_in_time_is_not_signalled() {
    let mut cast = Cast::new();
    cast.session("s", 200);
    let mut play = cast.begin();
    play.answer(CloseAnswer::Reaped).pass(ms(9_999)).done();
    assert_eq!(play.exits(200).done(), "reaped, put 200");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps), (Outcome::Reaped, vec![Step::Close]));
    assert_eq!((ending.reclaimed_bytes, ending.note), (200, None));
}

#[test]
fn a_gateway_that_listed_a_session_again_which_it_said_it_closed_is_not_believed_again() {
    for (before, told) in
        [(0, None), (1, Some("as it said once before")), (3, Some("as it said 3 times before"))]
    {
        let mut cast = Cast::new();
        cast.session("s", 200);
        cast.closed_before("s", before);
        let mut play = cast.begin();
        play.answer(CloseAnswer::Reaped).done();
        let end = if told.is_some() { "failed, put 200" } else { "reaped, put 200" };
        assert_eq!(play.exits(200).done(), end, "its tree is gone all the same");
        let ending = play.ending();
        assert_eq!((ending.reclaimed_bytes, ending.survivors.len()), (200, 0));
        match (ending.outcome, told) {
            (Outcome::Reaped, None) => {}
            (Outcome::Failed { why }, Some(told)) => assert!(why.contains(told), "{why}"),
            (outcome, _) => panic!("{before} times before: {outcome:?}"),
        }
    }
}

#[test]
fn its_refusal_is_believed_all_the_same() {
    let mut cast = Cast::new();
    cast.session("s", 200);
    cast.closed_before("s", 1);
    let mut play = cast.begin();
    play.answer(CloseAnswer::Kept { reason: "attached".into() });
    assert_eq!(play.ending().outcome, Outcome::Kept { reason: "attached".into() });
}

/// While it is listed its worker may be its own, and is not signalled.
#[test]
fn a_gateway_that_listed_a_session_again_of_which_it_said_that_it_is_gone_is_not_believed_again() {
    for its_worker_exits in [true, false] {
        let mut cast = Cast::new();
        cast.session("s", 200);
        cast.closed_before("s", 1);
        let mut play = cast.begin();
        play.answer(CloseAnswer::Gone).done();
        let play = if its_worker_exits { play.exits(200) } else { play.pass(ms(10_000)) };
        assert_eq!(play.done(), "failed, put 200");
        let ending = play.ending();
        assert_eq!(ending.steps, [Step::Close]);
        let why = "its gateway says that it is gone, as it said once before, and listed it again each time";
        assert_eq!(ending.outcome, Outcome::Failed { why: why.into() });
        assert!(play.record.unfinished.is_empty(), "somebody else's close condemns nothing");
        assert_eq!(play.kernel.is_alive(200), !its_worker_exits);
    }
}

#[test]
fn what_is_left_alive_is_named_where_its_session_is_said_to_be_gone_in_vain() {
    for (before, left_alive) in [(0, vec![]), (1, vec![200, 201])] {
        let mut cast = Cast::new();
        cast.session("s", 200);
        cast.actor(201, 200, "child");
        cast.closed_before("s", before);
        let mut play = cast.begin();
        play.answer(CloseAnswer::Gone).pass(ms(10_000)).done();
        let survivors = play.ending().survivors;
        let left: Vec<u32> = survivors.iter().map(|left| left.process.pid.get()).collect();
        assert_eq!(left, left_alive, "{before} times before");
    }
}

#[test]
fn once_it_is_closed_a_successor_may_end_its_tree_without_asking() {
    let mut play = session();
    play.done();
    assert_eq!(play.answer(CloseAnswer::Reaped).done(), "take 200+201");
}

#[test]
fn a_worker_that_is_still_there_after_close_timeout_is_terminated() {
    let mut play = session();
    play.answer(CloseAnswer::Reaped).done();
    assert_eq!(play.pass(ms(9_999)).done(), "");
    assert_eq!(play.pass(ms(1)).done(), "announce SIGTERM 200, Term 200");
    play.pass(ms(60_000));
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps), (Outcome::Reaped, vec![Step::Close, Step::Term, Step::Kill]));
    assert_eq!(ending.reclaimed_bytes, 401);
}

#[test]
fn what_a_worker_leaves_behind_is_terminated_as_soon_as_it_is_gone() {
    let mut play = session();
    play.answer(CloseAnswer::Reaped).done();
    assert_eq!(play.exits(200).done(), "announce SIGTERM 201, Term 201, reaped, put 200");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps), (Outcome::Reaped, vec![Step::Close, Step::Term]));
}

#[test]
fn a_worker_that_was_gone_when_the_answer_came_is_not_waited_for() {
    let mut cast = Cast::new();
    cast.session("s", 200);
    let mut play = cast.begin();
    play.exits(200).done();
    assert_eq!(play.answer(CloseAnswer::Reaped).done(), "take 200, reaped, put 200");
}

#[test]
fn a_session_that_is_gone_already_is_a_success() {
    let mut cast = Cast::new();
    cast.session("s", 200);
    let mut play = cast.begin();
    play.done();
    play.answer(CloseAnswer::Gone).exits(200);
    assert_eq!(play.done(), "gone, put 200");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps, ending.note), (Outcome::Gone, vec![Step::Close], None));
}

#[test]
fn the_worker_of_a_session_that_somebody_else_closed_may_be_anybody_s_by_now() {
    let mut play = session();
    play.done();
    assert_eq!(play.answer(CloseAnswer::Gone).pass(ms(9_999)).done(), "");
    assert_eq!(play.pass(ms(1)).done(), "gone, put 200");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.reclaimed_bytes), (Outcome::Gone, 0));
    assert!(ending.survivors.is_empty(), "it is judged by itself, and isn't left over");
    assert_eq!(
        ending.note.as_deref(),
        Some("its worker is still there, and the next table says whose it is")
    );
    assert!(play.kernel.is_alive(200));
}

#[test]
fn a_no_of_the_gateway_is_the_end_and_its_reason_is_told() {
    for reason in ["attached", "instance"] {
        let mut play = session();
        play.done();
        play.answer(CloseAnswer::Kept { reason: reason.into() });
        assert_eq!(play.done(), "kept, put 200");
        assert_eq!(play.ending().outcome, Outcome::Kept { reason: reason.into() });
        assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
    }
}

/// An operator held it, or its worker began to work, while the close waited for its turn.
#[test]
fn where_its_gateway_was_not_asked_no_close_is_among_what_was_done() {
    let mut play = session();
    play.done();
    play.answer(CloseAnswer::Unasked { why: "by hand: a demo".into() });
    assert_eq!(play.done(), "kept, put 200");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps), (Outcome::Spared { why: "by hand: a demo".into() }, vec![]));
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

/// A session whose gateway gave no answer to the close.
fn unanswered() -> Play {
    let mut play = session();
    play.answer(CloseAnswer::Failed { why: "no answer".into() }).done();
    play
}

#[test]
fn without_an_answer_the_next_table_tells_and_until_then_nothing_is_done() {
    let mut play = unanswered();
    assert_eq!(play.rechecks, [0]);
    assert_eq!(play.pass(ms(60_000)).exits(201).done(), "");
}

#[test]
fn a_session_that_is_still_in_the_table_after_a_close_without_an_answer_is_a_failure_and_stays_unfinished() {
    let mut play = unanswered();
    let until = play.kernel.now;
    assert_eq!(play.recheck(stands(until)).done(), "failed");
    assert_eq!(play.failure(), "no answer");
    assert!(play.record.unfinished.contains_key(&200));
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn of_a_failed_teardown_only_what_is_there_still_is_named() {
    let mut play = unanswered();
    play.kernel.end(201);
    let until = play.kernel.now;
    play.recheck(stands(until));
    let named: Vec<_> = play.ending().survivors.iter().map(|left| left.process.pid.get()).collect();
    assert_eq!(named, [200]);
}

#[test]
fn a_session_that_is_gone_from_the_table_after_a_close_without_an_answer_is_a_success() {
    let mut play = unanswered();
    assert_eq!(play.recheck(Recheck::Gone).done(), "", "its worker has its time to exit");
    assert_eq!(play.exits(201).exits(200).done(), "gone, put 200");
    assert_eq!(play.ending().outcome, Outcome::Gone);
}

#[test]
fn a_session_that_is_attached_again_after_a_close_without_an_answer_is_kept() {
    let mut play = unanswered();
    let why = "a client is attached";
    assert_eq!(play.recheck(Recheck::Lapsed { why: why.into() }).done(), "kept, put 200");
    assert_eq!(play.ending().outcome, Outcome::Spared { why: why.into() });
    assert!(play.kernel.is_alive(200));
}

#[test]
fn a_second_answer_changes_nothing() {
    let mut play = session();
    play.answer(CloseAnswer::Kept { reason: "attached".into() }).done();
    assert_eq!(play.answer(CloseAnswer::Reaped).answer_for(7, CloseAnswer::Reaped).done(), "");
    assert_eq!(play.ending().outcome, Outcome::Kept { reason: "attached".into() });
}

#[test]
fn without_patience_a_closed_session_s_worker_is_terminated_at_once() {
    let mut cast = Cast::new();
    cast.policy.close_timeout = ms(0);
    cast.session("s", 200);
    let mut play = cast.begin();
    play.done();
    let done = "take 200, announce SIGTERM 200, Term 200, reaped, put 200";
    assert_eq!(play.answer(CloseAnswer::Reaped).done(), done);
}

#[test]
fn what_a_closed_session_s_worker_starts_on_its_way_out_is_looked_for_and_what_another_s_does_is_not() {
    for (answer, in_hand) in
        [(CloseAnswer::Reaped, "take 200+201, take 200+201+202"), (CloseAnswer::Gone, "")]
    {
        let mut cast = Cast::new();
        cast.session("s", 200).manner = Manner::Deaf;
        cast.actor(201, 200, "child");
        let late = cast.actor(202, 200, "born late").clone();
        let mut play = cast.rehearse();
        play.kernel.actors.remove(&202);
        let mut play = play.begin();
        play.done();
        play.answer(answer).kernel.actors.insert(202, late);
        assert_eq!(play.pass(ms(2)).done(), in_hand);
    }
}

//! Each act is written down before it is done; what can't be written down is not done.

use gateway_reaper::domain::table::CloseAnswer;
use gateway_reaper::reap::outcome::Step;

use crate::play::{Cast, Play};
use crate::stage::{Manner, ms};

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
    cast.session("s", 200).manner = Manner::Deaf;
    cast
}

#[test]
fn a_close_that_cannot_be_written_down_is_not_asked_for() {
    let mut play = play(session(), |play| play.record.mute = Some(Step::Close));
    assert!(play.requests.is_empty());
    assert_eq!(play.done(), "take 200 while s is asked for, failed");
    let why = play.failure();
    assert!(why.starts_with("close can't be written to the audit log, so it is not done: "), "{why}");
}

#[test]
fn a_sigterm_that_cannot_be_written_down_is_not_sent() {
    let mut play = play(worker(), |play| play.record.mute = Some(Step::Term));
    assert_eq!(play.done(), "take 200+201, failed");
    let why = play.failure();
    assert!(why.starts_with("SIGTERM can't be written to the audit log, so it is not done: "), "{why}");
}

#[test]
fn a_sigkill_that_cannot_be_written_down_is_not_sent_and_nobody_is_stopped_for_it() {
    let mut play = play(worker(), |play| play.record.mute = Some(Step::Kill));
    play.pass(ms(2_500)).done();
    assert_eq!(play.pass(ms(2_500)).done(), "take 200+201 to be stopped, failed");
    assert_eq!(play.ending().steps, [Step::Term]);
    assert!(play.kernel.is_alive(200));
}

#[test]
fn a_tree_that_cannot_be_written_down_is_not_touched() {
    let mut play = play(worker(), |play| play.record.journal_takes = 0);
    assert_eq!(play.done(), "failed");
    let why = play.failure();
    assert!(why.starts_with("its tree can't be written down, so it is not touched: "), "{why}");
}

#[test]
fn the_session_of_a_tree_that_cannot_be_written_down_is_not_closed() {
    let mut play = play(session(), |play| play.record.journal_takes = 0);
    assert!(play.requests.is_empty());
    assert_eq!(play.done(), "failed");
}

#[test]
fn the_worker_of_a_closed_session_is_not_signalled_if_its_tree_cannot_be_written_down() {
    let mut play = play(session(), |play| play.record.journal_takes = 1);
    play.done();
    assert_eq!(play.answer(CloseAnswer::Reaped).pass(ms(60_000)).done(), "failed");
    assert!(play.kernel.is_alive(200));
}

#[test]
fn a_re_parented_descendant_that_cannot_be_written_down_is_not_signalled() {
    let mut cast = Cast::new();
    cast.is_unmarkable = true;
    cast.worker(200).process.session = 200;
    cast.stray(201, "re-parented").process.session = 200;
    let mut play = play(cast, |play| play.record.journal_takes = 1);
    assert_eq!(play.done(), "take 200, announce SIGTERM 200, Term 200, failed");
    assert!(play.kernel.is_alive(201));
}

#[test]
fn what_is_stopped_is_let_go_where_the_rest_of_the_tree_cannot_be_written_down() {
    let mut cast = worker();
    let late = cast.actor(201, 200, "born late").clone();
    let mut play = play(cast, |play| {
        // When it is begun, and when its members are to be stopped.
        play.record.journal_takes = 2;
        play.kernel.actors.remove(&201);
        play.kernel.unborn.insert(201, late);
    });
    play.pass(ms(4_999)).done();
    play.kernel.actors.get_mut(&200).unwrap().forks = Some(201);
    let done = "take 200 to be stopped, announce SIGKILL 200, Stop 200, Continue 200, failed";
    assert_eq!(play.pass(ms(1)).done(), done);
    assert!(play.failure().starts_with("its tree can't be written down, so it is not touched: "));
    assert!(play.record.unfinished.contains_key(&200), "the next run goes on with it");
}

#[test]
fn what_is_stopped_is_let_go_where_the_kill_of_another_cannot_be_written_down() {
    let mut cast = worker();
    for raw in [201, 202] {
        cast.actor(raw, 200, "child").manner = Manner::Deaf;
    }
    let mut play = play(cast, |_| {});
    play.pass(ms(4_999)).done();
    play.record.kills = 2;
    let done = play.pass(ms(1)).done();
    assert!(done.ends_with("Stop 201, Continue 200, Continue 201, failed"), "{done}");
    assert!([200, 201, 202].iter().all(|raw| play.kernel.is_alive(*raw)));
}

#[test]
fn a_session_without_a_worker_leaves_nothing_in_hand() {
    let mut cast = session();
    cast.worker(300);
    let mut play = play(cast, |play| play.kernel.end(200));
    play.answer(CloseAnswer::Reaped);
    assert_eq!(
        play.done(),
        "announce close of s, take 300, announce SIGTERM 300, Term 300, reaped, reaped, put 300"
    );
}

//! SIGTERM, patience, SIGKILL, patience: who gets what, and when.

use gateway_reaper::reap::outcome::{Outcome, Step};

use crate::play::Cast;
use crate::stage::{Manner, ms};

#[test]
fn the_worker_is_asked_first_and_the_rest_once_it_is_gone() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.actor(201, 200, "child");
    cast.actor(202, 201, "grandchild");
    let mut play = cast.begin();
    assert_eq!(
        play.done(),
        "take 200+201+202, announce SIGTERM 200, Term 200, \
         announce SIGTERM 201, Term 201, announce SIGTERM 202, Term 202, reaped, put 200"
    );
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps), (Outcome::Reaped, vec![Step::Term]));
    assert_eq!(ending.reclaimed_bytes, 603);
}

#[test]
fn the_rest_is_asked_when_half_of_the_patience_with_the_worker_is_over() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child");
    let mut play = cast.begin();
    assert_eq!(play.done(), "take 200+201, announce SIGTERM 200, Term 200");
    assert_eq!(play.pass(ms(2_499)).done(), "");
    assert_eq!(play.pass(ms(1)).done(), "announce SIGTERM 201, Term 201");
    assert_eq!(play.pass(ms(2_499)).done(), "");
    assert_eq!(
        play.pass(ms(1)).done(),
        "take 200+201 to be stopped, announce SIGKILL 200, Stop 200, Kill 200, reaped, put 200"
    );
    assert_eq!(play.ending().steps, [Step::Term, Step::Kill]);
}

#[test]
fn a_worker_that_goes_late_leaves_the_rest_what_is_left_of_the_patience() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    let mut play = cast.begin();
    play.pass(ms(1_000)).done();
    assert_eq!(play.exits(200).done(), "announce SIGTERM 201, Term 201");
    assert_eq!(play.pass(ms(3_999)).done(), "");
    let kill = "take 200+201 to be stopped, announce SIGKILL 201, Stop 201, Kill 201, reaped, put 200";
    assert_eq!(play.pass(ms(1)).done(), kill);
}

#[test]
fn all_are_stopped_before_any_is_killed_and_what_was_forked_meanwhile_is_found() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    let late = cast.actor(202, 201, "born late").clone();
    let mut play = cast.rehearse();
    play.kernel.actors.remove(&202);
    play.kernel.unborn.insert(202, late);
    let mut play = play.begin();
    play.pass(ms(4_999)).done();
    play.kernel.actors.get_mut(&201).unwrap().forks = Some(202);
    play.pass(ms(1));
    let done = play.done();
    assert_eq!(
        done,
        "take 200+201 to be stopped, announce SIGKILL 200, Stop 200, announce SIGKILL 201, Stop 201, \
         take 200+201+202 to be stopped, announce SIGKILL 202, Stop 202, Kill 200, Kill 201, Kill 202, reaped, put 200"
    );
}

#[test]
fn a_process_that_is_found_between_the_signals_is_written_down_before_it_gets_one() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child");
    let late = cast.actor(202, 201, "born late").clone();
    let mut play = cast.rehearse();
    play.kernel.actors.remove(&202);
    let mut play = play.begin();
    play.pass(ms(2_499)).done();
    play.kernel.actors.insert(202, late);
    let done = play.pass(ms(1)).done();
    assert!(
        done.starts_with("take 200+201+202, announce SIGTERM 201, Term 201, announce SIGTERM 202"),
        "{done}"
    );
}

#[test]
fn what_outlives_sigkill_is_told_and_stays_in_hand() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Stuck;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    let mut play = cast.begin();
    play.pass(ms(5_000)).done();
    assert_eq!(play.pass(ms(4_999)).done(), "");
    assert_eq!(play.pass(ms(1)).done(), "failed");
    let ending = play.ending();
    assert_eq!(
        ending.outcome,
        Outcome::Failed { why: "still there after SIGKILL: 200 (started at tick 200)".into() }
    );
    assert_eq!(ending.reclaimed_bytes, 201, "the child went");
    assert_eq!(ending.survivors.iter().map(|left| left.process.pid.get()).collect::<Vec<_>>(), [200]);
    assert!(play.record.unfinished.contains_key(&200));
}

#[test]
fn what_went_without_a_word_is_not_named_among_what_is_left() {
    let mut cast = Cast::new();
    for (raw, parent) in [(201, 200), (202, 200)] {
        cast.actor(raw, parent, "child").manner = Manner::Stuck;
    }
    cast.worker(200).manner = Manner::Stuck;
    let mut play = cast.begin();
    play.pass(ms(9_999)).done();
    play.kernel.end(202);
    play.pass(ms(1)).done();
    let ending = play.ending();
    assert_eq!(ending.survivors.iter().map(|left| left.process.pid.get()).collect::<Vec<_>>(), [200, 201]);
}

#[test]
fn each_victim_is_looked_at_again_by_its_own_warrant() {
    let mut cast = Cast::new();
    for raw in [200, 300] {
        cast.worker(raw).manner = Manner::Deaf;
    }
    let play = cast.begin();
    assert_eq!([0, 1, 2].map(|victim| play.condemned(victim)), [Some(200), Some(300), None]);
}

#[test]
fn who_dies_of_sigkill_late_is_reaped_all_the_same() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Stuck;
    let mut play = cast.begin();
    play.pass(ms(9_999)).exits(200);
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

#[test]
fn without_patience_sigkill_follows_at_once() {
    let mut cast = Cast::new();
    cast.policy.term_timeout = ms(0);
    cast.worker(200).manner = Manner::Deaf;
    let mut play = cast.begin();
    assert_eq!(
        play.done(),
        "take 200, announce SIGTERM 200, Term 200, take 200 to be stopped, announce SIGKILL 200, Stop 200, \
         Kill 200, reaped, put 200"
    );
}

#[test]
fn a_hundred_stubborn_ones_take_as_long_as_one() {
    let mut cast = Cast::new();
    for index in 0..100 {
        let (worker, child) = (1_000 + index * 2, 1_001 + index * 2);
        cast.worker(worker).manner = Manner::Deaf;
        cast.actor(child, worker, "child").manner = Manner::Deaf;
    }
    let mut play = cast.begin();
    let from = play.kernel.now;
    while let Some(deadline) = play.deadline() {
        let span = deadline.since(play.kernel.now);
        play.pass(span);
    }
    assert_eq!(play.kernel.now.since(from), ms(5_000));
    assert_eq!(play.kernel.searched, 0, "none leads anything, so nobody is looked for");
    assert!(play.endings().iter().all(|ending| ending.outcome == Outcome::Reaped));
}

#[test]
fn who_is_gone_already_is_a_success_and_nothing_is_done() {
    let mut cast = Cast::new();
    cast.worker(200);
    let mut play = cast.rehearse();
    play.kernel.end(200);
    let mut play = play.begin();
    assert_eq!(play.done(), "gone");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.steps, ending.reclaimed_bytes), (Outcome::Gone, vec![], 0));
}

#[test]
fn a_pid_that_another_process_has_by_now_is_not_signalled() {
    let mut cast = Cast::new();
    cast.worker(200);
    let mut play = cast.rehearse();
    play.kernel.actors.get_mut(&200).unwrap().process.identity.start_ticks += 1;
    let mut play = play.begin();
    assert_eq!(play.done(), "gone");
    assert!(play.kernel.is_alive(200));
}

#[test]
fn what_is_still_there_is_waited_for() {
    let mut cast = Cast::new();
    for worker in [200, 300] {
        cast.worker(worker).manner = Manner::Deaf;
        cast.actor(worker + 1, worker, "child").manner = Manner::Deaf;
    }
    let mut play = cast.begin();
    assert_eq!(play.waited_for(0), [vec![200, 201, 300, 301], vec![200, 201]]);
    play.exits(301);
    assert_eq!(play.waited_for(1), [vec![200, 201, 300], vec![300]]);
    assert!(!play.is_over());
    play.exits(200).exits(201).exits(300);
    assert_eq!(play.waited_for(0), [vec![], Vec::<u32>::new()]);
    assert!(play.is_over());
}

#[test]
fn a_dying_worker_is_looked_at_after_2_ms_and_then_after_as_long_again_or_thrice_that_where_it_is_marked() {
    let looks = |free_marks| {
        let mut cast = Cast::new();
        cast.worker(200).manner = Manner::Deaf;
        let mut play = cast.rehearse();
        play.kernel.free_marks = free_marks;
        let mut play = play.begin();
        let from = play.kernel.now;
        let looks = (0..5).map(|_| {
            let next = play.deadline().unwrap();
            play.pass(next.since(play.kernel.now));
            next.since(from).as_micros()
        });
        looks.collect::<Vec<_>>()
    };
    assert_eq!(looks(0), [2_000, 4_000, 8_000, 16_000, 32_000]);
    assert_eq!(looks(1), [2_000, 8_000, 32_000, 128_000, 512_000]);
}

#[test]
fn patience_runs_from_the_signal_and_not_from_the_writing_of_its_line() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    let mut play = cast.rehearse();
    play.record.takes = ms(900);
    let mut play = play.begin();
    assert_eq!(play.done(), "take 200, announce SIGTERM 200, Term 200");
    assert_eq!(
        play.pass(ms(5_000) + ms(899)).done(),
        "",
        "the line took 900 ms, and nothing of the patience"
    );
    assert!(play.pass(ms(1)).done().contains("Kill 200"));
}

#[test]
fn what_workers_share_is_counted_once_because_all_are_measured_before_the_first_signal() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.worker(300);
    let mut play = cast.rehearse();
    // The share of the second grows when the first is gone.
    play.kernel.shares = Some((200, 300));
    let play = &mut play.begin();
    assert_eq!(play.endings().iter().map(|ending| ending.reclaimed_bytes).sum::<u64>(), 500);
}

#[test]
fn what_the_writing_of_the_rests_lines_takes_is_not_taken_from_their_patience() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    let mut play = cast.begin();
    play.pass(ms(2_499)).done();
    play.record.takes = ms(300);
    assert_eq!(play.pass(ms(1)).done(), "announce SIGTERM 201, Term 201");
    play.record.takes = ms(0);
    assert_eq!(play.pass(ms(2_500) + ms(299)).done(), "");
    assert!(play.pass(ms(1)).done().contains("Kill 200"));
}

#[test]
fn what_is_about_to_be_killed_is_listed_twice_and_not_more_often_while_nothing_is_found() {
    // What a childless worker starts as it is stopped bears its mark, if it has one.
    for (has_child, free_marks, listed) in [(true, u16::MAX, 4), (false, 0, 2), (false, u16::MAX, 1)] {
        let mut cast = Cast::new();
        cast.worker(200).manner = Manner::Deaf;
        if has_child {
            cast.actor(201, 200, "child").manner = Manner::Deaf;
        }
        let mut play = cast.rehearse();
        play.kernel.free_marks = free_marks;
        let mut play = play.begin();
        play.pass(ms(4_999));
        let before = play.kernel.listed;
        play.pass(ms(1));
        assert_eq!(play.kernel.listed - before, listed, "{has_child} {free_marks}");
        assert_eq!(play.ending().outcome, Outcome::Reaped);
    }
}

#[test]
fn a_child_that_the_first_listing_of_what_is_stopped_misses_is_found_by_the_second() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    let late = cast.actor(201, 200, "born late").clone();
    let mut play = cast.rehearse();
    play.kernel.actors.remove(&201);
    let mut play = play.begin();
    play.pass(ms(4_999)).done();
    play.kernel.actors.insert(201, late);
    play.kernel.overlooked.insert(200, 1);
    assert!(play.pass(ms(1)).done().ends_with("Kill 200, Kill 201, reaped, put 200"));
}

#[test]
fn what_is_stopped_is_listed_until_nothing_new_is_found() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    let late = [(201, 200), (202, 201)].map(|(raw, parent)| cast.actor(raw, parent, "born late").clone());
    let mut play = cast.rehearse();
    play.kernel.actors.retain(|raw, _| *raw < 201);
    let mut play = play.begin();
    play.pass(ms(4_999)).done();
    play.kernel.actors.extend([201, 202].into_iter().zip(late));
    // The first is found by the second listing, and its child, which that misses, by a third.
    play.kernel.overlooked.extend([(200, 1), (201, 1)]);
    assert!(play.pass(ms(1)).done().ends_with("Kill 200, Kill 201, Kill 202, reaped, put 200"));
}

#[test]
fn what_comes_back_is_a_process_s_share_and_not_what_is_resident() {
    let mut cast = Cast::new();
    cast.worker(200);
    let mut play = cast.rehearse();
    // Its share is twice what is resident, so that it can be told from that.
    play.kernel.shares = Some((999, 200));
    assert_eq!(play.begin().ending().reclaimed_bytes, 400);
}

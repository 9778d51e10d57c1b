//! Who belongs to the tree, and who doesn't although it looks like it.

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::table::CloseAnswer;
use gateway_reaper::domain::time::Awake;
use gateway_reaper::reap::event::Recheck;
use gateway_reaper::reap::kernel::{Mark, Signal};
use gateway_reaper::reap::outcome::{Outcome, Step};

use crate::play::{Cast, GATEWAY, Play, stands};
use crate::stage::{Manner, ms, pid};

#[test]
fn what_is_protected_is_pruned_with_all_that_is_under_it() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.actor(201, 200, "another user's").process.uid = 0;
    cast.actor(202, 201, "under it");
    cast.actor(203, 200, "child");
    cast.actor(204, 200, "a kernel thread").process.kernel = true;
    let mut play = cast.rehearse();
    // The reaper was started by the worker, in the moment before.
    play.kernel.actors.get_mut(&80).unwrap().process.parent = Pid::new(200);
    let mut play = play.begin();
    assert_eq!(
        play.done(),
        "take 200+203, announce SIGTERM 200, Term 200, announce SIGTERM 203, Term 203, reaped, put 200"
    );
    let survivors: Vec<u32> =
        play.ending().survivors.iter().map(|survivor| survivor.process.pid.get()).collect();
    assert_eq!(survivors, [80, 201, 204], "what was seen below it and lives on is named");
    for spared in [80, 90, 201, 202, 204, GATEWAY, 1] {
        assert!(play.kernel.is_alive(spared), "{spared}");
    }
}

#[test]
fn a_worker_that_became_something_else_is_left_alone_and_told_of() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.actor(201, 200, "child");
    let mut play = cast.rehearse();
    play.kernel.actors.get_mut(&200).unwrap().process.argv = Some("vi notes".into());
    let mut play = play.begin();
    assert_eq!(play.done(), "kept");
    let why = "process 200 is named as its worker but doesn't match worker.match";
    let ending = play.ending();
    assert_eq!(ending.outcome, Outcome::Spared { why: why.into() });
    assert_eq!(ending.survivors.len(), 0, "nothing was done that could have ended them");
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn what_an_earlier_run_had_in_hand_is_ended_without_its_worker() {
    let mut cast = Cast::new();
    cast.actor(201, 1, "child");
    cast.actor(202, 201, "grandchild");
    cast.actor(203, 1, "another child").manner = Manner::Deaf;
    cast.left_unfinished(200, &[201, 203]);
    let mut play = cast.begin();
    assert_eq!(
        play.done(),
        "take 201+203+202, announce SIGTERM 201, Term 201, announce SIGTERM 203, Term 203, announce SIGTERM 202, Term 202"
    );
    assert_eq!(
        play.pass(ms(5_000)).done(),
        "take 201+203+202 to be stopped, announce SIGKILL 203, Stop 203, Kill 203, reaped, put 200"
    );
}

#[test]
fn a_child_that_came_after_the_first_signal_goes_with_the_rest() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    let late = cast.actor(202, 200, "born late").clone();
    let mut play = cast.rehearse();
    play.kernel.actors.remove(&202);
    play.kernel.unborn.insert(202, late);
    play.kernel.actors.get_mut(&200).unwrap().forks = Some(202);
    let mut play = play.begin();
    assert_eq!(play.done(), "take 200+201, announce SIGTERM 200, Term 200");
    let done = "take 200+201+202, announce SIGTERM 201, Term 201, announce SIGTERM 202, Term 202";
    assert_eq!(play.pass(ms(2_500)).done(), done);
}

/// A worker that can't be marked and leads a session; its child 201 is in it and lost its way to it.
fn leader() -> Cast {
    let mut cast = Cast::new();
    cast.is_unmarkable = true;
    let worker = cast.worker(200);
    (worker.process.session, worker.process.group) = (200, 200);
    let child = cast.stray(201, "a daemon's child");
    (child.process.session, child.process.group) = (200, 200);
    cast
}

#[test]
fn what_lost_its_way_to_the_tree_is_found_by_the_session_that_the_tree_led() {
    let mut play = leader().begin();
    assert_eq!(
        play.done(),
        "take 200, announce SIGTERM 200, Term 200, \
         take 200+201, announce SIGTERM 201, Term 201, reaped, put 200"
    );
    assert_eq!(play.ending().steps, [Step::Term]);
    assert_eq!(play.kernel.searched, 2, "until nothing more is found");
}

#[test]
fn what_lost_its_way_to_the_tree_is_found_by_the_process_group_too() {
    let mut cast = leader();
    cast.stray(202, "only its group").process.group = 200;
    cast.stray(203, "only its session").process.session = 200;
    let mut play = cast.begin();
    assert!(play.done().ends_with(
        "Term 201, announce SIGTERM 202, Term 202, announce SIGTERM 203, Term 203, reaped, put 200"
    ));
}

/// No look ever saw it below the tree: a job that was started in a terminal of the session's, say, whose shell has gone.
#[test]
fn what_is_older_than_the_first_act_and_only_shares_a_session_is_let_be_and_named() {
    let mut cast = leader();
    cast.actor(202, 1, "a job").process.session = 200;
    // It names the key of the worker, so that was started for it.
    cast.actor(203, 1, "language-server --of 200").process.session = 200;
    let mut play = cast.begin();
    assert!(!play.kernel.is_alive(201) && play.kernel.is_alive(202) && !play.kernel.is_alive(203));
    let left: Vec<_> =
        play.ending().survivors.iter().map(|left| (left.process.pid, left.why.clone())).collect();
    let why = "it shares a process session or group with its worker, below which it was never seen";
    assert_eq!(left, [(pid(202), why.into())]);
}

/// Which of these live, and which the report names as survivors.
fn live_and_named(play: &mut Play, those: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let alive = those.iter().copied().filter(|raw| play.kernel.is_alive(*raw)).collect();
    (alive, play.ending().survivors.iter().map(|left| left.process.pid.get()).collect())
}

/// A job left its worker before any look, and works on in the worker's session: one step after another.
#[test]
fn what_a_living_process_has_started_that_is_not_of_the_tree_is_let_be_with_it_and_named() {
    for is_unmarkable in [false, true] {
        let mut cast = leader();
        cast.is_unmarkable = is_unmarkable;
        cast.actors.remove(&201);
        cast.actor(202, 1, "a job").process.session = 200;
        for (step, of) in [(301, 202), (302, 301)] {
            let process = &mut cast.stray(step, "a step").process;
            (process.parent, process.session) = (Pid::new(of), 200);
        }
        let mut play = cast.begin();
        assert_eq!(live_and_named(&mut play, &[202, 301, 302]), (vec![202, 301, 302], vec![202, 301, 302]));
    }
}

/// A gateway that keeps its workers in one process group, led by the first, starts another one while that is ended.
#[test]
fn what_the_gateway_starts_in_the_group_that_the_tree_led_is_let_be_and_named() {
    for is_unmarkable in [false, true] {
        let mut cast = leader();
        cast.is_unmarkable = is_unmarkable;
        cast.actors.remove(&201);
        let process = &mut cast.stray(301, "worker 200").process;
        (process.parent, process.group) = (Pid::new(GATEWAY.into()), 200);
        let started = cast.actors.remove(&301).unwrap();
        let mut play = cast.rehearse();
        play.kernel.actors.insert(301, started);
        let mut play = play.begin();
        assert_eq!(live_and_named(&mut play, &[301]), (vec![301], vec![301]), "{is_unmarkable}");
    }
}

#[test]
fn where_all_of_a_tree_is_marked_a_session_says_nothing_of_what_bears_no_mark() {
    let mut cast = leader();
    cast.is_unmarkable = false;
    cast.stray(202, "a daemon").process.session = 200;
    let mut play = cast.rehearse();
    play.kernel.actors.get_mut(&202).unwrap().mark = Some(Mark(1));
    let mut play = play.begin();
    assert_eq!(live_and_named(&mut play, &[201, 202]), (vec![201], vec![201]));
}

/// It is the first process of a container.
#[test]
fn what_a_gateway_has_adopted_is_told_from_what_it_started_by_its_session() {
    let mut cast = leader();
    for raw in [201, 202] {
        cast.stray(raw, "below the gateway").process.parent = Pid::new(GATEWAY.into());
    }
    cast.actors.get_mut(&201).unwrap().process.session = 200;
    cast.actors.get_mut(&202).unwrap().process.group = 200;
    let mut play = cast.begin();
    assert_eq!(live_and_named(&mut play, &[201, 202]), (vec![202], vec![202]));
}

/// A service, say, with a `coredump_filter` of its own.
#[test]
fn what_bears_the_mark_of_the_tree_by_chance_below_a_process_that_has_none_is_let_be() {
    for (above, lives) in [("cron", true), ("systemd", false)] {
        let mut cast = Cast::new();
        cast.worker(200);
        cast.actor(300, 1, "above").process.comm = above.into();
        cast.stray(301, "a service").process.parent = Pid::new(300);
        cast.stray(302, "below it").process.parent = Pid::new(301);
        let mut play = cast.rehearse();
        for raw in [301, 302] {
            play.kernel.actors.get_mut(&raw).unwrap().mark = Some(Mark(1));
        }
        let mut play = play.begin();
        let left = if lives { vec![301, 302] } else { vec![] };
        assert_eq!(live_and_named(&mut play, &[301, 302]), (left.clone(), left), "{above}");
    }
}

/// A subreaper whose name says nothing, of what is left below it.
#[test]
fn what_bears_the_mark_below_a_process_that_the_worker_was_below_is_the_trees() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.actor(300, 1, "supervise").process.comm = "supervise".into();
    cast.actors.get_mut(&GATEWAY).unwrap().process.parent = Pid::new(300);
    cast.stray(301, "a daemon").process.parent = Pid::new(300);
    let mut play = cast.rehearse();
    play.kernel.actors.get_mut(&301).unwrap().mark = Some(Mark(1));
    let mut play = play.begin();
    assert_eq!(live_and_named(&mut play, &[301]), (vec![], vec![]));
}

#[test]
fn that_a_row_names_init_says_nothing_of_what_init_has_adopted() {
    let mut cast = leader();
    cast.session("live", 300);
    cast.attach_last();
    cast.name_in_last(1);
    let play = cast.begin();
    assert!(!play.kernel.is_alive(200) && !play.kernel.is_alive(201));
}

#[test]
fn a_re_parented_descendant_that_is_protected_stays() {
    let mut cast = leader();
    let descendant = cast.stray(201, "another user's");
    (descendant.process.session, descendant.process.uid) = (200, 0);
    let mut play = cast.begin();
    assert_eq!(play.done(), "take 200, announce SIGTERM 200, Term 200, reaped, put 200");
    assert!(play.kernel.is_alive(201));
}

#[test]
fn a_leader_s_number_that_is_in_use_again_leads_another_family() {
    let mut play = leader().rehearse();
    let mut heir = play.kernel.actors[&200].clone();
    heir.process.identity.start_ticks = 9_999;
    play.kernel.heirs.insert(200, heir);
    let mut play = play.begin();
    assert_eq!(play.done(), "take 200, announce SIGTERM 200, Term 200, reaped, put 200");
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn a_leader_s_number_whose_new_holder_is_gone_too_leads_another_family() {
    let mut play = leader().rehearse();
    play.kernel.ticks = 200;
    let mut play = play.begin();
    assert_eq!(play.done(), "take 200, announce SIGTERM 200, Term 200, reaped, put 200");
    assert!(play.kernel.is_alive(201), "it was started at tick 201, after the worker was gone");
}

/// A worker that leads a session, with its child 203 in it, neither of which ends when told to; and 205, which lost its way to them.
fn in_one_session() -> Play {
    let mut cast = Cast::new();
    cast.is_unmarkable = true;
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(203, 200, "child").manner = Manner::Deaf;
    cast.actor(205, 1, "started at tick 205");
    for raw in [200, 203, 205] {
        let process = &mut cast.actors.get_mut(&raw).unwrap().process;
        (process.session, process.group) = (200, 200);
    }
    let mut play = cast.rehearse();
    play.kernel.ticks = 203;
    let mut play = play.begin();
    // The child has just begun.
    play.recheck(stands(Awake::from_nanos(u64::MAX)));
    play
}

/// The worker crashes at tick 204, its child is ended at tick 300.
fn ended_one_after_the_other(play: &mut Play) {
    play.pass(ms(2_500)).kernel.ticks = 204;
    play.exits(200).kernel.ticks = 300;
    play.pass(ms(2_500));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
    assert!(!play.kernel.is_alive(203));
}

#[test]
fn a_dead_leader_s_number_is_its_family_s_for_as_long_as_one_is_there() {
    let mut play = in_one_session();
    ended_one_after_the_other(&mut play);
    assert!(!play.kernel.is_alive(205), "203 was in the session when it was started");
}

#[test]
fn a_dead_leader_s_number_is_not_its_family_s_once_the_last_known_member_left_it() {
    let mut play = in_one_session();
    let left = &mut play.kernel.actors.get_mut(&203).unwrap().process;
    (left.session, left.group) = (203, 203);
    ended_one_after_the_other(&mut play);
    assert!(play.kernel.is_alive(205), "nobody known was in the session when it was started");
}

#[test]
fn for_a_worker_that_leads_no_group_nothing_is_searched() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.actor(201, 1, "of the gateway's group, like the worker");
    let mut play = cast.begin();
    assert_eq!(play.ending().outcome, Outcome::Reaped);
    assert!(play.kernel.is_alive(201));
    assert_eq!(play.kernel.searched, 0);
}

#[test]
fn a_tree_that_grows_faster_than_it_can_be_ended_is_told() {
    let mut cast = leader();
    for raw in 201..220 {
        let heir = cast.stray(raw, "heir");
        (heir.process.session, heir.forks) = (200, Some(raw + 1));
    }
    let mut play = cast.rehearse();
    for raw in 202..220 {
        let heir = play.kernel.actors.remove(&raw).unwrap();
        play.kernel.unborn.insert(raw, heir);
    }
    let mut play = play.begin();
    assert_eq!(play.failure(), "its tree grows faster than it can be ended");
    assert!(play.record.unfinished.contains_key(&200));
    assert!(!play.kernel.is_alive(205) && play.kernel.is_alive(206), "after five rounds");
    let members = play.record.unfinished[&200].members.iter().map(|member| member.pid.get());
    assert!(members.into_iter().any(|raw| raw == 206), "the next run knows the last one, too");
}

#[test]
fn what_starts_something_new_at_each_sigterm_is_killed_without_one_in_the_end() {
    let mut cast = leader();
    for raw in 201..220 {
        let heir = cast.stray(raw, "heir");
        (heir.process.session, heir.forks) = (200, Some(raw + 1));
    }
    let mut play = cast.rehearse();
    play.kernel.forks_at = |signal| signal == Signal::Term;
    for raw in 202..220 {
        let heir = play.kernel.actors.remove(&raw).unwrap();
        play.kernel.unborn.insert(raw, heir);
    }
    let mut play = play.begin();
    assert!(play.done().ends_with("announce SIGKILL 205, Stop 205, Kill 205, reaped, put 200"));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

/// What a worker's wrapper runs is a worker by its argv, too. As it ends it starts a daemon, which is its fork until it executes.
#[test]
fn a_fork_of_any_member_goes_with_its_tree_and_a_worker_of_its_own_does_not() {
    let with_daemon = |argv: &str| {
        let mut cast = Cast::new();
        cast.worker(200);
        cast.actor(201, 200, "worker inner").forks = Some(301);
        cast.stray(301, "not there yet");
        let mut play = cast.rehearse();
        play.kernel.free_marks = 9;
        let mut daemon = play.kernel.actors.remove(&301).unwrap();
        daemon.process.argv = Some(argv.into());
        play.kernel.unborn.insert(301, daemon);
        let mut play = play.begin();
        assert_eq!(play.ending().outcome, Outcome::Reaped);
        play.kernel.is_alive(301)
    };
    assert!(!with_daemon("worker inner"));
    assert!(with_daemon("worker another"), "it is judged by itself");
}

#[test]
fn what_a_member_that_changed_starts_in_the_session_that_the_tree_led_is_let_be_with_it() {
    let mut cast = leader();
    cast.actors.remove(&201);
    cast.actors.get_mut(&200).unwrap().manner = Manner::Deaf;
    cast.actor(202, 200, "helper").process.session = 200;
    let mut started = cast.stray(301, "its child").clone();
    (started.process.parent, started.process.session) = (Pid::new(202), 200);
    cast.actors.remove(&301);
    let mut play = cast.begin();
    play.kernel.actors.get_mut(&202).unwrap().process.argv = Some("worker x".into());
    play.pass(ms(2_500));
    play.kernel.actors.insert(301, started);
    play.pass(ms(10_000));
    assert!(!play.kernel.is_alive(200) && play.kernel.is_alive(202) && play.kernel.is_alive(301));
}

#[test]
fn what_begins_in_a_dying_tree_with_the_mark_of_another_session_is_looked_at_before_it_is_signalled() {
    let mut cast = Cast::new();
    let worker = cast.worker(200);
    (worker.process.session, worker.forks) = (200, Some(301));
    cast.actor(201, 200, "helper");
    let mut other = cast.stray(301, "sleep 600").clone();
    other.process.session = 200;
    cast.actors.remove(&301);
    let mut play = cast.rehearse();
    play.keeps_questions = true;
    play.kernel.sessions = Some([(200, "a"), (201, "a"), (301, "b")].into());
    play.kernel.unborn.insert(301, other);
    let mut play = play.begin();
    assert_eq!((&play.rechecks[..], play.left_of_closed.last()), (&[0][..], Some(&vec![301])));
    let why = "process 301 is of session \"b\" by now".into();
    play.recheck(Recheck::Lapsed { why });
    assert!(!play.kernel.is_alive(201) && play.kernel.is_alive(301));
}

/// Without a key in it all workers have one argv.
#[test]
fn where_an_argv_says_not_whose_it_is_what_looks_like_a_fork_is_looked_at_before_it_is_signalled() {
    let mut cast = Cast::new();
    cast.worker_match = "worker";
    cast.worker(200).forks = Some(301);
    cast.stray(301, "not there yet");
    let mut play = cast.rehearse();
    play.keeps_questions = true;
    let mut other = play.kernel.actors.remove(&301).unwrap();
    other.process.argv = Some("worker 200".into());
    play.kernel.unborn.insert(301, other);
    let mut play = play.begin();
    assert_eq!((&play.rechecks[..], &play.left_of_closed[..]), (&[0][..], &[vec![301]][..]));
    let why = "process 301 is of session \"b\" by now".into();
    play.recheck(Recheck::Lapsed { why });
    assert!(play.kernel.is_alive(301));
}

#[test]
fn who_shares_a_mark_with_a_tree_of_which_something_lives_on_gets_another() {
    let mut cast = Cast::new();
    cast.session("s", 200);
    cast.session("t", 300).manner = Manner::Deaf;
    cast.actor(301, 1, "daemon");
    let mut play = cast.rehearse();
    (play.kernel.free_marks, play.kernel.sharing) = (9, 2);
    let mut play = play.begin();
    assert_eq!((mark_of(&play, 200), mark_of(&play, 300)), (Some(1), Some(1)));
    play.answer_for(0, CloseAnswer::Kept { reason: "attached".into() });
    assert_eq!((mark_of(&play, 200), mark_of(&play, 300)), (Some(0), Some(2)));
    play.kernel.actors.get_mut(&301).unwrap().mark = Some(Mark(2));
    play.answer_for(1, CloseAnswer::Reaped).pass(ms(60_000));
    assert!(play.kernel.is_alive(200) && !play.kernel.is_alive(301), "what it starts is found");
}

#[test]
fn re_parented_descendants_of_all_are_searched_for_together_when_the_last_is_through() {
    let mut cast = leader();
    let deaf = cast.worker(300);
    (deaf.process.session, deaf.manner) = (300, Manner::Deaf);
    let mut play = cast.begin();
    assert_eq!(play.kernel.searched, 0, "the other one is still there");
    play.pass(ms(5_000));
    assert_eq!(play.kernel.searched, 2);
    assert!(play.endings().iter().all(|ending| ending.outcome == Outcome::Reaped));
    assert!(!play.kernel.is_alive(201));
}

/// The children of a process are listed while they come and go, so a list may lack one that was there all the time.
#[test]
fn a_child_that_one_listing_misses_is_found_by_the_next() {
    let mut cast = Cast::new();
    for raw in 200..205 {
        cast.worker(raw).process.parent =
            Pid::new(if raw == 200 { GATEWAY.into() } else { u64::from(raw) - 1 });
    }
    let mut play = cast.rehearse();
    play.kernel.overlooked.extend((200..205).map(|raw| (raw, 1)));
    assert!(play.begin().done().starts_with("take 200+201+202+203+204, "));
}

#[test]
fn a_remnant_that_became_another_users_is_left_alone() {
    let mut cast = Cast::new();
    cast.actor(201, 1, "child");
    cast.left_unfinished(200, &[201]);
    let mut play = cast.rehearse();
    play.kernel.actors.get_mut(&201).unwrap().process.uid = 0;
    assert_eq!(play.begin().done(), "gone");
}

#[test]
fn who_was_listed_as_a_child_and_has_another_parent_by_then_is_left_alone() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.worker(300);
    cast.actor(301, 300, "of another tree");
    let mut play = cast.rehearse();
    play.kernel.mislisted.insert(200, 301);
    assert!(play.begin().done().starts_with("take 200, "));
}

#[test]
fn the_children_of_what_has_a_dead_workers_number_by_now_are_not_its_own() {
    let mut cast = Cast::new();
    cast.worker(200);
    let child = cast.actor(301, 200, "of what is 200 by now").clone();
    let mut play = cast.rehearse();
    play.kernel.actors.remove(&301);
    let mut heir = play.kernel.actors[&200].clone();
    heir.process.identity.start_ticks = 9_999;
    play.kernel.heirs.insert(200, heir);
    play.kernel.outlived.insert(200, child);
    let mut play = play.begin();
    assert_eq!(play.done(), "take 200, gone, put 200");
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(301));
}

#[test]
fn a_child_that_is_held_is_looked_at_once_however_often_it_is_listed() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    let mut play = cast.begin();
    play.pass(ms(60_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
    assert_eq!(play.kernel.looked, 1);
}

#[test]
fn a_child_that_has_the_number_of_a_dead_one_is_ended_like_any_other() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    let mut heir = cast.actor(201, 200, "child").clone();
    heir.process.identity.start_ticks = 9_999;
    let mut play = cast.begin();
    play.kernel.heirs.insert(201, heir);
    play.exits(201).done();
    assert_eq!(play.pass(ms(2_500)).done(), "take 200+201+201, announce SIGTERM 201, Term 201");
}

#[test]
fn a_tree_that_does_not_grow_is_listed_twice_before_it_is_touched() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    assert_eq!(cast.begin().kernel.listed, 4);
}

#[test]
fn a_worker_that_has_no_children_for_certain_is_listed_once() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    assert_eq!(cast.begin().kernel.listed, 1);
}

#[test]
fn a_worker_among_its_own_remnants_is_ended_once() {
    let mut cast = Cast::new();
    cast.actor(200, 1, "worker 200");
    cast.actor(201, 1, "child");
    cast.left_unfinished(200, &[200, 201]);
    let done =
        "take 200+201, announce SIGTERM 200, Term 200, announce SIGTERM 201, Term 201, reaped, put 200";
    assert_eq!(cast.begin().done(), done);
}

#[test]
fn a_group_s_number_in_use_again_condemns_no_process_of_the_gateway_s_session() {
    let mut cast = Cast::new();
    let worker = cast.worker(200);
    (worker.process.group, worker.manner) = (200, Manner::Deaf);
    cast.actor(203, 200, "child, in the gateway's group").manner = Manner::Deaf;
    cast.actor(205, 1, "of the group 200 that is there by now").process.group = 200;
    let mut play = cast.begin();
    ended_one_after_the_other(&mut play);
    assert!(play.kernel.is_alive(205), "it was started at tick 205, and the worker was gone at tick 204");
}

/// A worker that starts a daemon as it dies: the daemon's parent calls `setsid` and is gone before the next look.
#[test]
fn a_daemon_of_a_dying_worker_is_found_by_the_session_that_its_parent_led() {
    for its_session_was_closed in [false, true] {
        let mut cast = Cast::new();
        cast.is_unmarkable = true;
        let worker = if its_session_was_closed { cast.session("s", 200) } else { cast.worker(200) };
        worker.manner = Manner::Deaf;
        let parent = cast.actor(201, 200, "of the gateway's group and session").clone();
        let daemon = cast.actor(202, 1, "daemon");
        (daemon.process.group, daemon.process.session) = (201, 201);
        let daemon = daemon.clone();
        let mut play = cast.rehearse();
        play.kernel.ticks = 200;
        play.kernel.actors.remove(&201);
        play.kernel.actors.remove(&202);
        let mut play = play.begin();
        if its_session_was_closed {
            play.answer(CloseAnswer::Reaped);
        }
        play.kernel.actors.insert(201, parent);
        play.pass(ms(2)).kernel.ticks = 300;
        play.kernel.actors.insert(202, daemon);
        play.exits(201).exits(200);
        assert_eq!(play.ending().outcome, Outcome::Reaped);
        assert!(!play.kernel.is_alive(202));
    }
}

/// A worker that starts a daemon and is gone at once: init has the daemon before any look, in a group and a session that tell nothing.
fn with_a_daemon(answered: bool) -> Play {
    let mut cast = Cast::new();
    let worker = if answered { cast.session("s", 200) } else { cast.worker(200) };
    worker.forks = Some(201);
    let daemon = cast.actor(201, 1, "daemon").clone();
    let mut play = cast.rehearse();
    play.kernel.actors.remove(&201);
    play.kernel.unborn.insert(201, daemon);
    play
}

#[test]
fn a_daemon_of_a_worker_that_is_gone_at_once_is_found_by_its_mark() {
    let mut play = with_a_daemon(false).begin();
    assert_eq!(
        play.done(),
        "take 200, announce SIGTERM 200, Term 200, take 200+201, announce SIGTERM 201, Term 201, reaped, put 200"
    );
}

#[test]
fn a_marked_daemon_of_another_user_is_named_and_not_ended() {
    let mut play = with_a_daemon(false);
    play.kernel.unborn.get_mut(&201).unwrap().process.uid = 0;
    let ending = play.begin().ending();
    assert_eq!(ending.survivors.iter().map(|left| left.process.pid.get()).collect::<Vec<_>>(), [201]);
}

#[test]
fn a_worker_that_its_gateway_keeps_bears_its_mark_no_more() {
    let mut play = with_a_daemon(true).begin();
    assert!(play.kernel.actors[&200].mark.is_some_and(|mark| mark.0 > 0), "while its gateway is asked");
    play.answer(CloseAnswer::Kept { reason: "attached".into() });
    assert_eq!(play.kernel.actors[&200].mark.map(|mark| mark.0), Some(0), "as it was before");
    assert_eq!(play.kernel.withdrawn, [Mark(1)], "another victim may have it, too");
}

fn mark_of(play: &Play, raw: u32) -> Option<u16> {
    play.kernel.actors[&raw].mark.map(|mark| mark.0)
}

#[test]
fn what_is_let_be_of_a_closed_session_bears_its_mark_no_more() {
    let mut cast = Cast::new();
    cast.session("a", 200);
    cast.actor(201, 200, "helper");
    let mut play = cast.begin();
    assert_eq!(mark_of(&play, 201), Some(1));
    play.record.forbidden = Some("held by hand");
    play.answer(CloseAnswer::Reaped).exits(200);
    assert_eq!(play.ending().outcome, Outcome::Reaped);
    assert_eq!((mark_of(&play, 201), &play.kernel.withdrawn[..]), (Some(0), &[Mark(1)][..]));
    assert!(play.kernel.unmarked_heirs, "what inherited it");
}

/// Another victim may have the same mark, and would take them for its own.
#[test]
fn the_mark_of_a_tree_of_which_something_lives_on_says_nothing_any_more() {
    let of = |spoil: fn(&mut Play)| {
        let mut play = with_a_daemon(false);
        spoil(&mut play);
        let mut play = play.begin();
        let outcome = play.ending().outcome;
        (outcome, play.kernel.is_alive(201), play.kernel.withdrawn)
    };
    let daemon = |play: &mut Play| play.kernel.unborn.get_mut(&201).unwrap().process.clone();
    assert_eq!(daemon(&mut with_a_daemon(false)).uid, 1000);
    assert_eq!(of(|_| {}), (Outcome::Reaped, false, vec![]));
    let another_users = of(|play| play.kernel.unborn.get_mut(&201).unwrap().process.uid = 0);
    assert_eq!(another_users, (Outcome::Reaped, true, vec![Mark(1)]));
    let another_worker = of(|play| {
        play.kernel.unborn.get_mut(&201).unwrap().process.argv = Some("worker b".into());
    });
    assert_eq!(another_worker, (Outcome::Reaped, true, vec![Mark(1)]));
}

#[test]
fn what_a_member_starts_after_it_changed_is_let_be_with_it_and_what_the_others_start_is_not() {
    let mut cast = Cast::new();
    cast.session("a", 200);
    cast.actor(201, 200, "helper");
    cast.actor(202, 200, "another helper").forks = Some(302);
    cast.stray(301, "of the changed one").process.parent = Some(pid(201));
    cast.stray(303, "of the changed one, adopted");
    cast.stray(302, "of the other one");
    let mut play = cast.rehearse();
    let [started, adopted, other] = [301, 303, 302].map(|raw| play.kernel.actors.remove(&raw).unwrap());
    play.kernel.unborn.insert(302, other);
    let mut play = play.begin();
    let changed = &mut play.kernel.actors.get_mut(&201).unwrap().process;
    (changed.argv, changed.group, changed.session) = (Some("worker b".into()), 201, 201);
    for (raw, mut actor) in [(301, started), (303, adopted)] {
        actor.mark = Some(Mark(1));
        (actor.process.group, actor.process.session) = (201, 201);
        play.kernel.actors.insert(raw, actor);
    }
    play.answer(CloseAnswer::Reaped).exits(200).pass(ms(60_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
    let alive: Vec<u32> =
        [200, 201, 202, 301, 302, 303].into_iter().filter(|raw| play.kernel.is_alive(*raw)).collect();
    assert_eq!(alive, [201, 301, 303], "{}", play.done());
    assert_eq!(mark_of(&play, 201), Some(0));
}

#[test]
fn what_bears_the_mark_of_another_victim_is_left_to_that() {
    let mut cast = Cast::new();
    cast.worker(200);
    cast.session("s", 300);
    cast.actor(301, 1, "daemon");
    let mut play = cast.rehearse();
    play.kernel.actors.get_mut(&301).unwrap().mark = Some(Mark(1));
    let mut play = play.begin();
    // The session is the first victim, and kept: what it started lives on.
    play.answer(CloseAnswer::Kept { reason: "attached".into() });
    let outcomes: Vec<_> = play.endings().into_iter().map(|ending| ending.outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Reaped).count(), 1, "{outcomes:?}");
    assert!(play.kernel.is_alive(301));
}

#[test]
fn processes_are_searched_for_a_mark_only_where_a_tree_that_is_searched_for_has_one() {
    for (free_marks, searched) in [(0, 0), (1, 1)] {
        let mut cast = Cast::new();
        cast.worker(200);
        cast.worker(300).process.session = 300;
        cast.stray(301, "a daemon's child").process.session = 300;
        let mut play = cast.rehearse();
        play.kernel.free_marks = free_marks;
        // All are searched for once, and the second, which has no mark, once more.
        let mut play = play.begin();
        assert!(play.endings().iter().all(|ending| ending.outcome == Outcome::Reaped));
        assert_eq!((play.kernel.searched, play.kernel.searched_for_marks), (2, searched));
    }
}

/// Worker 200 leads a process session, in which the worker of an attached session (301) is, below this process.
fn leader_beside_a_live_worker(mut cast: Cast, parent: u64) -> Play {
    let live = cast.session("live", 301);
    (live.process.session, live.process.parent) = (200, Pid::new(parent));
    cast.attach_last();
    cast.begin()
}

#[test]
fn the_worker_of_another_session_in_the_session_that_the_tree_led_is_not_ended() {
    let mut cast = leader();
    cast.actors.remove(&201);
    // Another gateway that was started from it, and that init has adopted since.
    cast.actor(300, 1, "gateway two").process.session = 200;
    let play = leader_beside_a_live_worker(cast, 300);
    assert!(play.kernel.is_alive(301), "an attached session's worker");
    assert!(!play.kernel.is_alive(200));
}

#[test]
fn the_worker_of_another_session_is_not_ended_although_init_adopted_it() {
    let play = leader_beside_a_live_worker(leader(), 1);
    assert!(play.kernel.is_alive(301) && !play.kernel.is_alive(201));
}

/// Whose it is isn't known: it is kept, and judged by itself.
#[test]
fn another_worker_in_the_session_that_the_tree_led_and_what_runs_below_it_are_not_ended() {
    let mut cast = leader();
    cast.actor(300, 1, "which may be a gateway").process.session = 300;
    cast.actor(301, 300, "worker x").process.session = 200;
    cast.actor(302, 301, "its helper").process.session = 200;
    let play = cast.begin();
    assert!(play.kernel.is_alive(301) && play.kernel.is_alive(302));
    assert!(!play.kernel.is_alive(200) && !play.kernel.is_alive(201));
}

#[test]
fn what_runs_below_a_gateway_in_the_session_that_the_tree_led_is_not_ended() {
    let mut cast = leader();
    // The gateway was started by its own worker's predecessor, and has its session.
    cast.actors.get_mut(&GATEWAY).unwrap().process.session = 200;
    cast.actor(310, GATEWAY, "a helper of the gateway").process.session = 200;
    cast.actor(311, 310, "below it").process.session = 200;
    let play = cast.begin();
    assert!(play.kernel.is_alive(310) && play.kernel.is_alive(311) && play.kernel.is_alive(GATEWAY));
    assert!(!play.kernel.is_alive(200) && !play.kernel.is_alive(201));
}

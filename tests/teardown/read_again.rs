//! What is read again before a signal: the process, and the table where it got old.

use std::sync::Arc;
use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::domain::table::CloseAnswer;
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::warrant::{Claim, Claimed};
use gateway_reaper::reap::event::{Event, Recheck};
use gateway_reaper::reap::kernel::Signal;
use gateway_reaper::reap::outcome::{Outcome, Step};

use crate::play::{Cast, GATEWAY, Play, stands};
use crate::stage::{Actor, Manner, NOW, ms, pid};

/// A worker that ignores SIGTERM, with a child that does, too.
fn stubborn() -> Play {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "child").manner = Manner::Deaf;
    cast.begin()
}

#[test]
fn a_worker_that_became_root_s_by_exec_after_sigterm_is_not_killed_and_what_is_below_it_is_not_either() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    play.kernel.actors.get_mut(&200).unwrap().process.uid = 0;
    let done = "take 200+201 to be stopped, announce SIGKILL 200, kept, put 200";
    assert_eq!(play.pass(ms(1)).done(), done);
    let ending = play.ending();
    let why = "process 200 runs as user 0, not as 1000 (see worker.user)";
    assert_eq!(ending.outcome, Outcome::Spared { why: why.into() });
    let named: Vec<_> = ending.survivors.iter().map(|left| (left.process.pid.get(), &*left.why)).collect();
    assert_eq!(named, [(200, why), (201, "it was in the tree, which was let be")]);
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn a_worker_that_became_something_else_by_exec_after_sigterm_is_not_killed() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    play.kernel.actors.get_mut(&200).unwrap().process.argv = Some("vi notes".into());
    play.pass(ms(1));
    let ending = play.ending();
    assert!(matches!(ending.outcome, Outcome::Spared { .. }), "{ending:?}");
    assert_eq!(ending.steps, [Step::Term], "what was announced and not sent is no step");
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

/// A worker whose session is closed, and that stays; this comes after the decision.
fn closed_and_let_be(change: impl FnOnce(&mut Play), why: &str) {
    let mut cast = Cast::new();
    cast.session("a", 200);
    cast.actor(201, 200, "child");
    let mut play = cast.begin();
    change(&mut play);
    play.answer(CloseAnswer::Reaped).pass(ms(10_000));
    let ending = play.ending();
    assert_eq!((ending.note.as_deref(), &ending.steps[..]), (Some(why), &[Step::Close][..]));
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn a_worker_that_says_another_key_by_now_is_not_signalled_nor_is_what_is_below_it() {
    closed_and_let_be(
        |play| play.kernel.actors.get_mut(&200).unwrap().process.argv = Some("worker b".into()),
        "process 200 has another key in its argv than it had when it was judged",
    );
}

#[test]
fn of_a_worker_whose_argv_has_no_key_the_whole_of_it_is_compared_before_the_first_signal() {
    let mut cast = Cast::new();
    cast.worker_match = "worker --task .*";
    cast.session("a", 200).process.argv = Some("worker --task a".into());
    let mut play = cast.begin();
    says(&mut play, 200, "worker --task b");
    play.answer(CloseAnswer::Reaped).pass(ms(10_000));
    let why = "process 200 has another argv than it had when it was judged, and may be another worker";
    assert_eq!(play.ending().note.as_deref(), Some(why));
    assert!(play.kernel.is_alive(200));
}

#[test]
fn what_a_worker_without_a_key_writes_into_its_argv_after_its_first_signal_is_not_compared() {
    let mut cast = Cast::new();
    cast.worker_match = "worker --task .*";
    let worker = cast.worker(200);
    (worker.process.argv, worker.manner) = (Some("worker --task a".into()), Manner::Deaf);
    let mut play = cast.begin();
    says(&mut play, 200, "worker --task a (ending)");
    play.pass(ms(5_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

fn says(play: &mut Play, raw: u32, argv: &str) {
    play.kernel.actors.get_mut(&raw).unwrap().process.argv = Some(argv.into());
}

/// A session with a worker, a copy of that beside it, and a helper below each.
fn with_a_copy() -> Cast {
    let mut cast = Cast::new();
    cast.session("a", 200);
    cast.actor(201, 200, "helper");
    cast.actor(300, GATEWAY, "worker a");
    cast.actor(301, 300, "helper of the copy");
    cast
}

/// How it ends once its worker is gone, and who of the copy and the helpers is let be, with the reason.
fn let_be(play: &mut Play) -> Vec<(u32, String)> {
    play.answer(CloseAnswer::Reaped).exits(200).pass(ms(60_000));
    let ending = play.ending();
    assert_eq!(ending.outcome, Outcome::Reaped);
    let named: Vec<_> =
        ending.survivors.into_iter().map(|it| (it.process.pid.get(), it.why.into())).collect();
    for raw in [201, 300, 301] {
        assert_eq!(play.kernel.is_alive(raw), named.iter().any(|(pid, _)| *pid == raw), "{raw}: {named:?}");
    }
    named
}

fn copy_of_another() -> Vec<(u32, String)> {
    let copy = "process 300 has another key in its argv than it had when it was judged".into();
    let below = "process 301 runs below process 300, which changed since it was judged".into();
    vec![(300, copy), (301, below)]
}

#[test]
fn what_is_as_it_was_goes_with_its_session() {
    assert_eq!(let_be(&mut with_a_copy().begin()), []);
}

#[test]
fn a_copy_that_says_another_key_by_its_first_signal_is_let_be_with_what_is_below_it() {
    let mut play = with_a_copy().begin();
    says(&mut play, 300, "worker b");
    assert_eq!(let_be(&mut play), copy_of_another());
}

#[test]
fn a_copy_that_says_another_key_since_the_decision_is_let_be_though_it_was_held_later() {
    let mut play = with_a_copy().rehearse();
    says(&mut play, 300, "worker b");
    assert_eq!(let_be(&mut play.begin()), copy_of_another());
}

#[test]
fn what_has_changed_is_not_stopped_either_where_there_is_no_term_timeout() {
    let mut cast = with_a_copy();
    cast.policy.term_timeout = Duration::ZERO;
    let mut play = cast.begin();
    says(&mut play, 300, "worker b");
    assert_eq!(let_be(&mut play), copy_of_another());
    assert!(!play.done().contains("Stop 30"));
}

#[test]
fn a_copy_that_is_no_worker_any_more_by_its_first_signal_is_let_be() {
    let mut play = with_a_copy().begin();
    says(&mut play, 300, "vi notes");
    assert_eq!(let_be(&mut play).len(), 2);
}

#[test]
fn a_helper_that_has_become_a_worker_by_its_first_signal_is_let_be() {
    let mut play = with_a_copy().begin();
    says(&mut play, 201, "worker b");
    let why = "process 201 has another argv than it had when it was judged, and may be another worker";
    assert_eq!(let_be(&mut play), [(201, why.into())]);
}

#[test]
fn a_helper_may_execute_something_else_before_its_first_signal() {
    let mut play = with_a_copy().begin();
    says(&mut play, 201, "vi notes");
    assert_eq!(let_be(&mut play), []);
}

#[test]
fn a_copy_that_is_exiting_and_has_no_argv_any_more_is_what_it_was() {
    let mut play = with_a_copy().begin();
    let process = &mut play.kernel.actors.get_mut(&300).unwrap().process;
    (process.argv, process.rss_bytes) = (None, Some(0));
    assert_eq!(let_be(&mut play), []);
}

/// All bear the mark of their session; this is what changes before the first signal.
fn remarked(change: impl FnOnce(&mut std::collections::BTreeMap<u32, &'static str>)) -> Vec<(u32, String)> {
    let mut play = with_a_copy().rehearse();
    play.kernel.sessions = Some([200, 201, 300, 301].map(|raw| (raw, "a")).into());
    let mut play = play.begin();
    change(play.kernel.sessions.as_mut().unwrap());
    let_be(&mut play)
}

#[test]
fn a_worker_that_bears_another_mark_by_its_first_signal_is_let_be_whatever_its_argv_says() {
    let why = "process 300 bears another mark than it did when it was judged";
    let below = copy_of_another().remove(1);
    assert_eq!(remarked(|sessions| _ = sessions.insert(300, "b")), [(300, why.into()), below.clone()]);
    assert_eq!(remarked(|sessions| _ = sessions.remove(&300)), [(300, why.into()), below]);
}

#[test]
fn a_helper_that_bears_another_mark_by_its_first_signal_is_let_be_and_one_that_lost_it_is_not() {
    let why = "process 201 bears another mark than it did when it was judged";
    assert_eq!(remarked(|sessions| _ = sessions.insert(201, "b")), [(201, why.into())]);
    assert_eq!(remarked(|sessions| _ = sessions.remove(&201)), []);
}

#[test]
fn what_an_operator_forbids_after_the_close_is_not_signalled() {
    closed_and_let_be(|play| play.record.forbidden = Some("held by hand"), "held by hand");
}

#[test]
fn what_an_operator_forbids_after_the_close_is_not_killed_either_where_there_is_no_term_timeout() {
    let mut cast = Cast::new();
    cast.policy.term_timeout = Duration::ZERO;
    cast.session("a", 200);
    cast.actor(201, 200, "child");
    let mut play = cast.begin();
    play.record.forbidden = Some("held by hand");
    play.answer(CloseAnswer::Reaped).exits(200);
    let ending = play.ending();
    assert_eq!((ending.note.as_deref(), &ending.steps[..]), (Some("held by hand"), &[Step::Close][..]));
    assert!(play.kernel.is_alive(201));
}

#[test]
fn what_was_signalled_when_an_operator_forbids_it_gets_no_further_signal() {
    let mut play = stubborn();
    play.record.forbidden = Some("held by hand");
    play.pass(ms(2_500));
    let ending = play.ending();
    assert_eq!(ending.outcome, Outcome::Spared { why: "held by hand".into() });
    assert_eq!(ending.steps, [Step::Term]);
    let left: Vec<_> = ending.survivors.iter().map(|left| left.process.pid.get()).collect();
    assert_eq!(left, [200, 201]);
}

#[test]
fn a_child_that_became_root_s_is_spared_and_the_rest_is_ended() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    play.kernel.actors.get_mut(&201).unwrap().process.uid = 0;
    play.pass(ms(1));
    let ending = play.ending();
    assert_eq!(
        (&ending.outcome, ending.reclaimed_bytes),
        (&Outcome::Reaped, 200),
        "nothing for what lives on"
    );
    let [survivor] = &ending.survivors[..] else { panic!("one lives on: {ending:?}") };
    assert_eq!(survivor.process.pid.get(), 201);
    assert_eq!(&*survivor.why, "process 201 runs as user 0, not as 1000 (see worker.user)");
    assert!(!play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn a_child_that_becomes_root_s_between_sigstop_and_sigkill_is_let_go() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    play.kernel.seizes = Some(201);
    let done = play.pass(ms(1)).done();
    assert!(done.contains("Stop 201") && done.contains("Continue 201"), "{done}");
    assert!(!done.contains("Kill 201"), "{done}");
    assert!(!play.kernel.is_alive(200));
}

#[test]
fn a_worker_that_becomes_root_s_between_sigstop_and_sigkill_is_let_go_with_all_that_is_below_it() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    play.kernel.seizes = Some(200);
    let done = play.pass(ms(1)).done();
    assert!(done.ends_with("Stop 201, Continue 200, Continue 201, kept, put 200"), "{done}");
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn a_worker_that_is_exiting_and_has_no_argv_any_more_is_still_itself() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    let process = &mut play.kernel.actors.get_mut(&200).unwrap().process;
    (process.argv, process.rss_bytes) = (None, Some(0));
    assert!(play.pass(ms(1)).done().contains("Kill 200"));
}

#[test]
fn a_worker_without_an_argv_that_is_not_exiting_is_spared() {
    let mut play = stubborn();
    play.pass(ms(4_999)).done();
    play.kernel.actors.get_mut(&200).unwrap().process.argv = None;
    play.pass(ms(1));
    assert!(play.kernel.is_alive(200));
}

/// A worker whose line in the audit log takes three seconds.
fn late() -> Play {
    let mut cast = Cast::new();
    cast.worker(200);
    let mut play = cast.rehearse();
    play.record.takes = ms(3_000);
    let mut play = play.begin();
    play.record.takes = ms(0);
    assert_eq!(play.done(), "take 200, announce SIGTERM 200");
    assert_eq!(play.rechecks, [0]);
    play
}

fn far() -> Awake {
    Awake::from_nanos(u64::MAX)
}

#[test]
fn where_two_seconds_passed_since_the_table_was_read_nothing_is_signalled_before_another_look() {
    let mut play = late();
    assert_eq!(play.deadline(), None);
    assert_eq!(play.pass(ms(60_000)).done(), "");
    assert_eq!(play.recheck(stands(far())).done(), "Term 200, reaped, put 200");
    assert_eq!(play.ending().steps, [Step::Term], "announced once");
}

#[test]
fn a_look_is_good_for_two_seconds_and_not_for_a_nanosecond_more() {
    for (over, rechecks) in [(0, 0), (1, 1)] {
        let mut cast = Cast::new();
        cast.worker(200);
        let mut play = cast.rehearse();
        // The table was asked for at the first nanosecond.
        let good_until = Awake::from_nanos(1) + ms(2_000);
        play.record.takes = good_until.since(play.kernel.now) + Duration::from_nanos(over);
        assert_eq!(play.begin().rechecks.len(), rechecks, "{over} ns");
    }
}

#[test]
fn a_worker_that_got_a_session_meanwhile_is_kept_and_not_signalled() {
    let mut play = late();
    let why = "another look doesn't find it to be an orphan any more";
    assert_eq!(play.recheck(Recheck::Lapsed { why: why.into() }).done(), "kept, put 200");
    let ending = play.ending();
    assert_eq!(ending.outcome, Outcome::Spared { why: why.into() });
    assert_eq!(ending.survivors.len(), 0, "nothing was done that could have ended it");
    assert!(play.kernel.is_alive(200));
}

/// A session that began below the worker while it was looked at.
#[test]
fn what_another_look_finds_to_be_another_sessions_is_not_signalled() {
    let is_spared = |started| {
        let mut cast = Cast::new();
        cast.worker(200);
        cast.actor(201, 200, "child");
        let mut play = cast.rehearse();
        play.record.takes = ms(3_000);
        let mut play = play.begin();
        play.record.takes = ms(0);
        play.done();
        let owners = vec![("gw".into(), "b".into())];
        let claimed = Arc::new(Claimed::from([(pid(201), Claim { started, owners, ..Claim::default() })]));
        play.recheck(Recheck::Stands { until: far(), claimed });
        play.pass(ms(60_000));
        play.kernel.is_alive(201)
    };
    assert!(is_spared(None) && is_spared(Some(201)));
    assert!(!is_spared(Some(7)), "another process had its number");
}

#[test]
fn a_worker_that_exits_while_it_is_looked_at_again_is_gone() {
    let mut play = late();
    play.exits(200).done();
    assert_eq!(play.recheck(stands(far())).done(), "gone, put 200");
}

#[test]
fn a_look_that_is_too_old_by_itself_is_taken_three_times_and_then_left_to_the_next_run() {
    let mut play = late();
    let past = Awake::from_nanos(0);
    for _ in 0..3 {
        assert_eq!(play.recheck(stands(past)).done(), "");
    }
    assert_eq!(play.recheck(stands(past)).done(), "failed");
    assert!(play.kernel.is_alive(200));
}

/// A deaf worker, alone or with a child, that was sent SIGTERM.
fn deaf(children: &[u32]) -> Play {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    for child in children {
        cast.actor(*child, 200, "child");
    }
    let mut play = cast.rehearse();
    play.keeps_questions = true;
    let mut play = play.begin();
    assert!(play.done().ends_with("announce SIGTERM 200, Term 200"));
    play
}

#[test]
fn sigkill_waits_for_another_look_that_is_asked_for_a_second_before() {
    for (verdict, killed) in [
        (stands(far()), true),
        (Recheck::Lapsed { why: "process 200 is of session \"b\" by now".into() }, false),
        (Recheck::Unknown { why: "401".into() }, false),
    ] {
        let mut play = deaf(&[]);
        play.pass(ms(3_999));
        assert!(play.rechecks.is_empty());
        play.pass(ms(1));
        assert_eq!((&play.rechecks[..], &play.left_of_closed[..]), (&[0][..], &[vec![200]][..]));
        assert_eq!(play.pass(ms(60_000)).done(), "");
        play.recheck(verdict).pass(ms(1_000));
        assert_eq!(play.kernel.is_alive(200), !killed, "{:?}", play.ending());
        assert_eq!(play.ending().survivors.is_empty(), killed, "what is left alive is named");
    }
}

#[test]
fn sigterm_to_the_rest_waits_for_another_look_where_the_table_is_old_by_then() {
    let mut play = deaf(&[201]);
    assert!(play.pass(ms(1_499)).rechecks.is_empty());
    assert_eq!(play.pass(ms(1)).rechecks, [0], "a second before it is due");
    assert_eq!(play.left_of_closed, [vec![200, 201]]);
    play.exits(200).pass(ms(500));
    assert_eq!((play.done(), play.kernel.is_alive(201)), (String::new(), true));
    play.recheck(stands(far()));
    assert!(play.done().contains("Term 201"));
    let mut play = deaf(&[201]);
    play.pass(ms(1_000)).exits(200);
    assert!(play.rechecks.is_empty() && play.done().contains("Term 201"), "it is not old yet");
}

/// As its fork it had the worker's argv for a moment.
#[test]
fn a_child_that_was_held_between_its_fork_and_its_exec_goes_with_its_tree() {
    let mut cast = Cast::new();
    cast.worker(200).manner = Manner::Deaf;
    cast.actor(201, 200, "worker 200");
    let mut play = cast.begin();
    play.done();
    play.kernel.actors.get_mut(&201).unwrap().process.argv = Some("sleep 600".into());
    assert!(play.pass(ms(2_500)).done().contains("Term 201"));
}

#[test]
fn what_waited_for_a_look_until_it_was_to_be_killed_has_sigterm_and_half_of_the_time_first() {
    let mut play = deaf(&[201]);
    play.kernel.actors.get_mut(&201).unwrap().manner = Manner::Deaf;
    assert_eq!(play.pass(ms(8_000)).done(), "");
    assert!(play.recheck(stands(far())).done().ends_with("announce SIGTERM 201, Term 201"));
    assert_eq!(play.pass(ms(2_499)).done(), "");
    assert!(play.pass(ms(1)).done().contains("Kill 200, Kill 201"));
}

#[test]
fn a_worker_that_began_in_the_tree_is_looked_at_before_sigkill() {
    let asked = |begins: fn(&mut Play, Actor)| {
        let mut play = deaf(&[]);
        play.keeps_questions = false;
        play.pass(ms(4_990));
        play.keeps_questions = true;
        play.left_of_closed.clear();
        let mut nested = play.kernel.actors[&200].clone();
        nested.process.identity.pid = pid(301);
        (nested.process.parent, nested.process.argv) = (Pid::new(200), Some("worker b".into()));
        begins(&mut play, nested);
        play.pass(ms(10));
        assert_eq!((&play.rechecks[..], &play.left_of_closed[..]), (&[0][..], &[vec![200, 301]][..]));
        play
    };
    let before: fn(&mut Play, Actor) = |play, nested| _ = play.kernel.actors.insert(301, nested);
    let as_it_is_stopped: fn(&mut Play, Actor) = |play, nested| {
        play.kernel.actors.get_mut(&200).unwrap().forks = Some(301);
        play.kernel.forks_at = |signal| signal == Signal::Stop;
        play.kernel.unborn.insert(301, nested);
    };
    for begins in [before, as_it_is_stopped] {
        let mut play = asked(begins);
        let why = "process 301 is of session \"b\" by now".into();
        play.done();
        assert_eq!(play.recheck(Recheck::Lapsed { why }).done(), "kept, put 200");
        assert!(play.kernel.is_alive(200) && play.kernel.is_alive(301));
        let mut play = asked(begins);
        assert!(
            play.done().ends_with("Continue 200, take 200+301"),
            "nothing is left stopped while it is asked"
        );
        assert!(play.recheck(stands(far())).done().ends_with("Term 301"));
        assert!(play.pass(ms(2_500)).done().contains("Kill 200, Kill 301"));
    }
}

/// Its tree ended while another look was under way, and something that came from it was found after.
#[test]
fn a_look_at_a_tree_that_has_ended_meanwhile_says_nothing_of_what_was_found_since() {
    let mut cast = Cast::new();
    cast.is_unmarkable = true;
    let worker = cast.worker(200);
    (worker.manner, worker.process.session, worker.process.group) = (Manner::Deaf, 200, 200);
    cast.stray(201, "a daemon's child").process.session = 200;
    let mut play = cast.rehearse();
    play.keeps_questions = true;
    let mut play = play.begin();
    play.pass(ms(4_000)).exits(200);
    assert_eq!(std::mem::take(&mut play.rechecks), [0]);
    play.done();
    assert!(play.pass(ms(0)).rechecks.is_empty(), "the first look has not answered");
    play.tell(Event::Rechecked { victim: 0, verdict: stands(far()) });
    assert_eq!(play.done(), "", "what was found was not in that look");
    assert_eq!((&play.rechecks[..], play.left_of_closed.last()), (&[0][..], Some(&vec![201])));
    assert!(play.recheck(stands(far())).done().contains("Term 201"));
}

#[test]
fn what_an_earlier_run_left_unfinished_is_looked_at_again_too() {
    let mut cast = Cast::new();
    cast.actor(201, 1, "child");
    cast.left_unfinished(200, &[201]);
    let mut play = cast.rehearse();
    play.record.takes = ms(3_000);
    let mut play = play.begin();
    assert_eq!(play.done(), "take 201, announce SIGTERM 201");
    assert_eq!(play.recheck(stands(far())).done(), "Term 201, reaped, put 200");
}

/// A closed session whose worker is deaf and has a child, `close_timeout` after the close.
fn closed(answer: CloseAnswer, worker_exits: bool) -> Play {
    let mut cast = Cast::new();
    cast.session("s", 200).manner = Manner::Deaf;
    cast.actor(201, 200, "child");
    let mut play = cast.rehearse();
    play.keeps_questions = true;
    let mut play = play.begin();
    play.answer(answer).done();
    if worker_exits {
        play.exits(200);
    } else {
        play.pass(ms(10_000));
    }
    play
}

#[test]
fn the_worker_of_a_closed_session_is_not_signalled_before_another_look() {
    let mut play = closed(CloseAnswer::Reaped, false);
    assert_eq!(play.done(), "", "nothing is announced that may not be done");
    assert_eq!((&play.rechecks[..], &play.left_of_closed[..]), (&[0][..], &[vec![200, 201]][..]));
    assert_eq!(play.pass(ms(60_000)).done(), "");
    let until = play.kernel.now + ms(2_000);
    assert_eq!(play.recheck(stands(until)).done(), "announce SIGTERM 200, Term 200");
    play.keeps_questions = false;
    play.pass(ms(60_000));
    assert_eq!(play.ending().outcome, Outcome::Reaped);
}

#[test]
fn the_worker_of_a_closed_session_that_another_session_has_by_then_is_let_be_and_named() {
    let mut play = closed(CloseAnswer::Reaped, false);
    let why = "process 200 is of session \"b\" by now";
    play.done();
    assert_eq!(play.recheck(Recheck::Lapsed { why: why.into() }).done(), "reaped, put 200");
    let ending = play.ending();
    assert_eq!(
        (ending.outcome, ending.note.as_deref()),
        (Outcome::Reaped, Some(why)),
        "the session is closed"
    );
    assert_eq!((ending.steps, ending.reclaimed_bytes), (vec![Step::Close], 0));
    assert_eq!(ending.survivors.iter().map(|left| left.process.pid.get()).collect::<Vec<_>>(), [200, 201]);
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn a_session_that_its_gateway_said_it_closed_and_goes_on_with_is_kept() {
    let mut play = closed(CloseAnswer::Reaped, false);
    play.done();
    assert_eq!(play.recheck(Recheck::Wanted { why: "a client is attached".into() }).done(), "kept, put 200");
    let why = "its gateway said that it closed it, and goes on with it: a client is attached";
    assert_eq!(play.ending().outcome, Outcome::Spared { why: why.into() });
    assert!(play.kernel.is_alive(200) && play.kernel.is_alive(201));
}

#[test]
fn what_is_left_of_a_session_that_somebody_else_closed_and_that_is_wanted_again_is_let_be() {
    let mut play = closed(CloseAnswer::Gone, true);
    play.done();
    assert_eq!(play.recheck(Recheck::Wanted { why: "a client is attached".into() }).done(), "gone, put 200");
    let ending = play.ending();
    assert_eq!((ending.outcome, ending.note.as_deref()), (Outcome::Gone, Some("a client is attached")));
    assert!(play.kernel.is_alive(201));
}

#[test]
fn the_worker_of_a_closed_session_that_may_be_another_sessions_is_left_to_the_next_run() {
    let mut play = closed(CloseAnswer::Reaped, false);
    play.done();
    assert_eq!(play.recheck(Recheck::Unknown { why: "401".into() }).done(), "failed");
    assert!(play.record.unfinished.contains_key(&200) && play.kernel.is_alive(200));
    assert_eq!(play.failure(), "401");
}

#[test]
fn what_is_below_the_worker_of_a_session_that_somebody_else_closed_is_looked_at_again_at_once() {
    for (answer, questions) in [(CloseAnswer::Reaped, 0), (CloseAnswer::Gone, 1)] {
        let play = closed(answer, true);
        assert_eq!(play.left_of_closed, vec![vec![201]; questions], "its successor may have it");
        assert_eq!(play.kernel.is_alive(201), questions == 1);
    }
}

#[test]
fn a_session_is_looked_at_again_by_its_gateway_and_not_by_the_reaper() {
    let mut cast = Cast::new();
    cast.session("s", 200);
    let mut play = cast.rehearse();
    play.record.takes = ms(3_000);
    let play = play.begin();
    assert!(play.rechecks.is_empty() && play.requests.len() == 1);
}

#[test]
fn what_lives_on_of_a_session_that_was_gone_already_is_named() {
    let mut cast = Cast::new();
    cast.session("a", 200);
    cast.actor(201, 200, "becomes root's");
    cast.actor(202, 200, "another user's from the start").process.uid = 0;
    let mut play = cast.begin();
    play.answer(CloseAnswer::Gone);
    play.kernel.actors.get_mut(&201).unwrap().process.uid = 0;
    play.exits(200);
    play.pass(ms(20_000));
    assert!(play.kernel.is_alive(201) && play.kernel.is_alive(202));
    let named: Vec<_> = play.ending().survivors.iter().map(|left| left.process.pid.get()).collect();
    assert_eq!(named, [201, 202]);
}

/// It may be a gateway, or a shell that starts the worker of another session.
#[test]
fn a_program_that_began_in_the_tree_since_the_tables_were_read_is_looked_at_before_the_first_signal() {
    let begun = |argv: &str| {
        let mut cast = Cast::new();
        cast.worker(200).manner = Manner::Deaf;
        let child = cast.actor(201, 200, argv);
        child.process.identity.start_ticks = NOW;
        let mut play = cast.rehearse();
        play.keeps_questions = true;
        play.begin()
    };
    let mut play = begun("gatewayd");
    assert_eq!((play.done(), &play.rechecks[..]), ("take 200+201".into(), &[0][..]));
    assert!(play.recheck(stands(far())).done().ends_with("Term 200"));
    let mut fork = begun("worker 200");
    assert!(fork.done().ends_with("Term 200") && fork.rechecks.is_empty(), "it will be what its parent is");
}

#[test]
fn programs_that_begin_in_a_tree_one_after_the_other_are_looked_at_three_times_for_a_signal() {
    let mut play = deaf(&[]);
    play.keeps_questions = false;
    play.pass(ms(4_990));
    play.keeps_questions = true;
    let begins = |play: &mut Play, raw: u32| {
        let mut child = play.kernel.actors[&200].clone();
        child.process.identity = ProcessIdentity { pid: pid(raw), start_ticks: NOW, inode: None };
        (child.process.parent, child.process.argv) = (Pid::new(200), Some(format!("cc {raw}").into()));
        play.kernel.actors.insert(raw, child);
    };
    begins(&mut play, 301);
    play.pass(ms(10)).done();
    for raw in [302, 303, 304] {
        assert_eq!(play.rechecks, [0]);
        assert!(!play.done().contains("Term"));
        begins(&mut play, raw);
        play.recheck(stands(far()));
    }
    assert!(play.done().ends_with("Term 304"), "a build starts one after the other");
}

/// It is never without one that has just begun.
#[test]
fn a_worker_that_starts_others_faster_than_they_are_looked_at_is_ended_without_them() {
    let mut play = deaf(&[]);
    play.keeps_questions = false;
    play.pass(ms(4_990));
    play.keeps_questions = true;
    play.kernel.forks_at = |signal| signal == Signal::Stop;
    for raw in 301..401 {
        let mut nested = play.kernel.actors[&200].clone();
        nested.process.identity.pid = pid(raw);
        nested.forks = None;
        (nested.process.parent, nested.process.argv) = (Pid::new(200), Some(format!("worker {raw}").into()));
        play.kernel.unborn.insert(raw, nested);
    }
    play.kernel.actors.get_mut(&200).unwrap().forks = Some(301);
    for raw in 301.. {
        while play.rechecks.is_empty() && !play.is_over() {
            play.pass(ms(10));
        }
        if play.is_over() {
            break;
        }
        play.kernel.actors.get_mut(&200).unwrap().forks = Some(raw + 1);
        play.recheck(stands(far()));
    }
    let ending = play.ending();
    assert_eq!(ending.outcome, Outcome::Reaped, "{ending:?}");
    assert!(!play.kernel.is_alive(200) && play.kernel.unborn.contains_key(&310), "after a few looks");
    let [survivor] = &ending.survivors[..] else { panic!("one lives on: {ending:?}") };
    assert_eq!(&*survivor.why, "it began while its tree was ended, and whose it is isn't known");
}

/// A helper starts a worker after the tables were read, and only the listing before SIGTERM to the rest finds it.
#[test]
fn what_is_found_right_before_a_signal_is_looked_at_before_that() {
    let mut play = deaf(&[201]);
    play.keeps_questions = false;
    play.pass(ms(2_490));
    play.keeps_questions = true;
    play.left_of_closed.clear();
    play.kernel.actors.get_mut(&201).unwrap().forks = None;
    let mut nested = play.kernel.actors[&200].clone();
    nested.process.identity = ProcessIdentity { pid: pid(301), start_ticks: NOW, inode: None };
    (nested.process.parent, nested.process.argv) = (Pid::new(201), Some("worker b".into()));
    play.kernel.actors.insert(301, nested);
    assert!(!play.pass(ms(10)).done().contains("Term"));
    assert_eq!((&play.rechecks[..], &play.left_of_closed[..]), (&[0][..], &[vec![200, 201, 301]][..]));
    let why = "process 301 is of session \"b\" by now".into();
    assert_eq!(play.recheck(Recheck::Lapsed { why }).done(), "kept, put 200");
}

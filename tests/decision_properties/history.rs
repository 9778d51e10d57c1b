//! A world over time: what is reaped has looked like an orphan the whole time, at every look.

use gateway_reaper::domain::table::{Session, TableView, Told};
use proptest::prelude::*;

use crate::random::{IDS, row};
use crate::world::*;

/// One look at one gateway and one worker that some rows mean.
#[derive(Debug, Clone)]
struct Look {
    after: u64,
    instance: &'static str,
    rows: Option<Vec<Session>>,
}

/// A session that is an orphan most of the time, without claims of the gateway's own clocks.
fn calm_row(id: &'static str) -> impl Strategy<Value = Session> {
    let calm = prop_oneof![5 => Just("1"), 1 => Just("2")]
        .prop_map(move |activity| Session { activity: Some(activity.into()), ..detached(id) });
    let any = row(id).prop_map(|row| Session { detached_for: None, idle_for: None, ..row });
    prop_oneof![8 => calm, 1 => any]
}

fn look() -> impl Strategy<Value = Look> {
    let rows: Vec<_> = IDS[..2].iter().map(|id| proptest::option::weighted(0.95, calm_row(id))).collect();
    let rows = proptest::option::weighted(0.95, rows.prop_map(|rows| rows.into_iter().flatten().collect()));
    let instance = prop_oneof![15 => Just("run 1"), 1 => Just("run 2")];
    (1..15u64, instance, rows).prop_map(|(after, instance, rows)| Look { after, instance, rows })
}

/// The seconds in the words of a verdict.
fn waited(fate: &str) -> u64 {
    let (_, seconds) = fate.rsplit_once("after ").expect("a reap");
    seconds.trim_end_matches('s').parse().expect("whole seconds")
}

fn is_quick(world: &World, id: &str) -> bool {
    let table = world.seen.gateways[0].table.current().expect("a table");
    table.sessions.iter().any(|row| row.id.as_str() == id && row.close_on_disconnect == Told::Known(true))
}

/// When, which run, and who looked like an orphan, with what activity.
type Past<'a> = (u64, &'a str, Vec<(String, Option<String>)>);

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn who_is_reaped_has_looked_like_an_orphan_at_every_look_of_its_grace(looks in proptest::collection::vec(look(), 1..25)) {
        let mut world = World::new();
        world.worker(200, "a", 100);
        let mut history: Vec<Past<'_>> = Vec::new();
        let mut at = 0;
        for Look { after, instance, rows } in looks {
            at += after;
            world.pass(after);
            match rows.clone() {
                Some(rows) => {
                    let table = world.table("gw");
                    table.sessions = rows;
                    table.instance = Some(instance.into());
                }
                None => world.of("gw").table = TableView::unreachable("down"),
            }
            let looked = world.look();
            let orphans = rows.into_iter().flatten().filter(|row| !looked.fate(row.id.as_str()).starts_with("keep"));
            let orphans = orphans.map(|row| (row.id.to_string(), row.activity.map(String::from))).collect();
            history.push((at, instance, orphans));
            for id in looked.reaped().iter().filter(|id| IDS.contains(&id.as_str())) {
                let (_, run, orphans) = history.last().expect("this look");
                let now = orphans.iter().find(|(name, _)| name == id).expect("an orphan");
                let waited = waited(&looked.fate(id));
                let is_quick = is_quick(&world, id);
                prop_assert!(is_quick || waited >= 20);
                let since = at - waited;
                // The look at which the clock was started is the last one that is not after the grace began.
                let began = history.iter().rposition(|(when, _, _)| *when <= since).expect("a look that long ago");
                for (when, then_run, then) in &history[began..] {
                    prop_assert_eq!(then_run, run, "at {}", when);
                    prop_assert!(then.contains(now), "{} at {}: {:?}", id, when, then);
                }
            }
        }
    }
}

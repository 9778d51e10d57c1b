//! What an interrupted run left stopped is let go.

use std::rc::Rc;

use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::reap::release::let_go;

use crate::play::Cast;
use crate::stage::{FakeKernel, Log};

#[test]
fn only_what_was_being_stopped_is_let_go_and_once() {
    let mut cast = Cast::new();
    let members: Vec<_> = [200, 201, 300].map(|raw| cast.actor(raw, 1, "left").process.identity).into();
    let log = Log::default();
    let mut kernel = FakeKernel::new(cast.actors, &Rc::clone(&log));
    kernel.end(201);
    let tree = |members: &[_], stopping| Unfinished {
        gateway: "gw".into(),
        orphan: OrphanKind::OwnerlessWorker,
        asked: None,
        worker: members[0],
        members: members.to_vec(),
        stopping,
        may_be_of: Vec::new(),
    };
    let mut unfinished = [tree(&members[..2], true), tree(&members[2..], false)];
    let_go(&mut kernel, &mut unfinished);
    assert_eq!(log.take(), ["Continue 200"], "201 is gone, and 300 was not stopped");
    assert!(unfinished.iter().all(|tree| !tree.stopping));
    let_go(&mut kernel, &mut unfinished);
    assert_eq!(log.take(), [""; 0]);
}

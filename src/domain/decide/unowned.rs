//! What kind of orphan a worker is that no session owns, by where it stands and what it shows of itself; or why that isn't known.

use super::doubts;
use super::position::Position;
use super::world::{Standing, World};
use crate::domain::adoption::{self, AdoptionSign};
use crate::domain::orphan::OrphanKind;
use crate::domain::process::{Process, Stdin};
use crate::domain::verdict::{CLIENT, Keep, WORKER_BUSY};

/// It has no owner. What kind of orphan that makes it is a matter of where it stands.
pub(super) fn nobody(
    world: &World<'_>,
    process: &Process,
    position: Position,
    kind: OrphanKind,
) -> Result<OrphanKind, Keep> {
    match position {
        // The gateway that started it is gone, and the one above it has adopted it: no table is needed to say so.
        Position::Child(gateway)
            if world.gateways[gateway].is_older_than_its_process(process)
                && (kind == OrphanKind::OwnerlessWorker
                    || world.gateways[gateway].standing != Standing::Current) =>
        {
            Ok(OrphanKind::ParentlessWorker)
        }
        Position::Child(_) => Ok(kind),
        Position::Lost => Ok(OrphanKind::ParentlessWorker),
        // Its own mark says that the gateway that started it is gone.
        Position::Unclear(_) if world.view().bereft.contains(&process.identity.pid) => {
            Ok(OrphanKind::ParentlessWorker)
        }
        Position::Below(_) => Err(Keep::UnknownState(
            "it is under a gateway, but not its child: only a table can say whose it is".into(),
        )),
        Position::BelowFormer(_) => Err(doubts::no_process()),
        Position::Unclear(why) => Err(Keep::UnknownState(why.into())),
    }
}

/// Of a worker that no session names, where the gateway may not be the only one that starts such: its own mark has to say that the one that
/// started it is gone.
pub(super) fn left_behind(
    world: &World<'_>,
    process: &Process,
    position: Position,
) -> Result<OrphanKind, Keep> {
    let is_bereft = world.view().bereft.contains(&process.identity.pid);
    if world.view().at_work.contains(&process.identity.pid) {
        return Err(Keep::Held(vec![WORKER_BUSY.into()]));
    }
    if world.view().served.contains(&process.identity.pid) {
        return Err(Keep::Held(vec![CLIENT.into()]));
    }
    match position {
        Position::Lost | Position::Unclear(_) | Position::BelowFormer(_) if is_bereft => {
            Ok(OrphanKind::ParentlessWorker)
        }
        _ => Err(Keep::UnknownState(
            "no session names it, and nothing says that the server that started it is gone: another program may have started it".into(),
        )),
    }
}

/// Of a server that talks over stdin and is of no gateway: what is at the other end of that, and who its parent is by now. The shell that it
/// was started by counts with it.
pub(super) fn leftover(
    world: &World<'_>,
    process: &Process,
    position: &Position,
) -> Result<OrphanKind, Keep> {
    let kept = |why: &str| Err(Keep::UnknownState(why.into()));
    match world.view().stdin.get(&process.identity.pid) {
        Some(Stdin::Gone) => {}
        Some(Stdin::Held | Stdin::Serving) => return Err(Keep::Attached),
        Some(Stdin::AtPort) => {
            return kept(
                "the other end of its stdin is gone, but it listens at a port, as its command line says: it needs no host",
            );
        }
        Some(Stdin::Other(what)) => {
            let why = format!("its stdin is {what}, so nothing tells whether its host is there");
            return Err(Keep::UnknownState(why.into()));
        }
        Some(Stdin::Unknown(why)) => return Err(Keep::UnknownState(why.clone())),
        None => return kept("what is at the other end of its stdin wasn't seen"),
    }
    if position.gateway().is_some() || matches!(position, Position::BelowFormer(_)) {
        return kept("the other end of its stdin is gone, but it is below a gateway");
    }
    let head =
        world.ancestors(process).take_while(|above| above.is_wrapper_of(process)).last().unwrap_or(process);
    match adoption::sign(head, world.view()) {
        Some(
            AdoptionSign::UnderInit | AdoptionSign::UnderKnownSubreaper | AdoptionSign::LeaderlessSession,
        ) => Ok(OrphanKind::Leftover),
        Some(AdoptionSign::UnderFirst) => kept(
            "the other end of its stdin is gone, but its parent is process 1 of a container, which may be its host",
        ),
        None => kept("the other end of its stdin is gone, but its parent is there and may be its host"),
    }
}

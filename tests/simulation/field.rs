//! Situations that people met in the field and no world had: each is in some worlds, several together in a few.

use super::event::{Act, Event, Fate, Mishap, Slot, TableFault, Turnabout, Weather};
use super::rng::Rng;
use super::setup::{GatewaySetup, Names, Setup, Starts};

/// Gives a world some of them.
pub(crate) fn add(rng: &mut Rng, setup: &mut Setup, events: &mut Vec<(u64, Event)>, slots: u64) {
    setup.container = rng.percent(10);
    setup.as_root = rng.percent(40);
    for gateway in &mut setup.gateways {
        traits(rng, gateway);
    }
    // The number that a container's table gives as its gateway's may be any process's; another gateway with workers of its own can't be
    // told from it.
    if setup.has_contained() {
        setup.foreign_gateway = false;
    }
    let calm_at = setup.calm_at;
    for _ in 0..rng.between(1, 10) {
        let at = rng.between(0, calm_at - 1000);
        let event = event(rng, slots, setup);
        events.push((at, event.clone()));
        // What runs below another session's worker, once that was looked at, writes over its argv, and then the other session is left alone.
        if let Event::Session(host, Act::Nests(nested)) = event
            && rng.percent(50)
        {
            let renames = at + rng.between(10, 60) * 1000;
            let drops = renames + rng.between(1, 20) * 1000;
            if drops < calm_at {
                events.push((renames, Event::Worker(nested, Fate::Renames)));
                events.push((drops, Event::Session(host, Act::Drops)));
            }
        }
    }
    for _ in 0..rng.below(4) {
        let at = rng.between(0, calm_at - 1000);
        trouble(rng, setup, events, at);
    }
}

fn traits(rng: &mut Rng, gateway: &mut GatewaySetup) {
    gateway.starts = rng.pick(&[
        Starts::Children,
        Starts::Children,
        Starts::Children,
        Starts::Daemons,
        Starts::Launched,
        Starts::Wrapped(Names::TheWorker),
        Starts::Wrapped(Names::TheShell),
    ]);
    gateway.lazy = rng.percent(15);
    gateway.hides_keys = rng.percent(10);
    gateway.is_keyless = gateway.hides_keys && gateway.tells.worker_pids && rng.percent(60);
    gateway.takes_back = rng.percent(35);
    gateway.may_take_back = gateway.takes_back || rng.percent(50);
    gateway.counts_sleep = rng.percent(25);
    gateway.contained = rng.percent(5);
}

/// Gateways as those of kind `jupyter` or `command`: no table names a worker, the gateway's process or its run, and a close has no condition.
/// Some are found by `[gateway.process]`, or by who listens at their address.
pub(crate) fn tell_little(rng: &mut Rng, setup: &mut Setup) {
    for gateway in &mut setup.gateways {
        gateway.tells.pid = false;
        gateway.tells.instance = false;
        gateway.tells.worker_pids = false;
        gateway.found_by_argv = rng.percent(70);
        gateway.closes_blindly = true;
        // What no table names is found by its key alone.
        gateway.hides_keys = false;
        gateway.is_keyless = false;
        gateway.contained = false;
    }
}

/// A run ends one or a few, and puts off the others.
pub(crate) fn put_off(rng: &mut Rng, setup: &mut Setup) {
    for gateway in &mut setup.gateways {
        gateway.policy.max_reaps = rng.pick(&[1, 1, 2, 3]);
    }
}

fn event(rng: &mut Rng, slots: u64, setup: &Setup) -> Event {
    let one = |rng: &mut Rng| Slot(usize::try_from(rng.below(slots)).unwrap());
    let slot = one(rng);
    let gateway = usize::try_from(rng.below(setup.gateways.len() as u64)).unwrap();
    match rng.below(21) {
        0..=2 => Event::Worker(slot, Fate::Copies),
        3..=7 => Event::Worker(slot, Fate::CopiesAway),
        8..=9 => Event::Session(slot, Act::Nests(one(rng))),
        10 => Event::Session(slot, Act::Resumes),
        11..=12 => Event::Session(slot, Act::Rotates),
        13 => Event::Worker(slot, Fate::ChangesUser),
        14..=15 => Event::Session(slot, Act::Prompts),
        16 => Event::Gateway(gateway, Turnabout::Starts),
        17 => Event::Worker(slot, Fate::Renames),
        _ => Event::Machine(Weather::Sleeps(rng.between(10, 36_000) * 1000)),
    }
}

/// Gateways that answer with something else, and freezes of each side; often with a memory that is lost.
fn trouble(rng: &mut Rng, setup: &Setup, events: &mut Vec<(u64, Event)>, at: u64) {
    let gateway = usize::try_from(rng.below(setup.gateways.len() as u64)).unwrap();
    let reaper = usize::try_from(rng.below(setup.reapers.len() as u64)).unwrap();
    let span = rng.between(1, 60) * 1000;
    let shortest = setup.gateways.iter().map(|gateway| gateway.policy.worker_grace).min().unwrap_or_default();
    let blink = rng.between(0, u64::try_from(shortest.as_millis()).unwrap() / 2);
    let table = |fault, span| Event::Gateway(gateway, Turnabout::Table(fault, span));
    if rng.percent(30) {
        events.push((at, Event::Reaper(reaper, Mishap::LosesState)));
    }
    match rng.below(10) {
        0..=1 => events.push((at, table(TableFault::Unauthorized, span))),
        2 => events.push((at, table(TableFault::Listed, span))),
        3 => events.push((at, table(TableFault::Closed, blink))),
        4 => events.push((at, Event::Gateway(gateway, Turnabout::Hangs(span)))),
        5 => events.push((at, Event::Reaper(reaper, Mishap::SlowAudit(rng.between(100, 6000), span)))),
        6 => events.push((at, Event::Reaper(reaper, Mishap::Frozen(span)))),
        7 => {
            events.push((at, Event::Reaper(reaper, Mishap::Frozen(span))));
            events.push((at, Event::Gateway(gateway, Turnabout::Hangs(span))));
        }
        8 => events.push((at, Event::Gateway(gateway, Turnabout::Drains(rng.between(1, 300) * 1000)))),
        _ => {
            events.push((at, Event::Gateway(gateway, Turnabout::Crashes)));
            events.push((at + rng.between(100, 30_000), Event::Gateway(gateway, Turnabout::Starts)));
        }
    }
}

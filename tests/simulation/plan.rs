//! Makes a world from a seed: what it is made of, and everything that happens in it by itself.

use std::time::Duration;

use super::event::{
    Act, CloseFault, Event, Fate, Field, Leaves, Mishap, Slot, TableFault, Turnabout, Weather, Wrong,
};
use super::field;
use super::rng::Rng;
use super::setup::{Clocks, GatewaySetup, Rhythm, Setup, Starts, Tells};
use super::sim::Plan;
use gateway_reaper::config::defaults;
use gateway_reaper::domain::policy::Policy;

/// Of a hundred worlds so many have gateways that tell little, unless `SIMULATION_BARE` says otherwise.
pub(crate) const BARE: u64 = 10;

/// The plan of a seed; `bare`: of a hundred worlds so many have gateways that tell little.
pub(crate) fn of_seed(seed: u64, bare: u64) -> Plan {
    let mut rng = Rng::new(seed, 1);
    let calm_at = rng.between(30, 150) * 1000;
    let mut setup = setup(&mut rng, calm_at);
    let mut events = Vec::new();
    let slots = rng.between(1, 6);
    for slot in 0..slots {
        let at = rng.between(0, calm_at / 2);
        let built = if rng.percent(20) { build_time(&mut rng, &setup) } else { 0 };
        let gateway = usize::try_from(rng.below(setup.gateways.len() as u64)).unwrap();
        events.push((at, Event::Session(slot_of(slot), Act::Opens(gateway, built))));
    }
    for _ in 0..rng.between(4, 36) {
        let at = rng.between(0, calm_at - 1000);
        events.push((at, event(&mut rng, slots, &setup)));
    }
    if rng.percent(70) {
        for _ in 0..rng.between(1, 8) {
            let at = rng.between(0, calm_at - 1000);
            events.push((at, fault(&mut rng, slots, &setup)));
        }
    }
    // Turns end and clients go, mostly: what stays alive to the end proves little.
    for slot in 0..slots {
        if rng.percent(70) {
            events.push((calm_at - rng.between(0, 9000), Event::Session(slot_of(slot), Act::TurnEnds)));
            events.push((calm_at - rng.between(0, 9000), Event::Session(slot_of(slot), Act::Drops)));
        }
    }
    let mut field = Rng::new(seed, 4);
    if field.percent(70) {
        field::add(&mut field, &mut setup, &mut events, slots);
    }
    let mut rng = Rng::new(seed, 5);
    if rng.percent(bare) {
        field::tell_little(&mut rng, &mut setup);
    }
    let mut rng = Rng::new(seed, 6);
    if rng.percent(25) {
        field::put_off(&mut rng, &mut setup);
    }
    events.sort_by_key(|(at, _)| *at);
    Plan { seed, setup, events }
}

fn slot_of(index: u64) -> Slot {
    Slot(usize::try_from(index).unwrap())
}

/// A worker that is there before its session's row looks ownerless; no gateway takes a worker's grace for that.
fn build_time(rng: &mut Rng, setup: &Setup) -> u64 {
    let shortest = setup.gateways.iter().map(|gateway| gateway.policy.worker_grace).min().unwrap_or_default();
    rng.between(0, u64::try_from(shortest.as_millis()).unwrap() / 2)
}

fn setup(rng: &mut Rng, calm_at: u64) -> Setup {
    let gateways = (0..rng.between(1, 2)).map(|_| gateway(rng)).collect();
    let every = rng.pick(&[2000, 5000, 10_000, 30_000]);
    let watches = rng.percent(50);
    let rhythm = Rhythm { every, watches, jitter: if watches { 0 } else { rng.pick(&[0, 3000]) } };
    let mut reapers = vec![rhythm];
    if rng.percent(10) {
        reapers.push(Rhythm { every: rng.pick(&[3000, 10_000]), watches: false, jitter: 1000 });
    }
    Setup {
        pid_max: u32::try_from(rng.pick(&[48, 64, 100, 300])).unwrap(),
        pidfs: rng.percent(60),
        init_is_init: rng.percent(80),
        supervisor_adopts: rng.percent(30),
        gateways,
        foreign_gateway: rng.percent(30),
        container: false,
        as_root: false,
        reapers,
        misses: rng.pick(&[0, 5, 20]),
        kernel_fails: rng.pick(&[0, 0, 0, 5]),
        races: rng.pick(&[0, 0, 2, 10]),
        instant_calls: false,
        tells_keeps: false,
        calm_at,
    }
}

fn gateway(rng: &mut Rng) -> GatewaySetup {
    let seconds = |rng: &mut Rng, from: &[u64]| Duration::from_secs(rng.pick(from));
    GatewaySetup {
        tells: Tells {
            pid: rng.percent(90),
            instance: rng.percent(80),
            worker_pids: rng.percent(70),
            clocks: rng.pick(&[
                Clocks::None,
                Clocks::Both,
                Clocks::Both,
                Clocks::DetachedOnly,
                Clocks::IdleOnly,
            ]),
            activity: rng.percent(50),
        },
        found_by_argv: rng.percent(30),
        shares_group: rng.percent(50),
        workers_watch: rng.percent(30),
        starts: Starts::Children,
        lazy: false,
        hides_keys: false,
        is_keyless: false,
        takes_back: false,
        may_take_back: true,
        counts_sleep: false,
        closes_blindly: false,
        contained: false,
        leaks: rng.percent(20),
        exit_ms: rng.pick(&[1, 20, 500, 3000]),
        waits_ms: rng.pick(&[0, 0, 50, 5000]),
        policy: Policy {
            grace: seconds(rng, &[0, 5, 20, 30]),
            close_on_disconnect_grace: seconds(rng, &[0, 0, 5]),
            worker_grace: seconds(rng, &[0, 10, 30, 60]),
            close_timeout: seconds(rng, &[1, 4, 10]),
            term_timeout: seconds(rng, &[1, 5]),
            ..defaults::policy()
        },
    }
}

fn event(rng: &mut Rng, slots: u64, setup: &Setup) -> Event {
    let slot = slot_of(rng.below(slots));
    match rng.below(100) {
        0..=24 => Event::Session(slot, Act::Drops),
        25..=32 => Event::Session(slot, Act::Attaches),
        33..=39 => Event::Session(slot, Act::Prompts),
        40..=46 => Event::Session(slot, Act::TurnEnds),
        47..=48 => Event::Session(slot, Act::Asks),
        49..=51 => {
            Event::Session(slot, Act::Held(rng.pick(&["delegation", "approval", "background-process"])))
        }
        52..=54 => Event::Session(slot, Act::Released),
        55..=57 => Event::Session(slot, Act::Closes),
        58..=61 => {
            let gateway = usize::try_from(rng.below(setup.gateways.len() as u64)).unwrap();
            Event::Session(slot, Act::Opens(gateway, 0))
        }
        62 => Event::Session(slot, Act::Twins(slot_of(rng.below(slots)))),
        63..=70 => Event::Worker(slot, Fate::Forks),
        71..=73 => Event::Worker(slot, Fate::ForksLeader),
        74..=76 => Event::Worker(slot, Fate::Daemonizes),
        77..=79 => Event::Worker(slot, Fate::ChildForks),
        80 => Event::Worker(slot, Fate::ChildExits),
        81..=83 => Event::Worker(slot, Fate::TurnsDeaf),
        84..=85 => Event::Worker(slot, Fate::ChildTurnsDeaf),
        86 => Event::Worker(slot, Fate::Stops),
        87 if rng.percent(50) => Event::Session(slot, Act::EndsWithTransport),
        87 => Event::Worker(slot, Fate::ChildChangesUser),
        88 => Event::Worker(slot, Fate::LeadsSession),
        89..=91 => Event::Worker(slot, Fate::Crashes),
        92..=93 => Event::Worker(slot, Fate::Replaced(rng.pick(&[Leaves::Nothing, Leaves::TheOldOne]))),
        _ => Event::Churn(rng.between(1, 60)),
    }
}

fn fault(rng: &mut Rng, slots: u64, setup: &Setup) -> Event {
    let slot = slot_of(rng.below(slots));
    let gateway = usize::try_from(rng.below(setup.gateways.len() as u64)).unwrap();
    let span = rng.between(1, 20) * 1000;
    let reaper = usize::try_from(rng.below(setup.reapers.len() as u64)).unwrap();
    match rng.below(100) {
        0..=7 => Event::Gateway(gateway, Turnabout::Crashes),
        8..=13 => Event::Gateway(gateway, Turnabout::Starts),
        14..=17 => Event::Gateway(gateway, Turnabout::Execs),
        18..=21 => Event::Gateway(gateway, Turnabout::Hangs(span)),
        22..=33 => Event::Gateway(gateway, table_fault(rng, slot, span, setup)),
        34..=45 => {
            let close = match rng.below(5) {
                0 => CloseFault::Mute,
                1 => CloseFault::Fails,
                2 => CloseFault::Hollow,
                3 => CloseFault::Late(rng.between(1000, 15_000)),
                _ => CloseFault::Slow(rng.between(100, 12_000)),
            };
            Event::Gateway(gateway, Turnabout::Close(close, span))
        }
        46..=47 => Event::Gateway(gateway, Turnabout::Leaks),
        48..=50 => Event::Machine(Weather::Sleeps(rng.between(10, 36_000) * 1000)),
        51..=52 => Event::Machine(Weather::WallJumps(if rng.percent(50) { -3600 } else { 3600 })),
        53 => Event::Machine(Weather::Reboots),
        54..=55 => Event::Foreign(rng.pick(&[Turnabout::Crashes, Turnabout::Starts])),
        56..=61 => {
            let field = rng.pick(&[
                Field::Transport,
                Field::Turn,
                Field::Holds,
                Field::CloseOnDisconnect,
                Field::Worker,
                Field::Key,
                Field::TransportMissing,
                Field::TurnMissing,
            ]);
            Event::Session(slot, Act::Obscured(field))
        }
        62..=66 => {
            let wrong = match rng.below(6) {
                0 => Wrong::Init,
                1 => Wrong::Reaper,
                2 => Wrong::Gateway,
                3 => Wrong::Bystander,
                4 => Wrong::Another(slot_of(rng.below(slots))),
                _ => Wrong::Nobody,
            };
            Event::Session(slot, Act::Misnamed(wrong))
        }
        67..=81 => Event::Reaper(reaper, Mishap::Killed(rng.pick(&[0, 1, 2, 3, 5, 8, 13, 21, 34, 55]))),
        82..=83 => Event::Reaper(reaper, Mishap::LosesState),
        84..=85 => Event::Reaper(reaper, Mishap::LedgerTorn),
        86 => Event::Reaper(reaper, Mishap::JournalTorn),
        87..=88 => Event::Reaper(reaper, Mishap::LedgerRolledBack),
        89..=90 => Event::Reaper(reaper, Mishap::DirectoryRolledBack),
        91 => Event::Reaper(reaper, Mishap::Foreign),
        92..=93 => Event::Reaper(reaper, Mishap::DiskFull(span)),
        _ => Event::Sweep(reaper),
    }
}

fn table_fault(rng: &mut Rng, slot: Slot, span: u64, setup: &Setup) -> Turnabout {
    let lie = build_time(rng, setup);
    match rng.below(10) {
        0..=1 => Turnabout::Table(TableFault::Unreachable, span),
        2..=3 => Turnabout::Table(TableFault::Refused, span),
        4..=6 => Turnabout::Table(TableFault::Late(rng.between(100, 7000)), span),
        7 => Turnabout::Table(TableFault::Omits(slot), lie),
        _ => Turnabout::Table(TableFault::Anonymous, span),
    }
}

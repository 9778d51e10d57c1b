//! Stories as text: what the world is made of, then what happens when.

use std::time::Duration;

use crate::simulation::event::{
    Act, CloseFault, Event, Fate, Field, Leaves, Mishap, Slot, TableFault, Turnabout, Weather, Wrong,
};
use crate::simulation::setup::{Clocks, Rhythm, Setup, default_gateway, default_setup};

/// A story.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) setup: Setup,
    pub(crate) events: Vec<(u64, Event)>,
    pub(crate) until: u64,
}

/// Reads a story; the error says which line isn't understood.
pub(crate) fn story(text: &str) -> Result<Story, String> {
    let mut setup = default_setup();
    setup.tells_keeps = true;
    setup.instant_calls = true;
    setup.reapers = vec![Rhythm { every: 0, watches: false, jitter: 0 }];
    let mut story = Story { setup, events: Vec::new(), until: 0 };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        read(&words, &mut story).ok_or_else(|| format!("not understood: {line}"))?;
    }
    Ok(story)
}

fn read(words: &[&str], story: &mut Story) -> Option<()> {
    let setup = &mut story.setup;
    let gateway = setup.gateways.last_mut()?;
    match words {
        ["at", at, rest @ ..] => {
            let at = millis(at)?;
            story.events.push((at, event(rest)?));
            story.until = story.until.max(at + 60_000);
        }
        ["until", at] => story.until = millis(at)?,
        ["sweep", "every", every] => setup.reapers[0].every = millis(every)?,
        ["policy", key, value] => {
            let policy = &mut gateway.policy;
            let value = Duration::from_millis(millis(value)?);
            match *key {
                "grace" => policy.grace = value,
                "worker_grace" => policy.worker_grace = value,
                "close_on_disconnect_grace" => policy.close_on_disconnect_grace = value,
                "close_timeout" => policy.close_timeout = value,
                "term_timeout" => policy.term_timeout = value,
                _ => return None,
            }
        }
        ["another", "gateway"] => setup.gateways.push(default_gateway()),
        ["foreign", "gateway"] => setup.foreign_gateway = true,
        ["subreaper"] => setup.supervisor_adopts = true,
        ["container"] => setup.init_is_init = false,
        ["pids", "up", "to", max] => setup.pid_max = max.parse().ok()?,
        ["gateway", "without", what] => {
            let tells = &mut gateway.tells;
            match *what {
                "pid" => tells.pid = false,
                "instance" => tells.instance = false,
                "workers" => tells.worker_pids = false,
                "clocks" => tells.clocks = Clocks::None,
                "activity" => tells.activity = false,
                _ => return None,
            }
        }
        ["gateway", "shares", "its", "group"] => gateway.shares_group = true,
        ["gateway", "leaks"] => gateway.leaks = true,
        _ => return None,
    }
    Some(())
}

fn millis(text: &str) -> Option<u64> {
    let span = humantime::parse_duration(text).ok()?;
    u64::try_from(span.as_millis()).ok()
}

fn slot(name: &str) -> Option<Slot> {
    let letter = name.bytes().next().filter(u8::is_ascii_lowercase)?;
    (name.len() == 1).then(|| Slot(usize::from(letter - b'a')))
}

fn event(words: &[&str]) -> Option<Event> {
    Some(match words {
        ["sweep"] => Event::Sweep(0),
        ["churn", count] => Event::Churn(count.parse().ok()?),
        ["session", name, rest @ ..] => Event::Session(slot(name)?, act(rest)?),
        ["worker", name, rest @ ..] => Event::Worker(slot(name)?, fate(rest)?),
        ["gateway", "1", rest @ ..] => Event::Gateway(1, turnabout(rest)?),
        ["gateway", rest @ ..] => Event::Gateway(0, turnabout(rest)?),
        ["foreign", "gateway", rest @ ..] => Event::Foreign(turnabout(rest)?),
        ["machine", "sleeps", span] => Event::Machine(Weather::Sleeps(millis(span)?)),
        ["machine", "reboots"] => Event::Machine(Weather::Reboots),
        ["wall", "clock", "jumps", span] => {
            Event::Machine(Weather::WallJumps(i64::try_from(millis(span)?).ok()?))
        }
        ["reaper", rest @ ..] => Event::Reaper(0, mishap(rest)?),
        _ => return None,
    })
}

fn act(words: &[&str]) -> Option<Act> {
    Some(match words {
        ["opens"] => Act::Opens(0, 0),
        ["opens", "on", gateway] => Act::Opens(gateway.parse().ok()?, 0),
        ["opens", "being", "built", "for", span] => Act::Opens(0, millis(span)?),
        ["attaches"] => Act::Attaches,
        ["drops"] => Act::Drops,
        ["prompts"] => Act::Prompts,
        ["asks"] => Act::Asks,
        ["turn", "ends"] => Act::TurnEnds,
        ["held", "by", "delegation"] => Act::Held("delegation"),
        ["held", "by", "approval"] => Act::Held("approval"),
        ["held", "by", "background-process"] => Act::Held("background-process"),
        ["held", "by", "queued-prompt"] => Act::Held("queued-prompt"),
        ["held", "by", "not-ours"] => Act::Held("not-ours"),
        ["released"] => Act::Released,
        ["closes"] => Act::Closes,
        ["twins", "as", other] => Act::Twins(slot(other)?),
        ["ends", "with", "its", "transport"] => Act::EndsWithTransport,
        ["says", "nonsense", "in", field] => Act::Obscured(match *field {
            "transport" => Field::Transport,
            "turn" => Field::Turn,
            "holds" => Field::Holds,
            "worker" => Field::Worker,
            "key" => Field::Key,
            _ => return None,
        }),
        ["says", "no", "transport"] => Act::Obscured(Field::TransportMissing),
        ["says", "no", "turn"] => Act::Obscured(Field::TurnMissing),
        ["names", "init"] => Act::Misnamed(Wrong::Init),
        ["names", "the", "gateway"] => Act::Misnamed(Wrong::Gateway),
        ["names", "a", "bystander"] => Act::Misnamed(Wrong::Bystander),
        ["names", "the", "worker", "of", other] => Act::Misnamed(Wrong::Another(slot(other)?)),
        _ => return None,
    })
}

fn fate(words: &[&str]) -> Option<Fate> {
    Some(match words {
        ["crashes"] => Fate::Crashes,
        ["is", "replaced"] => Fate::Replaced(Leaves::Nothing),
        ["is", "replaced", "and", "stays"] => Fate::Replaced(Leaves::TheOldOne),
        ["forks"] => Fate::Forks,
        ["forks", "a", "leader"] => Fate::ForksLeader,
        ["daemonizes"] => Fate::Daemonizes,
        ["child", "exits"] => Fate::ChildExits,
        ["child", "forks"] => Fate::ChildForks,
        ["turns", "deaf"] => Fate::TurnsDeaf,
        ["child", "turns", "deaf"] => Fate::ChildTurnsDeaf,
        ["stops"] => Fate::Stops,
        ["child", "changes", "user"] => Fate::ChildChangesUser,
        ["leads", "a", "session"] => Fate::LeadsSession,
        _ => return None,
    })
}

fn turnabout(words: &[&str]) -> Option<Turnabout> {
    let table = |fault, span| Some(Turnabout::Table(fault, millis(span)?));
    let close = |fault, span| Some(Turnabout::Close(fault, millis(span)?));
    Some(match words {
        ["crashes"] => Turnabout::Crashes,
        ["starts"] => Turnabout::Starts,
        ["execs"] => Turnabout::Execs,
        ["leaks"] => Turnabout::Leaks,
        ["hangs", "for", span] => Turnabout::Hangs(millis(span)?),
        ["is", "unreachable", "for", span] => table(TableFault::Unreachable, span)?,
        ["is", "truncated", "for", span] => table(TableFault::Refused, span)?,
        ["is", "anonymous", "for", span] => table(TableFault::Anonymous, span)?,
        ["answers", "late", "by", late, "for", span] => table(TableFault::Late(millis(late)?), span)?,
        ["omits", name, "for", span] => table(TableFault::Omits(slot(name)?), span)?,
        ["closes", "without", "answering", "for", span] => close(CloseFault::Mute, span)?,
        ["fails", "to", "close", "for", span] => close(CloseFault::Fails, span)?,
        ["closes", "hollow", "for", span] => close(CloseFault::Hollow, span)?,
        ["closes", "late", "by", late, "for", span] => close(CloseFault::Late(millis(late)?), span)?,
        ["closes", "slowly", "in", slow, "for", span] => close(CloseFault::Slow(millis(slow)?), span)?,
        _ => return None,
    })
}

fn mishap(words: &[&str]) -> Option<Mishap> {
    Some(match words {
        ["killed"] => Mishap::Killed(0),
        ["killed", "after", calls, "calls"] => Mishap::Killed(calls.parse().ok()?),
        ["loses", "its", "state"] => Mishap::LosesState,
        ["ledger", "torn"] => Mishap::LedgerTorn,
        ["journal", "torn"] => Mishap::JournalTorn,
        ["ledger", "rolled", "back"] => Mishap::LedgerRolledBack,
        ["directory", "rolled", "back"] => Mishap::DirectoryRolledBack,
        ["directory", "of", "another", "machine"] => Mishap::Foreign,
        ["disk", "full", "for", span] => Mishap::DiskFull(millis(span)?),
        _ => return None,
    })
}

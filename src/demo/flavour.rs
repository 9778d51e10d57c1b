//! The kinds of worker that the demo gateway can start: the good one, and every bad one a reaper has to cope with.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How a worker behaves, and what family it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// No children; dies by SIGTERM.
    #[default]
    Plain,
    /// One plain child.
    Parent,
    /// Three descendants: a child, and a child that leads a session of its own (`setsid`) and has a child there.
    Family,
    /// Ignores SIGTERM.
    Stubborn,
    /// The family, and all of it ignores SIGTERM.
    StubbornFamily,
    /// Stopped (SIGSTOP) by the gateway as soon as it is up.
    Stopped,
    /// Forks when it gets SIGTERM, then exits; what it forked lives on.
    ForksWhileDying,
    /// Has a descendant that was forked twice: its parent is gone, its session is still that of the worker.
    DoubleForks,
    /// Has a descendant that was forked twice and left the session too, as daemons do.
    Daemonizes,
    /// Not for sessions: the process in the middle of a double fork. Starts one plain child and exits.
    #[value(hide = true)]
    Intermediate,
}

/// What a process does when SIGTERM comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnSigterm {
    Dies,
    Ignores,
    ForksThenDies,
}

/// A child that a worker starts before it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offspring {
    pub(super) flavour: Flavour,
    pub(super) leads: Leads,
}

/// What a process makes itself the leader of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leads {
    /// Nothing: it shares its parent's process group, as the workers of leaky gateways do (hermes-agent #56349: killpg took the gateway
    /// with it).
    #[default]
    Nothing,
    /// A session, and with it a process group, of its own.
    Session,
}

impl Flavour {
    pub(super) fn on_sigterm(self) -> OnSigterm {
        match self {
            Self::Stubborn | Self::StubbornFamily => OnSigterm::Ignores,
            Self::ForksWhileDying => OnSigterm::ForksThenDies,
            Self::Plain
            | Self::Parent
            | Self::Family
            | Self::Stopped
            | Self::DoubleForks
            | Self::Daemonizes
            | Self::Intermediate => OnSigterm::Dies,
        }
    }

    pub(super) fn offspring(self) -> Vec<Offspring> {
        let child = |flavour, leads| Offspring { flavour, leads };
        match self {
            Self::Plain | Self::Stubborn | Self::Stopped | Self::ForksWhileDying => Vec::new(),
            Self::Parent | Self::Intermediate => vec![child(Self::Plain, Leads::Nothing)],
            Self::Family => vec![child(Self::Plain, Leads::Nothing), child(Self::Parent, Leads::Session)],
            Self::StubbornFamily => {
                vec![child(Self::Stubborn, Leads::Nothing), child(Self::Stubborn, Leads::Session)]
            }
            Self::DoubleForks => vec![child(Self::Intermediate, Leads::Nothing)],
            Self::Daemonizes => vec![child(Self::Intermediate, Leads::Session)],
        }
    }
}

//! The tables of a small world: every set of up to three rows, whatever they say, of two gateways.

use gateway_reaper::domain::table::{Session, TableView, Told, Transport};

use super::scene::FIRST;
use crate::world::*;

/// What a row says of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Nothing,
    HasNone,
    Gibberish,
    /// It names the worker of this number.
    Names(u32),
    /// It names a process that isn't there.
    NamesNobody,
    /// It names a process that is no worker.
    NamesStranger,
}

/// What a row says; `None`: its key isn't understood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) key: Option<&'static str>,
    pub(super) says: Says,
    pub(super) is_attached: bool,
}

impl Row {
    fn session(self, id: &'static str) -> Session {
        let row = Session {
            transport: Told::Known(if self.is_attached { Transport::Attached } else { Transport::Detached }),
            key: self.key.map_or_else(gibberish, |key| Told::Known(key.into())),
            ..detached(id)
        };
        match self.says {
            Says::Nothing => row,
            Says::HasNone => without_worker(row),
            Says::Gibberish => Session { worker: gibberish(), ..row },
            Says::Names(number) => with_worker(row, FIRST + number),
            Says::NamesNobody => with_worker(row, 299),
            Says::NamesStranger => with_worker(row, 61),
        }
    }
}

/// All rows with these keys that say this.
pub(super) fn rows(keys: &[Option<&'static str>], says: &[Says]) -> Vec<Row> {
    let of_key = |key: &Option<&'static str>| {
        let key = *key;
        says.iter().map(move |says| Row { key, says: *says, is_attached: false })
    };
    keys.iter().flat_map(of_key).collect()
}

/// What a gateway answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// A table.
    Table,
    /// A table that says that its gateway is another process.
    TableOfAnother,
    Refuses,
    Hangs,
    NothingListens,
    /// No table, only a session that there is.
    Lists,
}

impl Answers {
    pub(super) const ALL: [Self; 6] =
        [Self::Table, Self::TableOfAnother, Self::Refuses, Self::Hangs, Self::NothingListens, Self::Lists];

    pub(super) fn has_rows(self) -> bool {
        matches!(self, Self::Table | Self::TableOfAnother)
    }
}

/// The tables of `gw` and, where there is one, of `other`.
pub(super) type Tables = Vec<TableView>;

/// The tables of two gateways that answer this, with every set of so many rows and no fewer, whatever their order.
pub(super) fn tables(answers: [Answers; 2], rows: &[Row], count: usize) -> Vec<Tables> {
    let of: Vec<(usize, Row)> = (0..2)
        .filter(|gateway| answers[*gateway].has_rows())
        .flat_map(|gateway| rows.iter().map(move |row| (gateway, *row)))
        .collect();
    let sets = multisets(of.len(), count);
    let table = |set: &Vec<usize>, gateway: usize| {
        let chosen = set.iter().zip(["r0", "r1", "r2"]).map(|(kind, id)| (of[*kind], id));
        let own = chosen.filter(|((of, _), _)| *of == gateway);
        view(gateway, answers[gateway], own.map(|((_, row), id)| row.session(id)).collect())
    };
    sets.iter().map(|set| vec![table(set, 0), table(set, 1)]).collect()
}

fn view(gateway: usize, answers: Answers, sessions: Vec<Session>) -> TableView {
    let mut world = World::new();
    let name = ["gw", "other"][gateway];
    if gateway == 1 {
        world.gateway(name, 110);
    }
    match answers {
        Answers::Table => world.table(name).sessions = sessions,
        Answers::TableOfAnother => {
            world.table(name).sessions = sessions;
            world.table(name).gateway_pid = Some(pid(61));
        }
        Answers::Refuses => world.of(name).table = TableView::refused("401"),
        Answers::Hangs => world.of(name).table = TableView::unreachable("hangs"),
        Answers::NothingListens => world.of(name).table = TableView::nothing_listens("connection refused"),
        Answers::Lists => world.of(name).table = TableView::listed([id("listed")], "no table"),
    }
    world.of(name).table.clone()
}

/// All multisets of so many of these kinds.
fn multisets(kinds: usize, count: usize) -> Vec<Vec<usize>> {
    let mut sets = vec![Vec::new()];
    for _ in 0..count {
        let longer = |set: &Vec<usize>| {
            let set = set.clone();
            (set.last().copied().unwrap_or_default()..kinds).map(move |kind| [&set[..], &[kind]].concat())
        };
        sets = sets.iter().flat_map(longer).collect();
    }
    sets
}

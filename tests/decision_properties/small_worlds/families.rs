//! Which small worlds there are, in families: the scenes of each meet all of its tables.

use super::scene::{BETWEEN, OLD, Odd, Scene, SeenBelow, Under, Worker, YOUNG};
use super::tables::{Answers, Row, Says, Tables, rows, tables};

/// Scenes and tables that meet each other.
pub(super) struct Family {
    pub(super) scenes: Vec<Scene>,
    pub(super) tables: Vec<Tables>,
}

type Keys = &'static [Option<&'static str>];

/// Everything that can be said of one worker, beside one gateway or two, with up to three rows.
pub(super) fn one_worker() -> Vec<Family> {
    use Says::*;
    let keys = [Some("a"), Some("b"), None];
    let kinds = rows(&keys, &[Nothing, HasNone, Gibberish, Names(0), NamesNobody]);
    let strange = rows(&keys, &[NamesStranger]);
    let mut all = Vec::new();
    for are_there in [[true, true], [false, true], [true, false], [false, false]] {
        for has_other in [true, false] {
            for answers in answers(are_there, has_other) {
                let mut scenes = Vec::new();
                for take_back in takes(answers, has_other) {
                    // Whether its kind takes workers back is asked of one that is older than a gateway.
                    let workers = single_workers().filter(|worker| *take_back || worker.started != YOUNG);
                    let scene = |worker| Scene {
                        workers: vec![worker],
                        has_other,
                        are_there,
                        is_contained: false,
                        take_back: *take_back,
                    };
                    scenes.extend(workers.map(scene).filter(Scene::can_be));
                }
                let attached = kinds.iter().map(|row| Row { is_attached: true, ..*row });
                let either: Vec<Row> = kinds.iter().chain(&strange).copied().chain(attached).collect();
                let mut of = tables(answers, &either, 1);
                of.extend([0, 2].into_iter().flat_map(|count| tables(answers, &kinds, count)));
                // A third row adds nothing to why a table isn't to be trusted.
                if answers.iter().all(|answers| matches!(answers, Answers::Table | Answers::Refuses)) {
                    of.extend(tables(answers, &kinds, 3));
                }
                let tables = if has_other { of } else { alone(of) };
                if are_there[0] && answers[0] != Answers::Hangs {
                    all.push(contained(&scenes, &tables));
                }
                all.push(Family { scenes, tables });
            }
        }
    }
    all
}

/// The same, the first gateway in another PID namespace; with up to two rows.
fn contained(scenes: &[Scene], tables: &[Tables]) -> Family {
    let rows = |views: &Tables| -> usize {
        views.iter().filter_map(|view| view.current()).map(|table| table.sessions.len()).sum()
    };
    Family {
        scenes: scenes.iter().map(|scene| Scene { is_contained: true, ..scene.clone() }).collect(),
        tables: tables.iter().filter(|views| rows(views) <= 2).cloned().collect(),
    }
}

/// What two gateways of which these are there can answer: what isn't there answers no table that it could be told by.
fn answers(are_there: [bool; 2], has_other: bool) -> Vec<[Answers; 2]> {
    use Answers::*;
    let of_other: &[Answers] = if has_other { &[Table, Refuses, NothingListens] } else { &[NothingListens] };
    // A second gateway that doesn't exist isn't there either.
    if !has_other && are_there[1] {
        return Vec::new();
    }
    let first = Answers::ALL.into_iter().filter(|it| are_there[0] || *it != TableOfAnother);
    first.flat_map(|first| of_other.iter().map(move |other| [first, *other])).collect()
}

/// Whether the kinds take workers back: that is asked only where there is no table.
fn takes(answers: [Answers; 2], has_other: bool) -> &'static [bool] {
    let has_tables = answers[0].has_rows() && (!has_other || answers[1].has_rows());
    if has_tables { &[true] } else { &[true, false] }
}

/// The same tables, without those of the second gateway.
fn alone(mut tables: Vec<Tables>) -> Vec<Tables> {
    for views in &mut tables {
        views.truncate(1);
    }
    tables
}

fn single_workers() -> impl Iterator<Item = Worker> {
    use Under::*;
    let under = [Gateway, Other, Init, Stranger, Shell, Helper].into_iter();
    let with_memory = under.flat_map(|under| {
        let seen_below = [SeenBelow::None, SeenBelow::Gateway, SeenBelow::Former];
        seen_below.map(|seen_below| Worker { under, seen_below, ..Worker::PLAIN })
    });
    let of_age =
        with_memory.flat_map(|worker| [OLD, BETWEEN, YOUNG].map(|started| Worker { started, ..worker }));
    let with_key = of_age.flat_map(|worker| [Some("a"), None].map(|key| Worker { key, ..worker }));
    with_key.flat_map(|worker| Odd::ALL.map(|odd| Worker { odd, ..worker }))
}

/// What is asked of the tables where there are two workers or three.
const STANDINGS: [([bool; 2], [Answers; 2]); 9] = {
    use Answers::{NothingListens, Refuses, Table};
    [
        ([true, true], [Table, Table]),
        ([true, true], [Table, Refuses]),
        ([true, true], [Refuses, Table]),
        ([true, true], [Refuses, Refuses]),
        ([true, false], [Table, NothingListens]),
        ([false, true], [NothingListens, Table]),
        ([true, false], [Refuses, NothingListens]),
        ([false, true], [NothingListens, Refuses]),
        ([false, false], [NothingListens, NothingListens]),
    ]
};

/// Two workers, each with the whole evidence; `most` of them odd, and so many rows.
pub(super) fn two_workers(most_odd: usize, counts: &[usize]) -> Vec<Family> {
    use Says::*;
    let mut all = Vec::new();
    // The keys of both, in the order in which they are met; and those of rows, one of which no worker carries.
    let keys: [(Keys, Keys); 5] = [
        (&[None, None], &[Some("a"), None]),
        (&[Some("a"), None], &[Some("a"), Some("b"), None]),
        (&[None, Some("a")], &[Some("a"), Some("b"), None]),
        (&[Some("a"), Some("a")], &[Some("a"), Some("b"), None]),
        (&[Some("a"), Some("b")], &[Some("a"), Some("b"), Some("c"), None]),
    ];
    for (of_workers, of_rows) in keys {
        let kinds = rows(of_rows, &[Nothing, HasNone, Gibberish, Names(0), Names(1), NamesNobody]);
        for (are_there, answers) in STANDINGS {
            let mut scenes = Vec::new();
            for take_back in takes(answers, true) {
                let is_old = |workers: &Vec<Worker>| workers[0].started < YOUNG;
                let workers = pairs(of_workers, most_odd).into_iter();
                let workers = workers.filter(|workers| *take_back || is_old(workers));
                let scene = |workers| Scene {
                    workers,
                    has_other: true,
                    are_there,
                    is_contained: false,
                    take_back: *take_back,
                };
                scenes.extend(workers.map(scene).filter(Scene::can_be));
            }
            let of = counts.iter().flat_map(|count| tables(answers, &kinds, *count)).collect();
            all.push(Family { scenes, tables: of });
        }
    }
    all
}

/// Two workers: the second is no older than the first. Of the gateways, the first is met first.
fn pairs(keys: Keys, most_odd: usize) -> Vec<Vec<Worker>> {
    use Under::*;
    let alone = [
        (Gateway, SeenBelow::None),
        (Other, SeenBelow::None),
        (Init, SeenBelow::None),
        (Stranger, SeenBelow::None),
        (Stranger, SeenBelow::Gateway),
    ];
    let mut all = Vec::new();
    for first in alone {
        for second in alone.into_iter().chain([(Above(0), SeenBelow::None)]) {
            let met = [first, second]
                .into_iter()
                .find(|(under, below)| *under == Other || *under == Gateway || *below == SeenBelow::Gateway);
            if met.is_some_and(|(under, _)| under == Other) {
                continue;
            }
            for started in [[OLD, OLD], [OLD, OLD + 1], [OLD, YOUNG], [YOUNG, YOUNG], [YOUNG, YOUNG + 1]] {
                for (first_odd, second_odd) in odds(most_odd) {
                    let of = |(under, seen_below), started, key, odd| Worker {
                        under,
                        seen_below,
                        started,
                        key,
                        odd,
                    };
                    all.push(vec![
                        of(first, started[0], keys[0], first_odd),
                        of(second, started[1], keys[1], second_odd),
                    ]);
                }
            }
        }
    }
    all
}

fn odds(most: usize) -> impl Iterator<Item = (Odd, Odd)> {
    let all = Odd::ALL.into_iter().flat_map(|first| Odd::ALL.map(|second| (first, second)));
    let is_odd = |odd: Odd| usize::from(odd != Odd::Plain);
    all.filter(move |(first, second)| is_odd(*first) + is_odd(*second) <= most)
}

/// Three workers that carry keys, at most one of which is a zombie or another user's, with up to three rows.
pub(super) fn three_workers() -> Vec<Family> {
    use Says::*;
    let mut all = Vec::new();
    let keys: [(Keys, Keys); 5] = [
        (&[Some("a"), Some("a"), Some("a")], &[Some("a")]),
        (&[Some("a"), Some("a"), Some("b")], &[Some("a"), Some("b")]),
        (&[Some("a"), Some("b"), Some("a")], &[Some("a"), Some("b")]),
        (&[Some("a"), Some("b"), Some("b")], &[Some("a"), Some("b")]),
        (&[Some("a"), Some("b"), Some("c")], &[Some("a"), Some("b"), Some("c")]),
    ];
    for (of_workers, of_rows) in keys {
        let kinds = rows(of_rows, &[Nothing, HasNone, Names(0), Names(1), Names(2)]);
        for (are_there, answers) in STANDINGS {
            let scene =
                |workers| Scene { workers, has_other: true, are_there, is_contained: false, take_back: true };
            let scenes = triples(of_workers).into_iter().map(scene).filter(Scene::can_be).collect();
            let of = (0..=3).flat_map(|count| tables(answers, &kinds, count)).collect();
            all.push(Family { scenes, tables: of });
        }
    }
    all
}

/// Three workers, the oldest first, each of which may be below an older one. Of the gateways, the first is met first.
fn triples(keys: Keys) -> Vec<Vec<Worker>> {
    use Under::*;
    let alone = [Gateway, Other, Init];
    let mut all = Vec::new();
    for first in alone {
        for second in alone.into_iter().chain([Above(0)]) {
            for third in alone.into_iter().chain([Above(0), Above(1)]) {
                let under = [first, second, third];
                let met = under.into_iter().find(|under| matches!(under, Gateway | Other));
                if met == Some(Other) {
                    continue;
                }
                for old in 0..=3 {
                    for odd in 0..7 {
                        let worker = |number: usize| Worker {
                            under: under[number],
                            started: if number < old { OLD } else { YOUNG } + number as u64,
                            key: keys[number],
                            odd: match odd {
                                0 => Odd::Plain,
                                odd if (odd - 1) % 3 != number => Odd::Plain,
                                1..=3 => Odd::Zombie,
                                _ => Odd::OtherUser,
                            },
                            ..Worker::PLAIN
                        };
                        all.push((0..3).map(worker).collect());
                    }
                }
            }
        }
    }
    all
}

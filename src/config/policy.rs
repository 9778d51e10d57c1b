//! The keys of `[policy]`, which may also stand under a gateway and then win there.

use std::time::Duration;

use crate::domain::policy::{CpuShare, Policy, WithoutTable};

use super::duration;
use super::kinds::{self, GatewayKind};
use super::section::Section;
use super::value::{quoted, shown};

/// More sessions than any gateway has; a larger number is a typing mistake.
const MOST_REAPS: usize = 1_000_000;

/// More connections at once are a load test.
const MOST_CLOSES: usize = 1_000;

/// The policy of a table; where it is silent, that of `above`.
pub(super) fn read(section: &Section<'_>, above: &Policy) -> Policy {
    let duration = |key, above| section.duration(key).unwrap_or(above);
    Policy {
        grace: duration("grace", above.grace),
        close_on_disconnect_grace: duration("close_on_disconnect_grace", above.close_on_disconnect_grace),
        worker_grace: duration("worker_grace", above.worker_grace),
        close_timeout: duration("close_timeout", above.close_timeout),
        term_timeout: duration("term_timeout", above.term_timeout),
        max_reaps: section
            .count(
                "max_reaps",
                1..=MOST_REAPS,
                "a whole number from 1 to 1000000 (to reap nothing, write dry_run = true)",
            )
            .unwrap_or(above.max_reaps),
        closes_at_once: section
            .count("closes_at_once", 1..=MOST_CLOSES, "a whole number from 1 to 1000")
            .unwrap_or(above.closes_at_once),
        idle_worker: idle_worker(section, above.idle_worker),
        busy_cpu: busy_cpu(section, above.busy_cpu),
        without_table: without_table(section).unwrap_or(above.without_table),
        start_timeout: duration("start_timeout", above.start_timeout),
        dry_run: section.flag("dry_run").unwrap_or(above.dry_run),
    }
}

/// What holds for a gateway of this kind that is silent: `above`, and where `[policy]` is silent too the kind's own.
pub(super) fn of_kind(word: &str, above: &Policy, is_said_above: impl Fn(&str) -> bool) -> Policy {
    let mut policy = above.clone();
    for (key, value) in kinds::built_in_policy(word).iter().filter(|(key, _)| !is_said_above(key)) {
        let value = value.trim_matches('"');
        match *key {
            "grace" => policy.grace = duration::parse(value).unwrap_or(policy.grace),
            "busy_cpu" => policy.busy_cpu = share(value),
            _ => {}
        }
    }
    policy
}

/// A key that is a duration, or `"off"`. `above`: what holds where it is silent.
fn idle_worker(section: &Section<'_>, above: Option<Duration>) -> Option<Duration> {
    const KEY: &str = "idle_worker";
    if is_off(section, KEY) {
        return None;
    }
    let Some(span) = section.duration(KEY) else { return above };
    if span.is_zero() {
        let expected = "more than nothing, such as \"30m\", or \"off\"";
        return section.mismatch(
            KEY,
            expected,
            "\"0s\", with which every worker would end while it is in use",
        );
    }
    Some(span)
}

fn busy_cpu(section: &Section<'_>, above: Option<CpuShare>) -> Option<CpuShare> {
    const KEY: &str = "busy_cpu";
    const EXPECTED: &str = "a part of one processor core in quotes, from \"0.01%\" to \"100%\", or \"off\"";
    if is_off(section, KEY) {
        return None;
    }
    let Some(value) = section.value(KEY) else { return above };
    let value = value.get_ref();
    value.as_str().and_then(share).or_else(|| section.mismatch(KEY, EXPECTED, &shown(value)))
}

fn share(text: &str) -> Option<CpuShare> {
    let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    let share = (percent * 100.0).round();
    // Whole and in range, so that nothing is lost.
    (1.0..=10_000.0).contains(&share).then(|| CpuShare::of_ten_thousand(share as u32))
}

fn without_table(section: &Section<'_>) -> Option<WithoutTable> {
    const KEY: &str = "without_table";
    const EXPECTED: &str = "\"report\" or \"workers\"";
    match section.text(KEY, EXPECTED)? {
        "report" => Some(WithoutTable::Report),
        "workers" => Some(WithoutTable::Workers),
        other => section.mismatch(KEY, EXPECTED, &quoted(other)),
    }
}

fn is_off(section: &Section<'_>, key: &str) -> bool {
    section.value(key).is_some_and(|value| value.get_ref().as_str() == Some("off"))
}

/// Refuses what the gateway's kind can't do: where it doesn't know what a worker at rest looks like, only its processor time can tell.
pub(super) fn check(section: &Section<'_>, policy: &Policy, kind: &GatewayKind) {
    if policy.idle_worker.is_some() && kind.starts_workers_empty() {
        let message = format!(
            "a worker of kind = \"{kind}\" has all that its user has computed, and another one starts with nothing: write \
             idle_worker = \"off\" for this gateway; its grace closes what nobody uses"
        );
        section.refuse("idle_worker", message);
    } else if policy.idle_worker.is_some()
        && policy.busy_cpu.is_none()
        && kind.has_sessions()
        && !kind.knows_rest()
    {
        section.refuse(
            "idle_worker",
            format!(
                "kind = \"{kind}\" doesn't know what a worker at rest looks like: set busy_cpu too, such as \"0.5%\", or \
                 idle_worker = \"off\" for this gateway"
            ),
        );
    }
    if policy.without_table == WithoutTable::Workers
        && section.value("without_table").is_some()
        && !kind.is_looked_at_from_outside()
    {
        let message = format!("kind = \"{kind}\" can't be looked at from outside; only \"hermes\" can");
        section.refuse("without_table", message);
    }
}

//! Runs with several configurations may share a state directory: two lines of cron, each with a file and gateways of its own. What one of them
//! remembers is nothing to the other, and isn't lost by its runs.

use std::collections::BTreeSet;

use super::Ledger;
use crate::domain::ids::GatewayName;

/// So many other configurations are remembered: those that share a state directory are a handful.
const MOST_OTHERS: usize = 16;

impl Ledger {
    /// What is remembered for runs with these gateways. A configuration that has one of the gateways of the last run's is the same one, changed;
    /// one that has none of them is another.
    #[must_use]
    pub fn of_configuration(mut self, gateways: &BTreeSet<GatewayName>) -> Self {
        if self.of.is_empty() || !self.of.is_disjoint(gateways) {
            return Self { of: gateways.clone(), ..self };
        }
        let unfinished = std::mem::take(&mut self.unfinished);
        let (mut found, mut others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.others).into_iter().partition(|other| !other.of.is_disjoint(gateways));
        let memory = match found.pop() {
            Some(own) => {
                others.extend(found);
                others.push(self);
                own
            }
            // Its gateways may have got new names: what is known of their processes still is.
            None => {
                others.push(self.clone());
                Self { whole_look: None, passed_over: Vec::new(), ..self }
            }
        };
        let surplus = others.len().saturating_sub(MOST_OTHERS);
        Self { of: gateways.clone(), unfinished, others: others.split_off(surplus), ..memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Pid;
    use crate::domain::ledger::{GatewayMemory, Unfinished};
    use crate::domain::orphan::OrphanKind;
    use crate::domain::process::ProcessIdentity;
    use crate::domain::time::Awake;

    fn names(names: &[&str]) -> BTreeSet<GatewayName> {
        names.iter().map(|name| (*name).into()).collect()
    }

    /// What a run with these gateways leaves of what it was given.
    fn after(memory: Ledger, gateways: &[&str], second: u64) -> Ledger {
        let memory = memory.of_configuration(&names(gateways));
        let at = Some(Awake::from_nanos(second));
        let gateway = GatewayMemory { looked: at, ..GatewayMemory::default() };
        let all = gateways.iter().map(|name| ((*name).into(), gateway.clone()));
        Ledger {
            whole_look: at,
            passed_over: Pid::new(second).into_iter().collect(),
            gateways: all.collect(),
            ..memory
        }
    }

    fn looked(memory: &Ledger) -> Vec<(String, Option<Awake>)> {
        memory.gateways.iter().map(|(name, gateway)| (name.to_string(), gateway.looked)).collect()
    }

    #[test]
    fn runs_with_another_configuration_lose_nothing_of_what_is_remembered() {
        let mut memory = Ledger::default();
        for second in [10, 20, 30] {
            memory = after(memory, &["a", "b"], second);
            memory = after(memory, &["c"], second + 1);
        }
        assert_eq!(looked(&memory), [("c".to_owned(), Some(Awake::from_nanos(31)))]);
        let memory = memory.of_configuration(&names(&["b"]));
        let at = Some(Awake::from_nanos(30));
        assert_eq!(looked(&memory), [("a".to_owned(), at), ("b".to_owned(), at)]);
        assert_eq!((memory.whole_look, memory.passed_over), (at, vec![Pid::new(30).unwrap()]));
        assert_eq!(memory.others.len(), 1);
    }

    #[test]
    fn a_configuration_that_shares_a_gateway_with_the_last_one_is_the_same() {
        let memory =
            after(after(Ledger::default(), &["a"], 1), &["a", "b"], 2).of_configuration(&names(&["b", "c"]));
        assert_eq!(looked(&memory).len(), 2);
        assert!(memory.others.is_empty() && memory.whole_look.is_some());
    }

    #[test]
    fn what_is_unfinished_is_every_configurations() {
        let mut memory = after(after(Ledger::default(), &["a"], 1), &["b"], 2);
        let process = |pid| ProcessIdentity { pid: Pid::new(pid).unwrap(), start_ticks: 1, inode: None };
        memory.unfinished.push(Unfinished {
            gateway: "b".into(),
            orphan: OrphanKind::DetachedSession,
            asked: None,
            worker: process(7),
            members: vec![process(7)],
            stopping: false,
            may_be_of: Vec::new(),
        });
        let memory = memory.of_configuration(&names(&["a"]));
        assert_eq!((memory.unfinished.len(), memory.of), (1, names(&["a"])));
        assert!(memory.others.iter().all(|other| other.unfinished.is_empty()));
    }

    #[test]
    fn a_new_configuration_knows_what_was_remembered_but_not_what_was_looked_at() {
        let memory = after(Ledger::default(), &["a"], 1).of_configuration(&names(&["renamed"]));
        assert_eq!(looked(&memory).len(), 1);
        assert!(memory.whole_look.is_none() && memory.passed_over.is_empty());
    }

    #[test]
    fn the_oldest_of_many_configurations_are_forgotten() {
        let mut memory = Ledger::default();
        for number in 0..u64::try_from(MOST_OTHERS).unwrap() + 5 {
            memory = after(memory, &[&format!("gateway {number}")], number + 1);
        }
        assert_eq!(memory.others.len(), MOST_OTHERS);
        assert!(memory.others.iter().all(|other| other.others.is_empty()));
        assert!(memory.others[0].of.contains(&"gateway 4".into()));
    }
}

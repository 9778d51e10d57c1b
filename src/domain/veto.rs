//! What an operator forbids, by hand or by `[[keep]]`: nothing is done to some sessions and workers, or to any. It only ever keeps.

use std::time::SystemTime;

use super::glob::Glob;
use super::ids::{GatewayName, Pid};
use super::verdict::Subject;

/// What it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// One session or worker of a gateway, by its id or conversation key.
    One {
        /// Which gateway.
        gateway: GatewayName,
        /// The id of the report, the conversation key, or the PID of its worker.
        name: Box<str>,
        /// The conversation key, where it isn't that: its worker is listed by it once the session isn't any more.
        key: Option<Box<str>>,
        /// The worker that it had when it was named: that may be listed without a key then, or by another gateway.
        worker: Option<Pid>,
    },
    /// All that fits everything that is given.
    Like {
        /// Which gateway; of one that stands for others, each of them.
        gateway: Option<GatewayName>,
        /// Sessions of such an id.
        session: Option<Glob>,
        /// Sessions and workers of such a conversation key.
        key: Option<Glob>,
    },
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veto {
    /// What it covers.
    pub scope: Scope,
    /// Until when; `None`: for good.
    pub until: Option<SystemTime>,
    /// What the report says of it.
    pub words: Box<str>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vetoes(pub Vec<Veto>);

impl Vetoes {
    /// Those of them whose time isn't over.
    #[must_use]
    pub fn in_force(mut self, now: SystemTime) -> Self {
        self.0.retain(|veto| !veto.is_over(now));
        self
    }

    /// Why nothing may be done to this subject: of several vetoes the one that ends last. `names`: a session's conversation key, where it isn't
    /// its id; of a worker also the sessions that it is known to have been of.
    pub fn forbid(&self, gateway: &GatewayName, subject: &Subject, names: &[&str]) -> Option<&Veto> {
        Veto::last(self.0.iter().filter(|veto| veto.scope.covers(gateway, subject, names)))
    }

    /// Why nothing may be done to any subject.
    pub fn pause(&self) -> Option<&Veto> {
        self.0.iter().find(|veto| veto.scope == Scope::All)
    }
}

impl Veto {
    /// The one that ends last; of those that end together the first.
    pub fn last<'v>(vetoes: impl Iterator<Item = &'v Self>) -> Option<&'v Self> {
        let ends_after = |veto: &Self, end: Option<SystemTime>| {
            end.is_some_and(|end| veto.until.is_none_or(|it| it > end))
        };
        vetoes.reduce(|last, veto| if ends_after(veto, last.until) { veto } else { last })
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Scope {
    fn covers(&self, of: &GatewayName, subject: &Subject, names: &[&str]) -> bool {
        match self {
            Self::All => true,
            Self::One { gateway, name, key, worker } => {
                let is_it = |name: &str| *name == *subject.id() || names.contains(&name);
                let is_its_worker = || subject.worker_pid().is_some_and(|pid| pid.to_string() == **name);
                let is_it = is_it(name) || key.as_deref().is_some_and(is_it) || is_its_worker();
                (gateway.stands_for(of) && is_it) || (worker.is_some() && subject.worker_pid() == *worker)
            }
            Self::Like { gateway, session, key } => {
                let fits = |glob: &Option<Glob>, names: &[&str]| {
                    glob.as_ref().is_none_or(|glob| names.iter().any(|name| glob.matches(name)))
                };
                let (ids, keys) = match subject {
                    Subject::Session { id, .. } if names.is_empty() => (vec![id.as_str()], vec![id.as_str()]),
                    Subject::Session { id, .. } => (vec![id.as_str()], names.to_vec()),
                    Subject::Worker { key: own, .. } => {
                        let names: Vec<&str> =
                            own.iter().map(|own| own.as_str()).chain(names.iter().copied()).collect();
                        (names.clone(), names)
                    }
                };
                gateway.as_ref().is_none_or(|gateway| gateway.stands_for(of))
                    && fits(session, &ids)
                    && fits(key, &keys)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn it_covers_its_subject_by_id_or_key_until_its_time_and_nothing_else() {
        let subject = Subject::Session { id: "a".into(), worker: None };
        let (desk, other) = (GatewayName::from("desk"), GatewayName::from("other"));
        for name in ["a", "talk"] {
            let scope = Scope::One { gateway: desk.clone(), name: name.into(), key: None, worker: None };
            let vetoes = Vetoes(vec![Veto { scope, until: Some(at(10)), words: "why".into() }]);
            let forbid = |gateway, subject, seconds| {
                let in_force = vetoes.clone().in_force(at(seconds));
                in_force.forbid(gateway, subject, &["talk"]).map(|veto| veto.words.clone())
            };
            assert_eq!(forbid(&desk, &subject, 9).as_deref(), Some("why"), "{name}");
            assert_eq!((forbid(&desk, &subject, 10), forbid(&other, &subject, 9)), (None, None));
        }
        let b = Subject::Session { id: "b".into(), worker: None };
        let all = Vetoes(vec![Veto { scope: Scope::All, until: Some(at(10)), words: "paused".into() }]);
        assert_eq!(all.forbid(&other, &b, &[]), Some(&all.0[0]));
        assert_eq!(Vetoes::default().forbid(&desk, &subject, &[]), None);
    }

    #[test]
    fn of_several_the_one_that_ends_last_tells_why() {
        let subject = Subject::Session { id: "a".into(), worker: None };
        let veto = |until, words: &str| Veto { scope: Scope::All, until, words: words.into() };
        let (short, long, for_good) =
            (veto(Some(at(3)), "3"), veto(Some(at(9)), "9"), veto(None, "for good"));
        let told = |vetoes: &[&Veto]| {
            let vetoes = Vetoes(vetoes.iter().map(|veto| (*veto).clone()).collect());
            vetoes.forbid(&"desk".into(), &subject, &[]).map(|veto| veto.words.to_string())
        };
        assert_eq!(told(&[&short, &long]).as_deref(), Some("9"));
        assert_eq!(told(&[&long, &short]).as_deref(), Some("9"));
        assert_eq!(told(&[&long, &for_good, &short]).as_deref(), Some("for good"));
        let other = veto(Some(at(3)), "other");
        assert_eq!(told(&[&short, &other]).as_deref(), Some("3"), "they end together");
    }

    #[test]
    fn what_names_a_gateway_covers_those_that_it_has_found() {
        let subject = Subject::Session { id: "a".into(), worker: None };
        let configured = || GatewayName::from("lab");
        let found = configured().found_at("8888");
        let one = Scope::One { gateway: configured(), name: "a".into(), key: None, worker: None };
        let of_found = Scope::One { gateway: found.clone(), name: "a".into(), key: None, worker: None };
        let all = Scope::Like { gateway: Some(configured()), session: None, key: None };
        let some = Scope::Like { gateway: Some(configured()), session: Some(Glob::from("b")), key: None };
        let covered = |scope: &Scope| {
            ["lab", "lab:8888", "lab:/run/lab.sock", "lab:8889", "lab2", "other:8888"]
                .map(|of| scope.covers(&of.into(), &subject, &[]))
        };
        for scope in [one, all] {
            assert_eq!(covered(&scope), [true, true, true, true, false, false]);
        }
        assert_eq!(covered(&of_found), [false, true, false, false, false, false]);
        assert_eq!(covered(&some), [false; 6]);
    }

    #[test]
    fn all_that_a_keep_names_has_to_fit() {
        let session = Subject::Session { id: "abc".into(), worker: None };
        let identity = crate::domain::process::ProcessIdentity {
            pid: Pid::new(7).unwrap(),
            start_ticks: 1,
            inode: None,
        };
        let worker = Subject::Worker { key: Some("talk-2".into()), identity };
        let nameless = Subject::Worker { key: None, identity };
        let (desk, other) = (GatewayName::from("desk"), GatewayName::from("other"));
        let forbids = |gateway: Option<&str>, session: Option<&str>, key: Option<&str>| {
            let scope = Scope::Like {
                gateway: gateway.map(GatewayName::from),
                session: session.map(Glob::from),
                key: key.map(Glob::from),
            };
            Vetoes(vec![Veto { scope, until: None, words: "why".into() }])
        };
        let holds = |vetoes: &Vetoes, of: &GatewayName, subject: &Subject, key: Option<&str>| {
            vetoes.forbid(of, subject, &key.into_iter().collect::<Vec<_>>()).is_some()
        };
        let whole = forbids(Some("desk"), None, None);
        assert!(holds(&whole, &desk, &session, None) && holds(&whole, &desk, &nameless, None));
        assert!(!holds(&whole, &other, &session, None));
        let by_id = forbids(None, Some("a*"), None);
        assert!(holds(&by_id, &other, &session, Some("talk-1")) && !holds(&by_id, &desk, &worker, None));
        let by_key = forbids(None, None, Some("talk-?"));
        assert!(holds(&by_key, &desk, &session, Some("talk-1")) && holds(&by_key, &desk, &worker, None));
        assert!(!holds(&by_key, &desk, &session, None) && !holds(&by_key, &desk, &nameless, None));
        let by_id_as_key = forbids(None, None, Some("ab?"));
        assert!(
            holds(&by_id_as_key, &desk, &session, None) && !holds(&by_id_as_key, &desk, &session, Some("x"))
        );
        let both = forbids(Some("desk"), Some("abc"), Some("x*"));
        assert!(!holds(&both, &desk, &session, Some("talk-1")) && holds(&both, &desk, &session, Some("x")));
    }
}

//! What an operator forbids by hand: nothing is done to one session or worker, or to any, until a time. It only ever keeps.

use std::time::SystemTime;

use super::ids::GatewayName;
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
        /// The id of the report, or the conversation key.
        name: Box<str>,
    },
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veto {
    /// What it covers.
    pub scope: Scope,
    /// Until when.
    pub until: SystemTime,
    /// What the report says of it.
    pub words: Box<str>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vetoes(pub Vec<Veto>);

impl Vetoes {
    /// Why nothing may be done to this subject now.
    pub fn forbid(
        &self,
        gateway: &GatewayName,
        subject: &Subject,
        key: Option<&str>,
        now: SystemTime,
    ) -> Option<&str> {
        let covers = |veto: &&Veto| match &veto.scope {
            _ if veto.until <= now => false,
            Scope::All => true,
            Scope::One { gateway: of, name } => {
                of == gateway && (**name == *subject.id() || key == Some(&**name))
            }
        };
        self.0.iter().find(covers).map(|veto| &*veto.words)
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
            let scope = Scope::One { gateway: desk.clone(), name: name.into() };
            let vetoes = Vetoes(vec![Veto { scope, until: at(10), words: "why".into() }]);
            let forbid =
                |gateway, subject, seconds| vetoes.forbid(gateway, subject, Some("talk"), at(seconds));
            assert_eq!(forbid(&desk, &subject, 9), Some("why"), "{name}");
            assert_eq!((forbid(&desk, &subject, 10), forbid(&other, &subject, 9)), (None, None));
        }
        let b = Subject::Session { id: "b".into(), worker: None };
        let all = Vetoes(vec![Veto { scope: Scope::All, until: at(10), words: "paused".into() }]);
        assert_eq!(all.forbid(&other, &b, None, at(9)), Some("paused"));
        assert_eq!(Vetoes::default().forbid(&desk, &subject, None, at(0)), None);
    }
}

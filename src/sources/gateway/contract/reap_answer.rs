//! What the answer to a conditional reap means. Only the contract's own words count: a 404 page of some web server is no "gone".

use hyper::StatusCode;
use serde::Deserialize;

use super::table_answer::refusal;
use crate::config::address::Address;
use crate::domain::table::{CloseAnswer, Refusal};
use crate::sources::gateway::json::{Object, Raw, string};
use crate::sources::http::{HttpClient, HttpError, Response};

/// The contract's answers have a few dozen bytes.
pub(in crate::sources::gateway) const MAX_BYTES: usize = 64 * 1024;

pub(super) fn judge(client: &HttpClient, at: &Address, answer: Result<Response, HttpError>) -> CloseAnswer {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return CloseAnswer::Failed { why: error.in_full().into() },
    };
    let said = Said::read(&response.body);
    match (response.status, said.outcome.as_deref()) {
        (StatusCode::OK, Some("reaped")) => CloseAnswer::Reaped,
        (StatusCode::NOT_FOUND, Some("gone")) => CloseAnswer::Gone,
        (StatusCode::CONFLICT, _) => {
            let reason = said.reason.map_or_else(|| "kept".into(), |reason| client.quote(&reason));
            CloseAnswer::Kept { reason: Refusal::Word(reason) }
        }
        (StatusCode::PRECONDITION_FAILED, _) => CloseAnswer::Kept { reason: Refusal::OtherRun },
        (StatusCode::OK, _) => failed(at, "200 without the outcome \"reaped\": nothing is assumed"),
        (StatusCode::NOT_FOUND, _) => {
            failed(at, "404 without the outcome \"gone\": is that the path at which the gateway takes reaps?")
        }
        _ => CloseAnswer::Failed { why: refusal(client, at, &response, "the reap").into() },
    }
}

fn failed(at: &Address, what: &str) -> CloseAnswer {
    CloseAnswer::Failed { why: format!("{at} answered {what}").into() }
}

/// What a body says in the contract's words; nothing, if it isn't in them.
#[derive(Default)]
pub(in crate::sources::gateway) struct Said {
    /// `reaped`, `kept` or `gone`.
    pub(in crate::sources::gateway) outcome: Option<Box<str>>,
    /// Why it was kept.
    pub(in crate::sources::gateway) reason: Option<Box<str>>,
}

impl Said {
    pub(in crate::sources::gateway) fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct RawSaid<'a> {
            #[serde(borrow)]
            outcome: Raw<'a>,
            #[serde(borrow)]
            reason: Raw<'a>,
        }
        let Ok(Object(said)) = serde_json::from_slice::<Object<RawSaid<'_>>>(body) else {
            return Self::default();
        };
        let reason = said.reason.and_then(string).filter(|reason| !reason.is_empty()).map(Into::into);
        Self { outcome: said.outcome.and_then(string).map(Into::into), reason }
    }
}

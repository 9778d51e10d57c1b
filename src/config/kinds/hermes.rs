//! `kind = "hermes"`: a Hermes dashboard.

use super::{GatewayKind, Kind, endpoint};
use crate::config::defaults;

pub(super) const KIND: Kind = Kind {
    word: "hermes",
    keys: endpoint::KEYS,
    read: |section| endpoint::read(section).map(GatewayKind::Hermes),
    worker_match: Some(defaults::HERMES_WORKER_MATCH),
};

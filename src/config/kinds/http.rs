//! `kind = "http"`: a gateway that publishes the session table itself.

use super::{GatewayKind, Kind, endpoint};

pub(super) const KIND: Kind = Kind {
    word: "http",
    keys: endpoint::KEYS,
    read: |section| endpoint::read(section).map(GatewayKind::Http),
    worker_match: None,
    policy: &[],
};

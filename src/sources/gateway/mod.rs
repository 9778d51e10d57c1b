//! Where session tables come from: the seam at which a kind of gateway plugs in.

mod excerpt;
pub mod hermes;
pub mod http;
mod json;
pub mod table_json;

use std::time::Duration;

use self::hermes::HermesGateway;
use self::http::HttpGateway;
use crate::config::token::Token;
use crate::domain::table::{CloseAnswer, TableView};
use crate::domain::warrant::CloseOrder;

/// A configured gateway, whatever its kind.
///
/// A new kind supplies two things. `read_table`: its sessions, whole and validated, or why not; never an error, never a partial table,
/// never an empty one for one that couldn't be read, and an end within its timeout. `reap`: the conditional close of one session, which
/// the gateway must check once more itself at that instant; a kind that can't ask for that answers [`CloseAnswer::Failed`] and says so.
/// Reaps of several sessions run at the same time, hence `&self`.
#[derive(Debug)]
pub enum Gateway {
    /// Publishes the session table of the contract over HTTP.
    Http(HttpGateway),
    /// A Hermes dashboard with the plugin.
    Hermes(HermesGateway),
}

impl Gateway {
    /// What the gateway publishes now.
    pub async fn read_table(&mut self) -> TableView {
        match self {
            Self::Http(gateway) => gateway.read_table().await,
            Self::Hermes(gateway) => gateway.read_table().await,
        }
    }

    /// Another token from now on.
    pub fn set_token(&mut self, token: Option<Token>) {
        match self {
            Self::Http(gateway) => gateway.set_token(token),
            Self::Hermes(gateway) => gateway.set_token(token),
        }
    }

    /// Asks the gateway to close the session if it is still an orphan. The exchange takes no longer than `within`.
    pub async fn reap(&self, order: &CloseOrder, within: Duration) -> CloseAnswer {
        match self {
            Self::Http(gateway) => gateway.reap(order, within).await,
            Self::Hermes(gateway) => gateway.reap(order, within).await,
        }
    }
}

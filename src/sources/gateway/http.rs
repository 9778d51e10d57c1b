//! The kind `http`: a gateway that publishes the session table of the contract itself.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Gateway;
use super::contract::Contract;
use crate::domain::table::{CloseAnswer, TableView};
use crate::domain::warrant::CloseOrder;
use crate::sources::http::{Connection, HttpClient};

/// A gateway that publishes the session table itself.
#[derive(Debug)]
pub struct HttpGateway {
    client: HttpClient,
    contract: Contract,
}

impl HttpGateway {
    /// The client's address is the table's.
    pub fn new(client: HttpClient, max_table_bytes: usize) -> Self {
        let contract = Contract::new(client.address().clone(), max_table_bytes);
        Self { client, contract }
    }
}

impl Gateway for HttpGateway {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        self.contract.read_table(&mut self.client).boxed_local()
    }

    fn renew_token(&mut self) -> bool {
        self.client.renew_token()
    }

    fn rest(&mut self) {
        self.client.rest();
    }

    fn reap(&self, order: &CloseOrder, within: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        self.contract.reap(&self.client, order, within)
    }
}

/// Whatever bytes an answer is made of, without a network: the fuzzers' way in.
#[doc(hidden)]
impl HttpGateway {
    /// Reads the table over a stream that is there already.
    pub async fn read_table_over<S>(&mut self, stream: S) -> TableView
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if let Ok(connection) = Connection::over(stream).await {
            self.client.keep(connection);
        }
        self.read_table().await
    }

    /// Asks for a reap over a stream that is there already.
    pub async fn reap_over<S>(&self, stream: S, order: &CloseOrder, within: Duration) -> CloseAnswer
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let over = Connection::over(stream).await.ok();
        self.contract.reap_over(&self.client, over, order, within).await
    }
}

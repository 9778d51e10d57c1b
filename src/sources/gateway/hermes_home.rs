//! The Hermes dashboard of a home, wherever it listens: a backend of the desktop takes any port that is free, and Hermes records which.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::Gateway;
use super::hermes::HermesGateway;
use crate::config::address::Address;
use crate::config::{GatewayConfig, HermesHome};
use crate::domain::ids::Pid;
use crate::domain::outside::Outside;
use crate::domain::table::{CloseAnswer, Software, TableView};
use crate::domain::warrant::CloseOrder;
use crate::hermes::running;
use crate::sources::http::{Credential, HttpClient, Listeners};

/// The dashboard or backend of a home.
#[derive(Debug)]
pub(super) struct HermesOfHome {
    of: HermesHome,
    listeners: Listeners,
    credential: Credential,
    timeout: Duration,
    max_table_bytes: usize,
    /// The one that was asked last.
    found: Option<(Address, HermesGateway)>,
}

impl HermesOfHome {
    /// Nothing is looked for yet.
    pub(super) fn new(
        of: &HermesHome,
        credential: Credential,
        listeners: Listeners,
        config: &GatewayConfig,
    ) -> Self {
        Self {
            of: of.clone(),
            listeners,
            credential,
            timeout: config.timeout,
            max_table_bytes: config.max_table_bytes,
            found: None,
        }
    }

    async fn table(&mut self) -> TableView {
        let address = match find(&self.of.home) {
            Ok(address) => address,
            Err(view) => return view,
        };
        let gateway = match self.found.take() {
            Some((known, gateway)) if known == address => gateway,
            _ => {
                let client = HttpClient::new(address.clone(), self.credential.clone(), self.timeout);
                HermesGateway::new(client.with_listeners(self.listeners.clone()), self.max_table_bytes)
            }
        };
        let (_, gateway) = self.found.insert((address, gateway));
        gateway.read_table().await
    }
}

/// The address of the one that runs, or what to say where there isn't exactly one.
fn find(home: &Path) -> Result<Address, TableView> {
    let at = home.display();
    let canonical = home.canonicalize().map_err(|error| {
        TableView::refused(format!("{at}: can't look at the Hermes home: {error}; check home"))
    })?;
    let running = running(&canonical)
        .map_err(|error| TableView::refused(format!("{at}: {error}: name the dashboard's address by url")))?;
    let Some(running) = running else {
        return Err(TableView::refused(format!(
            "{at}: this home has no record of its dashboards, which Hermes keeps since 0.21: start the dashboard or backend with a \
             port of its own (--port N), and name its address by url instead of home"
        )));
    };
    match running.as_slice() {
        // It may be there all the same, and not have recorded itself.
        [] => Err(TableView::unreachable(format!("{at}: no dashboard or backend of this home runs"))),
        [one] => one.url.parse().map_err(|error| TableView::refused(format!("{at}: {error}"))),
        several => {
            let urls: Vec<_> = several.iter().map(|it| &*it.url).collect();
            Err(TableView::refused(format!(
                "{at}: {} of this home run, at {}: name each by url in a [[gateway]] of its own",
                several.len(),
                urls.join(", ")
            )))
        }
    }
}

impl Gateway for HermesOfHome {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        self.table().boxed_local()
    }

    fn look_outside(&mut self, process: Option<Pid>) -> Option<Outside> {
        self.found.as_mut()?.1.look_outside(process)
    }

    fn software(&self) -> Software {
        self.found.as_ref().map(|(_, gateway)| gateway.software()).unwrap_or_default()
    }

    fn renew_token(&mut self) -> bool {
        let is_new = self.credential.renew();
        if is_new {
            // It is made anew with the new one.
            self.found = None;
        }
        is_new
    }

    fn rest(&mut self) {
        if let Some((_, gateway)) = &mut self.found {
            gateway.rest();
        }
    }

    fn reap(&self, order: &CloseOrder, within: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        match &self.found {
            Some((_, gateway)) => gateway.reap(order, within),
            None => {
                let why = "its dashboard isn't known any more".into();
                std::future::ready(CloseAnswer::Failed { why }).boxed_local()
            }
        }
    }
}

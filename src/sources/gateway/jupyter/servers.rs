//! The servers of a user as one gateway of the configuration: each that runs is a gateway of its own, and what is left is whether all of
//! them could be found.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::domain::table::{CloseAnswer, SessionTable, TableView};
use crate::domain::warrant::CloseOrder;
use crate::sources::gateway::Gateway;

/// What the files of a user's servers told, without the servers themselves.
#[derive(Debug, Default)]
pub struct Servers {
    trouble: Option<Box<str>>,
}

impl Servers {
    /// With what is wrong; nothing: every server was found, if there are any.
    pub fn with(trouble: Option<Box<str>>) -> Self {
        Self { trouble }
    }
}

impl Gateway for Servers {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        let view = match &self.trouble {
            Some(trouble) => TableView::refused(trouble.clone()),
            None => TableView::Current(SessionTable::default()),
        };
        std::future::ready(view).boxed_local()
    }

    fn reap(&self, _: &CloseOrder, _: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        let why = "it has no sessions of its own".into();
        std::future::ready(CloseAnswer::Failed { why }).boxed_local()
    }
}

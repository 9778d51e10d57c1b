//! What is wrong with a dashboard that answered with something else than a table: a few more questions, all of them harmless.

use hyper::StatusCode;
use serde_json::Value;

use super::trouble::Trouble;
use super::{HermesGateway, MAX_ANSWER_BYTES, TokenFrom};
use crate::hermes::plugin;
use crate::sources::http::Response;

/// What any Hermes dashboard tells any client.
pub(super) struct Status {
    /// It is behind a login, and takes no token. Unknown before 0.16, which has no such thing.
    pub(super) auth_required: bool,
}

impl HermesGateway {
    /// `None` where the answer speaks for itself.
    pub(super) async fn diagnose(&mut self, response: &Response) -> Option<Trouble> {
        let Some(status) = self.status().await else {
            return (!response.status.is_server_error()).then_some(Trouble::NotHermes);
        };
        if status.auth_required && response.status != StatusCode::OK {
            return Some(Trouble::Gate);
        }
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(match self.token {
                TokenFrom::Configuration => Trouble::WrongToken,
                TokenFrom::Page => Trouble::WrongTokenOnPage,
                TokenFrom::Nowhere => Trouble::NoToken,
            }),
            StatusCode::OK | StatusCode::NOT_FOUND => Some(self.plugin_trouble(response).await),
            _ => None,
        }
    }

    pub(super) async fn status(&mut self) -> Option<Status> {
        let status = self.ask("/api/status").await?;
        status.get("version")?.as_str()?;
        let auth_required = status.get("auth_required").and_then(Value::as_bool).unwrap_or(false);
        Some(Status { auth_required })
    }

    /// There is no table where the plugin would have it.
    async fn plugin_trouble(&mut self, response: &Response) -> Trouble {
        // Here stands every plugin whose files the dashboard found and that, since 0.19, is enabled.
        if names_plugin(self.ask("/api/dashboard/plugins").await.as_ref()) {
            return Trouble::NotRestarted;
        }
        // 0.19 says so of one that isn't enabled as of one that isn't there.
        let is_gated = str::from_utf8(&response.body).is_ok_and(|body| body.contains("Plugin not found"));
        if is_gated {
            let hub = self.ask("/api/dashboard/plugins/hub").await;
            if names_plugin(hub.as_ref().and_then(|hub| hub.get("orphan_dashboard_plugins"))) {
                return Trouble::Disabled;
            }
        }
        Trouble::NoPlugin
    }

    async fn ask(&mut self, path: &str) -> Option<Value> {
        let path = format!("{}{path}", self.root);
        let response = self.client.get(&path, MAX_ANSWER_BYTES).await.ok()?;
        let answer = (response.status == StatusCode::OK).then(|| serde_json::from_slice(&response.body));
        answer?.ok()
    }
}

fn names_plugin(list: Option<&Value>) -> bool {
    let plugins = list.and_then(Value::as_array).into_iter().flatten();
    plugins.filter_map(|entry| entry.get("name")?.as_str()).any(|name| name == plugin::NAME)
}

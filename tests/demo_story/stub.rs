//! Stand-ins for the reaper, just good enough to act in the story.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::story::{Scene, Who};
use hyper::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::{descendants, gone, request};

/// Reaps what the contract says is an orphan.
pub(crate) async fn careful(scene: Scene) -> Result<(), Box<dyn Error>> {
    reap(scene, |row| row["turn"] == "idle").await
}

/// Doesn't mind turns.
pub(crate) async fn ruthless(scene: Scene) -> Result<(), Box<dyn Error>> {
    reap(scene, |_| true).await
}

async fn reap(scene: Scene, condemned: impl Fn(&Value) -> bool) -> Result<(), Box<dyn Error>> {
    let address = scene.table_url.strip_prefix("http://").and_then(|url| url.strip_suffix("/sessions"));
    let gateway: SocketAddr = address.ok_or("no address")?.parse()?;
    let work = async {
        loop {
            let table = request(gateway, Method::GET, "/sessions", None, String::new()).await?.body;
            let due = table["sessions"].as_array().into_iter().flatten().filter(|row| {
                let asked = row["close_on_disconnect"] == true;
                let grace = if asked { Duration::ZERO } else { scene.policy.grace };
                let detached = row["detached_for_s"].as_f64();
                detached.is_some_and(|span| span >= grace.as_secs_f64()) && condemned(row)
            });
            join_all(due.map(|row| take_down(&scene, gateway, &table, row))).await;
            sleep(scene.interval).await;
        }
    };
    tokio::select! {
        () = scene.curtain() => Ok(()),
        stopped = work => stopped,
    }
}

async fn take_down(scene: &Scene, gateway: SocketAddr, table: &Value, row: &Value) {
    let Some(pid) = row["worker"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()) else { return };
    let Ok(worker) = Pinned::new(pid) else { return };
    let mut victims = descendants(pid);
    let id = row["id"].as_str().unwrap();
    let body = json!({ "instance": table["gateway"]["instance"], "reason": "orphaned" }).to_string();
    let _ = request(gateway, Method::POST, &format!("/sessions/{id}/reap"), None, body).await;
    let _ = timeout(scene.policy.close_timeout, gone(&worker)).await;
    victims.push(worker);
    for signal in [Signal::TERM, Signal::KILL] {
        for victim in &victims {
            victim.signal(signal).unwrap();
        }
        let _ = timeout(scene.policy.term_timeout, join_all(victims.iter().map(gone))).await;
    }
    let name = scene.name_of(&id.into()).unwrap();
    scene.narrator.say(Who::Reaper, &format!("{name} is gone"));
}

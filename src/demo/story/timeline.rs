//! What the clients do, and when.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::cast::Cast;
use super::ending::{Tally, tally};
use super::error::StoryError;
use super::narrator::{Narrator, Who};
use super::role::Act;
use super::script::{Names, Script};
use crate::demo::client::Client;

/// What the clients do. Returns what each session amounted to when they had all opened.
pub(super) async fn act(
    cast: &mut Cast,
    script: &Script,
    narrator: &Narrator,
    name: &watch::Sender<Names>,
) -> Result<Vec<Tally>, StoryError> {
    cast.enter(|member| {
        name.send_modify(|names| names.push((member.session.clone(), member.role.name)));
        let (opens, special) = (member.role.name, member.role.special);
        narrator.say(Who::Client, &format!("opens {opens}: worker {}{special}", member.worker_pid()));
    })
    .await?;
    sleep(script.prelude).await;

    let before = cast.members.iter().map(tally).collect();
    let left_at = Instant::now();
    let mut left = Vec::new();
    for member in cast.members.iter_mut().filter(|member| member.role.act != Act::Stays) {
        member.leave();
        left.push(member.role.name);
    }
    narrator.say(Who::Client, &format!("connections are lost: {}", left.join(", ")));
    narrator.say(
        Who::Gateway,
        &format!("keeps all {} sessions and their workers: their clients might come back", left.len()),
    );

    sleep_until(left_at + script.policy.grace / 2).await;
    let address = cast.gateway.address();
    for member in cast.members.iter_mut().filter(|member| member.role.act == Act::ComesBack) {
        member.come_back(Client::connect(address).await?).await?;
        narrator.say(Who::Client, &format!("{} is back, and finds its session as it was", member.role.name));
    }

    let policy = &script.policy;
    let patience = policy.grace + policy.close_timeout + policy.term_timeout + script.slack;
    while !cast.all_due_gone() && left_at.elapsed() < patience {
        sleep(Duration::from_millis(20)).await;
    }
    // What is to be spared has to survive longer than the grace to prove anything.
    sleep_until(left_at + policy.grace * 2).await;
    Ok(before)
}

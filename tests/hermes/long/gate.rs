//! A dashboard that people log in to: from 0.16 on whatever doesn't listen on `127.0.0.1` is behind a login and takes no token.

use std::net::Ipv4Addr;

use crate::gateway::{Gateway, Launch};
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_kind_of_release};
use crate::until;

/// This machine, and to Hermes any address of the world.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const LOGIN: [(&str, &str); 3] = [
    ("HERMES_DASHBOARD_BASIC_AUTH_USERNAME", "somebody"),
    ("HERMES_DASHBOARD_BASIC_AUTH_PASSWORD", "a password"),
    ("HERMES_DASHBOARD_SESSION_TOKEN", "a-token-that-a-login-puts-out-of-use"),
];

on_each_kind_of_release!(
    #[ignore = "long: starts a gateway and waits for graces"]
    behind_a_login_nothing_is_reaped_and_the_remedy_is_told,
    login
);

async fn login(release: Release) {
    let Some(mut gateway) = Gateway::home(release) else { return };
    crate::install::install(gateway.path());
    if release.has_chat_on_request() {
        return no_login_at_all(gateway).await;
    }
    gateway.run_with(release, Launch { at: ELSEWHERE, environment: &LOGIN, ..Launch::default() }).await;

    // A leak as good as any other, of a user who logged in with a password.
    gateway.log_in("somebody", "a password").await;
    let mut client = gateway.client().await;
    let session = client.create().await;
    let worker = gateway.worker(&session).await;
    drop(client);
    gateway.row_where(&session, "the client is gone", |row| row["transport"] == "detached").await;
    gateway.settled(&session).await;

    let unasked = Reaper::of_workers(&gateway, "");
    let file = gateway.path().join("token");
    std::fs::write(&file, LOGIN[2].1).unwrap();
    let with_token = Reaper::of_workers(&gateway, &format!("token_file = \"{}\"", file.display()));
    for reaper in [&unasked, &with_token] {
        for said in [reaper.status().await, reaper.once().await, reaper.once_and_wait().await] {
            assert_eq!(
                (said.exit, said.gateway()["table"].as_str()),
                (3, Some("refused")),
                "{}",
                said.stderr
            );
            assert!(said.error().contains("people log in to this dashboard"), "{}", said.error());
            assert!(said.error().contains("let it listen on 127.0.0.1"), "{}", said.error());
            assert!(!said.stderr.contains(LOGIN[2].1) && !said.report.to_string().contains(LOGIN[2].1));
            let kept = |subject: &&serde_json::Value| subject["reason"] == "table-not-trusted";
            let workers = said.gateway()["subjects"].as_array().unwrap();
            assert_eq!((workers.len(), workers.iter().filter(kept).count()), (1, 1), "{}", said.report);
        }
        tokio::time::sleep(crate::reaper::GRACE).await;
    }
    assert!(worker.alive() && gateway.row(&session).await.is_some());

    // The remedy, followed: on 127.0.0.1 it takes the token from its own page.
    gateway.stop();
    gateway.run(release).await;
    let said = unasked.status().await;
    assert_eq!(said.exit, 3, "the url is still the old one: {}", said.report);
    let said = Reaper::of(&gateway).status().await;
    assert_eq!((said.exit, said.gateway()["table"].as_str()), (0, Some("ok")), "{}", said.stderr);
}

/// 0.13.0 knows no login: it refuses to listen elsewhere, or takes its token there as everywhere.
async fn no_login_at_all(mut gateway: Gateway) {
    let elsewhere = Launch { at: ELSEWHERE, ..Launch::default() };
    let mut refused = gateway.launch(Release::V0_13_0, elsewhere);
    until("it refuses", async || refused.try_wait().unwrap()).await;
    assert!(gateway.log().contains("Refusing to bind"), "{}", gateway.log());
    gateway.run_with(Release::V0_13_0, Launch { arguments: &["--insecure"], ..elsewhere }).await;
    let said = Reaper::of(&gateway).status().await;
    assert_eq!((said.exit, said.gateway()["table"].as_str()), (0, Some("ok")), "{}", said.stderr);
}

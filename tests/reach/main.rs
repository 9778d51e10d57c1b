//! Where gateways are and how they are asked, by the whole program: sockets in the file system, programs that print the table, and
//! processes that lost their host.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the program under test is a process, and real processes take real time"
)]
#![allow(unused, reason = "shared with the tests of the command line")]

mod addresses;
mod command;
mod command_output;
mod command_trust;
mod leftover_live;
mod leftover_runs;
mod leftover_servers;
mod leftovers;
mod marks;
mod opencode;
#[path = "../cli/place.rs"]
mod place;
#[path = "../support/port.rs"]
mod port;
#[path = "../cli/privileges.rs"]
mod privileges;
#[path = "../support/program.rs"]
mod program;
#[path = "../live_work/reapers.rs"]
mod reapers;
#[path = "../cli/running.rs"]
mod running;
mod socket_server;
mod software;
#[path = "../live_work/stage.rs"]
mod stage;
mod tmux;
mod wrong_kills;

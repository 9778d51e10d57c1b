//! The `gateway-reaper` command.

use std::error::Error;

use clap::Parser;
use gateway_reaper::demo::{gateway, worker};

#[derive(Parser)]
enum Command {
    #[command(hide = true)]
    DemoGateway(gateway::Options),
    #[command(hide = true)]
    DemoWorker(worker::Args),
}

fn main() -> Result<(), Box<dyn Error>> {
    match Command::parse() {
        Command::DemoGateway(options) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(gateway::run(options))?,
        Command::DemoWorker(args) => worker::run(&args)?,
    }
    Ok(())
}

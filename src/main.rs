//! The `gateway-reaper` command.

fn main() -> std::process::ExitCode {
    gateway_reaper::cli::main()
}

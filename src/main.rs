//! The `gateway-reaper` command.

fn main() {}

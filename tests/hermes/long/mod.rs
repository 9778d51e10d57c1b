//! The long stories: everything that is held, races at the moment of the reap, many leaks at once, and a gateway that comes and goes.

mod activity;
mod at_work;
mod building;
mod delegations;
mod forty;
mod gate;
mod gateway_life;
mod holds;
pub(crate) mod idle;
mod leak;
mod newer;
mod races;
mod seen_late;
mod states;
mod without_plugin;
mod workers;

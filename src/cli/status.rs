//! `status`: what is there now, the verdict on each, and why. Changes nothing, remembers nothing.

use super::args::{Args, StatusArgs};
use super::exit::{Exit, Failure};
use super::look::look_for_a_report;
use super::{environment, memory, output};
use crate::domain::ids::GatewayName;
use crate::operate::seen::Seen;
use crate::report::Filter;
use crate::report::human::Detail;
use crate::sources::clock;

pub(super) async fn run(args: &Args, wanted: &StatusArgs) -> Result<Exit, Failure> {
    let config = environment::config(args)?;
    let mut gateways: Vec<GatewayName> = wanted.gateways.iter().map(|name| name.as_str().into()).collect();
    gateways.iter().try_for_each(|name| environment::known_gateway(&config, name))?;
    let mut report = look_for_a_report(&config).await?;
    // One that stands for others means each of them.
    let there = report.gateways.iter().map(|gateway| &gateway.name);
    let meant: Vec<_> = there.filter(|there| gateways.iter().any(|name| name.stands_for(there))).collect();
    gateways.extend(meant.into_iter().cloned());
    let filter = Filter { due: wanted.due, gateways, reasons: wanted.reasons.clone() };
    report.only(&filter);
    let (seen, now) = (Seen::load(&memory::in_use(&config)?), clock::wall_now());
    report.holds_since(|gateway, entry| seen.since(gateway, entry, now));
    let detail = if args.quiet { Detail::Acts } else { Detail::Status };
    output::print_as(args, &report, detail, args.verbose > 0 || !filter.is_empty())?;
    Ok(Exit::of(&report))
}

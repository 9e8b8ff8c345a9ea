//! The command line of `demo`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::workload::DEMOS;

pub(super) const EXAMPLES: &str = "\
Each shows two loads one after the other: the trouble, then the same without.
On a terminal `top` shows them; q ends one and goes on to the next.

Examples:
  epoll-trace demo                 which there are
  epoll-trace demo herd            in `top`
  epoll-trace demo herd --text     with the command that shows it best";

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Which; without, a list
    #[arg(value_parser = PossibleValuesParser::new(DEMOS.iter().map(|demo| demo.name)))]
    pub name: Option<String>,
    /// Print text in place of `top`
    #[arg(long)]
    pub text: bool,
}

//! The command line of `top`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::FilterArgs;
use super::values::{column_parser, measure_parser, screen_seconds, theme_parser};
use crate::config::Config;
use crate::fields::Field;
use crate::model::measures::{Measure, Measures};
use crate::view::tui::style::Theme;

pub(super) const EXAMPLES: &str = "\
Rates are of the last interval, percentiles of all since the start or Ctrl-r.
Sorted by p99: the question is who wakes late. Processes with fewer than 20
wakeups come after the others: one late wakeup is no percentile.
Press ? for the keys, 1 to 6 for the screens: processes, epolls, shared files
and listeners, locks, findings, itself. What a screen lacks is measured with m
or --measure, at the price that it names; by itself top measures little.
Enter shows one process in full; without room for all it leaves out first the
times of each metric, then the rates, the heat map, how waits ended, the
histogram, the wake path. z looks back for 1, 5, 15 minutes.

Choices to keep stand in $XDG_CONFIG_HOME/epoll-trace/config.toml, else in
~/.config/epoll-trace/config.toml; --dump-config shows all. Under sudo ~ is
root's as a rule; for yours: sudo XDG_CONFIG_HOME=~/.config epoll-trace top

Examples:
  epoll-trace top                      every process, each second
  epoll-trace top 5 -S waits_per_s     each 5 seconds, the busiest first
  epoll-trace top --comm '^nginx'      only processes of that name
  epoll-trace top --measure findings   what the diagnoses rest on
  epoll-trace top -- ./server          a command and its children";

/// Arguments of `top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Which waiters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Seconds between two looks [default: 1]
    #[arg(value_name = "INTERVAL", value_parser = screen_seconds, conflicts_with = "every")]
    interval: Option<Duration>,
    /// The same as INTERVAL
    #[arg(short = 'i', long = "interval", id = "every", value_name = "SECS", value_parser = screen_seconds)]
    every: Option<Duration>,
    /// Sort by this field [default: p99]
    #[arg(short = 'S', long, value_name = "KEY", value_parser = column_parser())]
    sort: Option<&'static Field>,
    /// Which colors; color-blind has no red beside green, monochrome none at all [default: default]
    #[arg(long, value_name = "NAME", value_parser = theme_parser())]
    theme: Option<Theme>,
    /// Print the configuration in effect, with comments, and end
    #[arg(long)]
    pub dump_config: bool,
    /// Show made-up numbers: the screens without root, and without a kernel that can
    #[arg(long, conflicts_with_all = ["pid", "tid", "cgroup", "command"])]
    pub demo: bool,
    /// Measure this too from the start, as a comma list, or all; key m does the same for what is on the screen
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = measure_parser())]
    measure: Vec<Measures>,
    /// The same as --measure cost: what the probes cost, at two clock reads more at each
    #[arg(long)]
    overhead: bool,
    /// The same as --measure callback: begin at the notification that wakes; costs at every notification
    #[arg(long)]
    callback: bool,
    /// Trace this command and its children; what it prints is dropped, and it is ended with the screen
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["pid", "tid", "cgroup"])]
    pub command: Vec<OsString>,
}

impl TopArgs {
    /// What is measured besides what is by itself.
    pub fn measures(&self) -> Measures {
        let flags = [(self.overhead, Measure::Cost), (self.callback, Measure::Callback)];
        let flags = flags.into_iter().filter(|(given, _)| *given);
        let flags = flags.map(|(_, measure)| Measures::of(&[measure]));
        self.measure
            .iter()
            .copied()
            .chain(flags)
            .fold(Measures::NONE, Measures::with)
    }

    /// What the command line chooses; `ascii` is an option of every command.
    pub fn chosen(&self, ascii: bool) -> Config {
        Config {
            interval: self.interval.or(self.every),
            theme: self.theme,
            ascii: ascii.then_some(true),
            sort: self.sort.map(|field| field.id.to_owned()),
            ..Config::default()
        }
    }
}

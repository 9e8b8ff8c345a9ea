//! `cargo xtask compare`: `bench wait` beside `perf bench epoll wait` on this machine. Our generator must cost what perf's costs.
//!
//! Both run in turn, so that what else the machine does hits both; the ratio of each pair is judged by its median.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::builds;
use crate::exec;
use crate::setup::bpf;

/// How far the median ratio may be from 1.
const ALLOWED: f64 = 0.10;
/// When the pairs are so far apart (highest ratio less lowest) that the median says little.
const NOISY: f64 = 0.30;
/// Options of both programs, by mode.
const MODES: [(&str, &[&str]); 2] = [("single queue", &[]), ("multiq", &["--multiq"])];

/// How often and how long.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Runs of each program and mode
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Seconds of each run
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Threads that wait
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
}

/// Prints every pair and says whether all modes are within [`ALLOWED`].
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let perf = exec::find_program("perf")
        .context("perf is not installed: on Debian `apt install linux-perf`, then run it again")?;
    let ours = builds::host(&bpf::ensure()?, true)?;
    let mut good = true;
    for (mode, options) in MODES {
        let mut pairs = measure(arguments, &perf, &ours, mode, options)?;
        if spread(&pairs) > NOISY {
            println!("{mode}: the pairs are far apart, the machine does other things: once more");
            pairs.extend(measure(arguments, &perf, &ours, mode, options)?);
        }
        good &= judge(mode, &pairs);
    }
    Ok(good)
}

/// Operations per second and thread of both programs in one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    ours: f64,
    perf: f64,
}

impl Pair {
    fn ratio(self) -> f64 {
        self.ours / self.perf
    }
}

fn measure(
    arguments: &Arguments,
    perf: &Path,
    ours: &PathBuf,
    mode: &str,
    options: &[&str],
) -> Result<Vec<Pair>> {
    let (threads, seconds) = (arguments.threads.to_string(), arguments.seconds.to_string());
    let rate = |command: &mut Command| {
        command.args(["-t", &threads, "-r", &seconds]).args(options);
        averaged(&exec::output(command)?)
    };
    let mut pairs = Vec::new();
    for number in 1..=arguments.pairs {
        let one = || rate(Command::new(ours).args(["bench", "wait"]));
        let other = || rate(Command::new(perf).args(["bench", "epoll", "wait"]));
        // Who goes first changes too.
        let pair = if number % 2 == 1 {
            let ours = one()?;
            Pair { ours, perf: other()? }
        } else {
            let perf = other()?;
            Pair { ours: one()?, perf }
        };
        println!(
            "{mode}, pair {number}: epoll-trace {:.0} ops/s, perf {:.0} ops/s, ratio {:.3}",
            pair.ours,
            pair.perf,
            pair.ratio()
        );
        pairs.push(pair);
    }
    Ok(pairs)
}

/// The rate out of the summary line that both programs print.
fn averaged(text: &str) -> Result<f64> {
    let rate = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("Averaged ")?
                .split_once(" operations/sec")?
                .0
                .parse()
                .ok()
        })
        .with_context(|| format!("no line `Averaged N operations/sec` in: {text}"))?;
    if rate > 0.0 {
        return Ok(rate);
    }
    bail!("no operation was done: {text}")
}

fn ratios(pairs: &[Pair]) -> Vec<f64> {
    let mut ratios: Vec<f64> = pairs.iter().map(|pair| pair.ratio()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios
}

fn spread(pairs: &[Pair]) -> f64 {
    let ratios = ratios(pairs);
    ratios
        .last()
        .zip(ratios.first())
        .map_or(0.0, |(high, low)| high - low)
}

/// The middle of sorted values, or between the two in the middle.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.len() / 2;
    let low = sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(*low, *sorted.get(upper)?))
}

/// Prints the verdict on one mode.
fn judge(mode: &str, pairs: &[Pair]) -> bool {
    let ratios = ratios(pairs);
    let Some(ratio) = median(&ratios) else {
        return false;
    };
    let good = (ratio - 1.0).abs() <= ALLOWED;
    println!(
        "{} {mode}: median ratio {ratio:.3} of {} pairs, spread {:.3}, allowed 1 +- {ALLOWED}",
        if good { "ok" } else { "FAIL" },
        pairs.len(),
        spread(pairs)
    );
    good
}

#[cfg(test)]
mod tests {
    use super::{Pair, averaged, judge, median, spread};

    fn pairs(ratios: &[f64]) -> Vec<Pair> {
        let pair = |&ratio: &f64| Pair {
            ours: 100.0 * ratio,
            perf: 100.0,
        };
        ratios.iter().map(pair).collect()
    }

    #[test]
    fn both_programs_are_read() {
        let perf = "# Running 'epoll/wait' benchmark:\nRun summary [PID 7]: 4 threads\n\n\nAveraged 34113 operations/sec (+- 0.44%), total secs = 8\n";
        assert_eq!(averaged(perf).unwrap(), 34113.0);
        assert_eq!(
            averaged("\nAveraged 5 operations/sec (+- unknown), total secs = 1").unwrap(),
            5.0
        );
        assert!(averaged("Averaged 0 operations/sec (+- 0.00%)").is_err());
        assert!(averaged("Averaged 7 ADD operations (+- 0.00%)").is_err());
    }

    #[test]
    fn one_bad_pair_does_not_decide_and_most_do() {
        assert!(judge("one", &pairs(&[1.0, 0.95, 0.2, 1.05, 1.01])));
        assert!(!judge("most", &pairs(&[0.85, 0.95, 0.2, 0.88, 1.01])));
        assert!(!judge("faster", &pairs(&[1.2, 1.2, 1.2])));
        assert!(!judge("none", &[]));
    }

    #[test]
    fn medians_and_spreads() {
        assert_eq!(median(&[1.0, 2.0, 4.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 5.0]), Some(3.0));
        assert_eq!(median(&[]), None);
        assert!((spread(&pairs(&[0.9, 1.2, 1.0])) - 0.3).abs() < 1e-9);
    }
}

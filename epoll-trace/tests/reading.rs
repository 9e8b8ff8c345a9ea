//! What reading costs with many epolls known: processor time of one refresh, memory of agent and maps.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Parser;
use common::{BINARY, can_trace};
use epoll_trace::cli::Cli;
use epoll_trace::cli::Counters;
use epoll_trace::commands::attach::{Wishes, start};
use epoll_trace::identity;
use epoll_trace::model::delta::Window;
use epoll_trace::model::filter::Filter;
use epoll_trace::model::group::{GroupBy, group};
use epoll_trace::model::snapshot::{Metric, Snapshot};
use epoll_trace::model::totals::Totals;
use epoll_trace::source::Source;
use epoll_trace::source::live::Live;
use nix::sys::resource::{UsageWho, getrusage};

const PROCESSES: usize = 1_000;
const EPOLLS: usize = 10_000;
/// The bar, of an optimized build.
const MOST_CPU: Duration = Duration::from_millis(50);
const MOST_BYTES: u64 = 256 << 20;
const REFRESHES: usize = 5;

/// Processes with ten epolls each. Killed when dropped, and they end with their generator.
struct Fleet(Child);

impl Fleet {
    fn start() -> Self {
        let mut load = Command::new(BINARY);
        load.args(["bench", "scenario", "fleet", "--hold", "--waiters"])
            .arg(PROCESSES.to_string());
        load.stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Self(load.spawn().unwrap())
    }

    /// Waits until it says that it holds.
    fn holds(&mut self) -> String {
        let mut line = String::new();
        let stderr = self.0.stderr.as_mut().unwrap();
        BufReader::with_capacity(1, stderr).read_line(&mut line).unwrap();
        line
    }

    fn go_on(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Processor time of this thread.
fn spent() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let duration = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// What `top` does for each sample; of that it draws some dozens of rows. Gives the look and the time it took.
fn refresh(live: &mut Live, totals: &mut Totals, earlier: &Snapshot) -> (Snapshot, Duration) {
    let before = spent();
    let now = live.snapshot().unwrap();
    let recent = Window::between(earlier, &now);
    let entries = totals.carry_on(group(&recent, GroupBy::Process, &Filter::default()));
    assert!(entries.len() >= PROCESSES);
    (now, spent() - before)
}

#[test]
fn a_refresh_is_cheap_with_ten_thousand_epolls() {
    if !can_trace("a_refresh_is_cheap_with_ten_thousand_epolls") {
        return;
    }
    let cli = Cli::try_parse_from(["epoll-trace", "top"]).unwrap();
    let wishes = Wishes {
        metrics: Metric::ALL.to_vec(),
        counters: Some(Counters::All),
        ..Wishes::default()
    };
    let (mut live, _) = start(&cli.global, &wishes).unwrap();
    let since = live.snapshot().unwrap();
    let mut totals = Totals::default();
    let mut fleet = Fleet::start();
    fleet.holds();
    fleet.go_on();
    assert!(fleet.holds().contains("delivered"));
    let (mut earlier, first) = refresh(&mut live, &mut totals, &since);
    let ours = earlier.rows.iter().filter(|row| row.key.epoll.is_some()).count();
    assert!(ours >= EPOLLS, "{ours} rows, {:?}", earlier.losses);
    let full = |(name, count): (&String, &u64)| name.ends_with("_full") && *count > 0;
    assert!(!earlier.losses.iter().any(full), "{:?}", earlier.losses);
    let mut times = Vec::new();
    for _ in 0..REFRESHES {
        let (now, time) = refresh(&mut live, &mut totals, &earlier);
        times.push(time);
        earlier = now;
    }
    times.sort();
    let median = times[REFRESHES / 2];
    let maps: u64 = live.loaded().maps.iter().map(|map| map.bytes).sum();
    let agent = identity::own_memory().unwrap();
    _ = writeln!(
        std::io::stderr(),
        "READING {ours} epolls: one refresh {:.1} ms of a core (median of {REFRESHES}; the first, with all rows new, {:.1} ms); \
         agent {:.1} MB + maps {:.1} MB",
        median.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3,
        agent as f64 / f64::from(1 << 20),
        maps as f64 / f64::from(1 << 20),
    );
    assert!(agent + maps < MOST_BYTES);
    // An unoptimized build says nothing about time.
    if !cfg!(debug_assertions) {
        assert!(median < MOST_CPU, "{times:?}");
    }
}

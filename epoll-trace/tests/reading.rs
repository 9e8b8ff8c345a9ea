//! What reading costs with many epolls known: processor time of one refresh, memory of agent and maps.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use clap::Parser;
use common::{BINARY, can_trace};
use epoll_trace::cli::Cli;
use epoll_trace::commands::attach::{Wishes, start};
use epoll_trace::model::delta::Window;
use epoll_trace::model::filter::Filter;
use epoll_trace::model::group::{GroupBy, group};
use epoll_trace::model::snapshot::Metric;
use epoll_trace::source::Source;
use epoll_trace::view::Report;
use epoll_trace::view::text::{self, TextOptions};
use nix::sys::resource::{UsageWho, getrusage};

const PROCESSES: usize = 1_000;

struct Fleet(Child);

impl Fleet {
    fn start() -> Self {
        let mut c = Command::new(BINARY);
        c.args([
            "bench",
            "scenario",
            "fleet",
            "--hold",
            "--waiters",
            &PROCESSES.to_string(),
        ]);
        Self(
            c.stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }
    fn wait_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.0.stderr.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        line
    }
    fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}
impl Drop for Fleet {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn cpu_ms() -> f64 {
    let u = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let t = u.user_time() + u.system_time();
    t.tv_sec() as f64 * 1e3 + t.tv_usec() as f64 / 1e3
}

fn rss() -> String {
    fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .filter(|l| l.starts_with("VmRSS") || l.starts_with("Rss"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn refresh() {
    if !can_trace("refresh") {
        return;
    }
    let cli = Cli::try_parse_from(["epoll-trace", "top"]).unwrap();
    let wishes = Wishes {
        metrics: Metric::ALL.to_vec(),
        counters: true,
        ..Wishes::default()
    };
    let t = Instant::now();
    let (mut live, _) = start(&cli.global, &wishes).unwrap();
    println!("start {:?}", t.elapsed());
    let mut fleet = Fleet::start();
    let t = Instant::now();
    println!("{}", fleet.wait_line());
    println!("{:?}", t.elapsed());
    live.snapshot().unwrap();
    fleet.go();
    println!("{}", fleet.wait_line());
    println!("{:?}", t.elapsed());
    let since = live.snapshot().unwrap();
    println!(
        "rows {} epolls {} losses {:?} {}",
        since.rows.len(),
        since.epolls.len(),
        since.losses,
        rss()
    );
    let mut earlier = live.snapshot().unwrap();
    for _ in 0..4 {
        let a = cpu_ms();
        let now = live.snapshot().unwrap();
        let b = cpu_ms();
        let total = Window::between(&since, &now);
        let recent = Window::between(&earlier, &now);
        let c = cpu_ms();
        let e1 = group(&total, GroupBy::Process, &Filter::default());
        let e2 = group(&recent, GroupBy::Process, &Filter::default());
        let d = cpu_ms();
        let mut sink = Vec::new();
        text::write(
            &mut sink,
            &Report {
                window: &recent,
                entries: &e1,
                metrics: &[Metric::Wakeup],
                counters: true,
            },
            &TextOptions::default(),
            None,
        )
        .unwrap();
        let e = cpu_ms();
        println!(
            "snapshot {:.1} windows {:.1} group {:.1} text {:.1}; {} {}",
            b - a,
            c - b,
            d - c,
            e - d,
            e2.len(),
            sink.len()
        );
        earlier = now;
    }
    println!("{}", rss());
}

//! `top`: a thread looks, the screen draws what it last saw; neither waits for the other.

use std::io::{IsTerminal, stdout};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossterm::event::EventStream;
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::attach::Wishes;
use super::child::{Gated, exit_code};
use super::config;
use crate::cli::{Counters, GlobalArgs, TopArgs};
use crate::config::Config;
use crate::fields::Field;
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::group::{GroupBy, group};
use crate::model::overhead::Overhead;
use crate::model::snapshot::Metric;
use crate::model::totals::Totals;
use crate::source::Source;
use crate::view::tui::app::{App, Effect, Sample};
use crate::view::tui::draw::draw;
use crate::view::tui::style::Look;
use crate::view::tui::terminal::{Screen, key};

/// What its table and the selected process's histogram rest on, and no more: it stays open for hours. With `callback` also the
/// time from the notification on, which costs two hooks more at each.
pub fn wishes(callback: bool) -> Wishes {
    let mut metrics = vec![Metric::Wakeup, Metric::Runqueue, Metric::Delivery];
    if callback {
        metrics.push(Metric::Callback);
    }
    Wishes {
        metrics,
        counters: Some(Counters::Waits),
        ..Wishes::default()
    }
}

/// Refuses when stdout is no terminal. To be asked before anything is attached.
///
/// # Errors
/// When stdout is no terminal.
pub fn check_terminal() -> anyhow::Result<()> {
    if stdout().is_terminal() {
        return Ok(());
    }
    bail!("top draws on a terminal and stdout is none; use `epoll-trace hist 1` for text")
}

/// Shows `source` until the person leaves or SIGTERM comes, and `command` for as long, which `source` already follows. Gives the
/// exit code: 0, or the command's own if it failed by itself. Needs a terminal and a tokio runtime.
///
/// # Errors
/// When stdout is no terminal, the command cannot be executed or the source cannot be read any more.
pub async fn run(
    args: &TopArgs,
    chosen: &Config,
    global: &GlobalArgs,
    source: Box<dyn Source>,
    mut command: Option<Gated>,
) -> anyhow::Result<u8> {
    check_terminal()?;
    let look = config::look(chosen, global);
    let sampling = Sampling::start(source, args.filter.filter(), chosen.interval())?;
    let sort = Field::from_id(chosen.sort()).context("the configuration sorts by a column that is none")?;
    let mut app = App::new(sort, chosen.interval());
    let released = command.as_mut().map_or(Ok(()), Gated::release);
    let shown = match released {
        Ok(()) => show(&mut app, look, &sampling, command.as_mut()).await,
        Err(error) => Err(error),
    };
    if let Some(command) = command {
        command.end().await;
    }
    sampling.stop().and(shown)?;
    Ok(app.command_ended.unwrap_or(0))
}

/// Waits for the command's end; without one, for ever.
async fn ended(command: Option<&mut Gated>) -> anyhow::Result<u8> {
    match command {
        Some(command) => command.wait().await.map(exit_code),
        None => std::future::pending().await,
    }
}

async fn show(
    app: &mut App,
    look: Look,
    sampling: &Sampling,
    mut command: Option<&mut Gated>,
) -> anyhow::Result<()> {
    let mut samples = sampling.samples.clone();
    let mut end = EndSignals::new()?;
    let mut screen = Screen::enter().context("cannot take over the terminal")?;
    let mut events = EventStream::new();
    loop {
        screen
            .terminal
            .draw(|frame| draw(frame, app, look))
            .context("cannot draw on the terminal")?;
        tokio::select! {
            changed = samples.changed() => match changed {
                Ok(()) => app.update(Arc::clone(&samples.borrow_and_update())),
                Err(_) => return Ok(()),
            },
            event = events.next() => {
                let Some(event) = event else { return Ok(()) };
                let event = event.context("cannot read keys from the terminal")?;
                match key(&event).and_then(|key| app.key(key)) {
                    Some(Effect::Quit) => return Ok(()),
                    Some(Effect::Reset) => sampling.order(Order::Reset),
                    Some(Effect::Interval(interval)) => sampling.order(Order::Interval(interval)),
                    None => {}
                }
            }
            code = ended(command.as_deref_mut()), if app.command_ended.is_none() => app.command_ended = Some(code?),
            () = end.recv() => return Ok(()),
        }
    }
}

/// Signals that end the screen as `q` does. Ctrl-C is a key here, but SIGINT may come from elsewhere.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl EndSignals {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// What the screen asks of the thread that looks.
#[derive(Clone, Copy, Debug)]
enum Order {
    Reset,
    Interval(Duration),
}

/// The thread that looks. Its orders end when this is dropped, and with them the thread.
struct Sampling {
    orders: Sender<Order>,
    samples: watch::Receiver<Arc<Sample>>,
    thread: thread::JoinHandle<anyhow::Result<()>>,
}

impl Sampling {
    fn start(source: Box<dyn Source>, filter: Filter, interval: Duration) -> anyhow::Result<Self> {
        let (orders, inbox) = channel();
        let (outbox, samples) = watch::channel(Arc::default());
        let thread = thread::Builder::new()
            .name("sampling".to_owned())
            .spawn(move || sample(source, &filter, interval, &inbox, &outbox))
            .context("cannot start the thread that samples")?;
        Ok(Self {
            orders,
            samples,
            thread,
        })
    }

    fn order(&self, order: Order) {
        // A thread that has ended says why in `stop`.
        _ = self.orders.send(order);
    }

    fn stop(self) -> anyhow::Result<()> {
        drop(self.orders);
        self.thread
            .join()
            .unwrap_or_else(|_| bail!("the thread that samples panicked"))
    }
}

fn sample(
    mut source: Box<dyn Source>,
    filter: &Filter,
    mut interval: Duration,
    inbox: &Receiver<Order>,
    outbox: &watch::Sender<Arc<Sample>>,
) -> anyhow::Result<()> {
    let mut earlier = source.snapshot()?;
    let (mut since_ns, mut totals) = (earlier.at_ns, Totals::default());
    let mut next = Instant::now() + interval;
    loop {
        match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Order::Interval(new)) => {
                interval = new;
                next = next.min(Instant::now() + interval);
                continue;
            }
            Ok(Order::Reset) => {
                earlier = source.snapshot()?;
                (since_ns, totals) = (earlier.at_ns, Totals::default());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let now = source.snapshot()?;
        let recent = Window::between(&earlier, &now);
        let entries = totals.carry_on(group(&recent, GroupBy::Process, filter));
        let seen = Sample {
            entries,
            since_ns: now.at_ns.saturating_sub(since_ns),
            plan_line: source.plan_line().to_owned(),
            cost: Overhead::of(&recent),
            losses: recent.counted.losses,
            absent: recent.counted.absent,
        };
        if outbox.send(Arc::new(seen)).is_err() {
            return Ok(());
        }
        earlier = now;
        next = Instant::now() + interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Snapshot;
    use crate::source::synthetic::Synthetic;

    async fn next(samples: &mut watch::Receiver<Arc<Sample>>) -> Arc<Sample> {
        tokio::time::timeout(Duration::from_secs(10), samples.changed())
            .await
            .unwrap()
            .unwrap();
        Arc::clone(&samples.borrow_and_update())
    }

    #[tokio::test]
    async fn a_reset_measures_anew_and_the_thread_ends() {
        let mut sampling = Sampling::start(
            Box::new(Synthetic::demo()),
            Filter::default(),
            Duration::from_millis(20),
        )
        .unwrap();
        while next(&mut sampling.samples).await.since_ns < 3_000_000_000 {}
        sampling.order(Order::Interval(Duration::from_secs(3600)));
        sampling.order(Order::Reset);
        while next(&mut sampling.samples).await.since_ns != 1_000_000_000 {}
        sampling.stop().unwrap();
    }

    struct Failing;

    impl Source for Failing {
        fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
            bail!("the map is gone")
        }
        fn plan_line(&self) -> &str {
            ""
        }
    }

    #[tokio::test]
    async fn a_source_that_fails_is_reported() {
        let mut sampling =
            Sampling::start(Box::new(Failing), Filter::default(), Duration::from_millis(20)).unwrap();
        assert!(sampling.samples.changed().await.is_err());
        assert_eq!(sampling.stop().unwrap_err().to_string(), "the map is gone");
    }
}

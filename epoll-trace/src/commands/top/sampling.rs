//! The thread that looks: it owns the source, obeys orders, and hands each look to the screen.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;

use super::looking::Looker;
use super::making::{Made, Maker};
use crate::model::filter::Filter;
use crate::model::measures::Measures;
use crate::view::tui::app::Sample;
use crate::view::tui::app::screen::Screen;

/// Until the first look of a new source at most.
const FIRST: Duration = Duration::from_secs(1);

/// What the screen asks of the thread that looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Forget what was counted.
    Reset,
    /// Look this often.
    Interval(Duration),
    /// Look for this screen.
    Show(Screen),
    /// Measure this from now on.
    Measure(Measures),
}

/// The thread that looks. Its orders end when this is dropped, and with them the thread.
pub(super) struct Sampling {
    orders: Sender<Order>,
    pub(super) samples: watch::Receiver<Arc<Sample>>,
    thread: thread::JoinHandle<anyhow::Result<()>>,
}

impl Sampling {
    /// Starts it on what `made` counts.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(
        made: Made,
        maker: Box<dyn Maker>,
        filter: Filter,
        interval: Duration,
    ) -> anyhow::Result<Self> {
        let (orders, inbox) = channel();
        let (outbox, samples) = watch::channel(Arc::default());
        let thread = thread::Builder::new()
            .name("sampling".to_owned())
            .spawn(move || Thread::new(made, maker, filter, interval)?.run(&inbox, &outbox))
            .context("cannot start the thread that samples")?;
        Ok(Self {
            orders,
            samples,
            thread,
        })
    }

    pub(super) fn order(&self, order: Order) {
        // A thread that has ended says why in `stop`.
        _ = self.orders.send(order);
    }

    /// Ends it.
    ///
    /// # Errors
    /// Why it ended by itself, if it did.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        drop(self.orders);
        self.thread
            .join()
            .unwrap_or_else(|_| bail!("the thread that samples panicked"))
    }
}

struct Thread {
    made: Made,
    maker: Box<dyn Maker>,
    looker: Looker,
    interval: Duration,
    next: Instant,
}

impl Thread {
    fn new(
        mut made: Made,
        maker: Box<dyn Maker>,
        filter: Filter,
        interval: Duration,
    ) -> anyhow::Result<Self> {
        let first = made.source.snapshot()?;
        Ok(Self {
            looker: Looker::new(first, filter),
            made,
            maker,
            interval,
            next: Instant::now() + interval,
        })
    }

    fn run(mut self, inbox: &Receiver<Order>, outbox: &watch::Sender<Arc<Sample>>) -> anyhow::Result<()> {
        loop {
            let left = self.next.saturating_duration_since(Instant::now());
            let sample = match inbox.recv_timeout(left) {
                Ok(Order::Interval(interval)) => {
                    self.interval = interval;
                    self.next = self.next.min(Instant::now() + interval);
                    continue;
                }
                Ok(Order::Show(screen)) => match self.looker.show(screen, &self.made) {
                    Some(sample) => sample,
                    None => self.look()?,
                },
                Ok(Order::Measure(measures)) => {
                    self = self.measure(measures)?;
                    continue;
                }
                Ok(Order::Reset) => {
                    self.looker.restart(self.made.source.snapshot()?);
                    self.look()?
                }
                Err(RecvTimeoutError::Timeout) => self.look()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if outbox.send(sample).is_err() {
                return Ok(());
            }
        }
    }

    fn look(&mut self) -> anyhow::Result<Arc<Sample>> {
        let mut now = self.made.source.snapshot()?;
        if self.looker.wants_processes(&now, &self.made) {
            self.made.source.look(&mut now)?;
        }
        self.next = Instant::now() + self.interval;
        Ok(self.looker.look(now, &self.made))
    }

    /// Ends the source and makes one for `measures`; where that fails, one as before, and the next look says why.
    fn measure(self, measures: Measures) -> anyhow::Result<Self> {
        let Self {
            made,
            mut maker,
            mut looker,
            interval,
            ..
        } = self;
        let before = made.measures;
        let known = looker.seen();
        // Two at once would count twice what the programs cost, and hold twice the memory.
        drop(made);
        let (mut made, failed) = match maker.make(measures, &known) {
            Ok(made) => (made, None),
            Err(error) => {
                let why = format!("cannot measure that: {error:#}");
                (maker.make(before, &known)?, Some(why.into()))
            }
        };
        looker.restart(made.source.snapshot()?);
        looker.failed = failed;
        Ok(Self {
            made,
            maker,
            looker,
            interval,
            next: Instant::now() + interval.min(FIRST),
        })
    }
}

#[cfg(test)]
mod tests;

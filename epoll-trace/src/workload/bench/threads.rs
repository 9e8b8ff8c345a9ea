//! Threads that start together, run for a time or for a number of operations, and end together.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::workload::cpus::pin;

/// Between two looks at the end of the run.
const LOOK: Duration = Duration::from_millis(10);
/// Workers that were told to end have so long, while events still come.
const LAST_OPERATION: Duration = Duration::from_secs(10);

/// Ctrl-C ends a run early, with its report.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Has the first Ctrl-C end the run, and the second the process.
fn watch_interrupt() -> Result<()> {
    let action = SigAction::new(
        SigHandler::Handler(interrupt),
        SaFlags::SA_RESETHAND,
        SigSet::empty(),
    );
    // SAFETY: the handler only stores an atomic.
    unsafe { sigaction(Signal::SIGINT, &action) }.context("cannot watch for Ctrl-C")?;
    Ok(())
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// After this time.
    Runtime(Duration),
    /// When each thread has done so many operations.
    Operations(u64),
}

impl Bound {
    /// Operations of one thread at most.
    pub(super) fn operations(self) -> u64 {
        match self {
            Self::Runtime(_) => u64::MAX,
            Self::Operations(count) => count,
        }
    }
}

/// What threads of a run share.
#[derive(Default)]
pub(super) struct Control {
    ready: Mutex<(usize, bool)>,
    changed: Condvar,
    done: AtomicBool,
    over: AtomicBool,
    ended: AtomicUsize,
}

impl Control {
    /// Whether workers are to end.
    pub(super) fn done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether all workers have ended, so that nobody needs an event any more.
    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Says that this worker is there, and waits for the start.
    fn arrive(&self) {
        let mut state = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until `workers` are there, then lets them start.
    fn open(&self, workers: usize) {
        let mut state = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 < workers {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.1 = true;
        self.changed.notify_all();
    }
}

/// Counts a worker as ended however it ends.
struct Ended<'a>(&'a Control);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// What one worker does once all start.
pub(super) type Job<T> = Box<dyn FnOnce(&Control) -> Result<T> + Send>;

/// A job that keeps `open` to its end: a thread that outlives a failed run must not meet descriptors of others.
pub(super) fn keeping<T, O: Send + Sync + 'static>(
    open: &Arc<O>,
    work: impl FnOnce(&Control) -> Result<T> + Send + 'static,
) -> Job<T> {
    let open = Arc::clone(open);
    Box::new(move |control| {
        let done = work(control);
        drop(open);
        done
    })
}

/// A finished run.
pub(super) struct Finished<T> {
    /// What the workers made, in order.
    pub(super) workers: Vec<T>,
    /// What the writer counted; 0 without one.
    pub(super) written: Written,
    /// From the start to the moment workers were told to end, or the last of them ended before.
    pub(super) elapsed: Duration,
}

/// What the writer counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// Writes done.
    pub(super) writes: u64,
    /// Rounds over all files.
    pub(super) rounds: u64,
}

/// Starts `jobs`, each on the CPU given, runs them to `bound` with `writer` beside them, and ends them. The writer goes on
/// until the last worker has ended, so that none is left waiting.
///
/// # Errors
/// When a thread cannot start or be pinned, a job fails, or a worker does not end.
pub(super) fn run<T: Send + 'static>(
    jobs: Vec<(Option<usize>, Job<T>)>,
    writer: Option<Job<Written>>,
    bound: Bound,
) -> Result<Finished<T>> {
    watch_interrupt()?;
    let control = Arc::new(Control::default());
    let count = jobs.len();
    let mut threads = Vec::with_capacity(count);
    let mut refused = None;
    for (cpu, job) in jobs {
        match spawn(&control, cpu, job) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                refused = Some(error);
                control.done.store(true, Ordering::Relaxed);
                break;
            }
        }
    }
    control.open(threads.len());
    let start = Instant::now();
    let writer = match writer.filter(|_| refused.is_none()) {
        Some(job) => Some(spawn_writer(&control, job)?),
        None => None,
    };
    let told = watch(&control, threads.len(), bound, start);
    let result = end(&control, threads);
    control.over.store(true, Ordering::Relaxed);
    let written = match writer {
        Some(writer) => joined(writer)?,
        None => Written::default(),
    };
    match refused {
        Some(error) => Err(error),
        None => {
            let (workers, ends): (Vec<T>, Vec<Instant>) = result?.into_iter().unzip();
            let last = ends.into_iter().max().unwrap_or(told);
            Ok(Finished {
                workers,
                written,
                elapsed: last.min(told) - start,
            })
        }
    }
}

fn spawn<T: Send + 'static>(
    control: &Arc<Control>,
    cpu: Option<usize>,
    job: Job<T>,
) -> Result<JoinHandle<Result<(T, Instant)>>> {
    let control = Arc::clone(control);
    let body = move || {
        let _ended = Ended(&control);
        let pinned = cpu.map_or(Ok(()), |cpu| {
            pin(cpu).with_context(|| format!("cannot stay on CPU {cpu}"))
        });
        control.arrive();
        let result = pinned
            .and_then(|()| job(&control))
            .map(|made| (made, Instant::now()));
        if result.is_err() {
            control.done.store(true, Ordering::Relaxed);
        }
        result
    };
    std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(body)
        .context("cannot start a thread: check the limit of threads")
}

fn spawn_writer(control: &Arc<Control>, job: Job<Written>) -> Result<JoinHandle<Result<Written>>> {
    let shared = Arc::clone(control);
    let body = move || {
        let result = job(&shared);
        if result.is_err() {
            shared.done.store(true, Ordering::Relaxed);
        }
        result
    };
    let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(body);
    if thread.is_err() {
        control.done.store(true, Ordering::Relaxed);
    }
    thread.context("cannot start the writer: check the limit of threads")
}

/// Waits for the end of the run and tells the workers.
fn watch(control: &Control, workers: usize, bound: Bound, start: Instant) -> Instant {
    let ended = || control.ended.load(Ordering::Acquire) >= workers;
    while !control.done() && !ended() && !INTERRUPTED.load(Ordering::Relaxed) {
        let left = match bound {
            Bound::Runtime(time) => time.saturating_sub(start.elapsed()),
            Bound::Operations(_) => LOOK,
        };
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(LOOK));
    }
    let told = Instant::now();
    control.done.store(true, Ordering::Relaxed);
    told
}

/// Joins the workers, which still get events.
fn end<T>(control: &Control, threads: Vec<JoinHandle<Result<T>>>) -> Result<Vec<T>> {
    let deadline = Instant::now() + LAST_OPERATION;
    while control.ended.load(Ordering::Acquire) < threads.len() {
        if Instant::now() > deadline {
            bail!(
                "a thread did not end within {} s: is the machine overloaded?",
                LAST_OPERATION.as_secs()
            );
        }
        std::thread::sleep(LOOK);
    }
    threads.into_iter().map(joined).collect()
}

fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(_) => bail!("a thread panicked: this is a bug of epoll-trace, please report it"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::bail;

    use super::{Bound, Control, Job, Written, run};

    fn until_done(control: &Control) -> anyhow::Result<u64> {
        let mut rounds = 0;
        while !control.done() {
            rounds += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(rounds)
    }

    #[test]
    fn a_run_lasts_as_long_as_asked_and_the_writer_longer() {
        let jobs = (0..2).map(|_| (None, Box::new(until_done) as Job<u64>)).collect();
        let writer: Job<Written> = Box::new(|control| {
            let mut written = Written::default();
            while !control.over() {
                written.rounds += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(written)
        });
        let time = Duration::from_millis(50);
        let finished = run(jobs, Some(writer), Bound::Runtime(time)).unwrap();
        assert!(finished.elapsed >= time && finished.elapsed < Duration::from_secs(5));
        assert!(finished.workers.len() == 2 && finished.workers[0] > 1 && finished.written.rounds > 1);
    }

    #[test]
    fn a_failing_worker_ends_the_others() {
        let jobs: Vec<(Option<usize>, Job<u64>)> = vec![
            (None, Box::new(until_done)),
            (None, Box::new(|_| bail!("no such thing"))),
        ];
        let failed = run(jobs, None, Bound::Runtime(Duration::from_secs(60)));
        assert_eq!(failed.err().unwrap().to_string(), "no such thing");
    }

    #[test]
    fn a_worker_that_cannot_be_pinned_says_where() {
        let jobs: Vec<(Option<usize>, Job<u64>)> = vec![(Some(1023), Box::new(until_done))];
        let failed = run(jobs, None, Bound::Operations(1));
        assert!(failed.err().unwrap().to_string().contains("CPU 1023"));
    }
}

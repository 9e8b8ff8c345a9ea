//! Orders to the thread that looks: what it sends after them, and how it ends.

use std::sync::Mutex;

use super::*;
use crate::model::measures::Measure;
use crate::model::snapshot::Snapshot;
use crate::source::Source;
use crate::source::synthetic::Synthetic;

/// Makes synthetic sources, and refuses locks. Counts those that are alive.
#[derive(Clone, Default)]
struct Synthesis(Arc<Mutex<u32>>);

struct Counted(Synthetic, Arc<Mutex<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        *self.1.lock().unwrap() -= 1;
    }
}

impl Source for Counted {
    fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
        self.0.snapshot()
    }
    fn plan_line(&self) -> &str {
        self.0.plan_line()
    }
}

impl Maker for Synthesis {
    fn make(&mut self, measures: Measures, known: &[u32]) -> anyhow::Result<Made> {
        if measures.has(Measure::Locks) {
            bail!("no tracepoint of contention");
        }
        let mut alive = self.0.lock().unwrap();
        assert_eq!(*alive, 0, "the source before is still there");
        *alive += 1;
        let mut source = Synthetic::demo();
        if measures.has(Measure::Herd) {
            assert!(known.contains(&300), "{known:?}");
            source.share();
        }
        Ok(Made {
            source: Box::new(Counted(source, Arc::clone(&self.0))),
            measures,
            status: None,
            host: Arc::default(),
        })
    }
}

fn start(interval: Duration) -> (Sampling, Synthesis) {
    let mut maker = Synthesis::default();
    let made = maker.make(Measures::NONE, &[]).unwrap();
    let sampling = Sampling::start(made, Box::new(maker.clone()), Filter::default(), interval);
    (sampling.unwrap(), maker)
}

async fn next(samples: &mut watch::Receiver<Arc<Sample>>) -> Arc<Sample> {
    tokio::time::timeout(Duration::from_secs(10), samples.changed())
        .await
        .unwrap()
        .unwrap();
    Arc::clone(&samples.borrow_and_update())
}

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_reset_measures_anew_and_the_thread_ends() {
    let (mut sampling, maker) = start(SHORT);
    while next(&mut sampling.samples).await.since_ns < 3_000_000_000 {}
    sampling.order(Order::Interval(LONG));
    sampling.order(Order::Reset);
    while next(&mut sampling.samples).await.since_ns != 1_000_000_000 {}
    sampling.stop().unwrap();
    assert_eq!(*maker.0.lock().unwrap(), 0, "nothing stays");
}

#[tokio::test]
async fn a_screen_brings_its_rows_at_once() {
    let (mut sampling, _maker) = start(SHORT);
    let before = next(&mut sampling.samples).await;
    assert!(before.epolls.is_none() && !before.entries.is_empty());
    sampling.order(Order::Interval(LONG));
    sampling.order(Order::Show(Screen::Epolls));
    let epolls = loop {
        if let Some(epolls) = &next(&mut sampling.samples).await.epolls {
            break epolls.clone();
        }
    };
    assert_eq!(epolls.len(), 5);
    assert!(epolls.iter().all(|epoll| epoll.wakeups() > Some(0)));
    sampling.order(Order::Show(Screen::Processes));
    assert!(next(&mut sampling.samples).await.epolls.is_none());
    sampling.stop().unwrap();
}

#[tokio::test]
async fn other_measures_make_another_source_after_the_first_has_gone() {
    let (mut sampling, _maker) = start(SHORT);
    next(&mut sampling.samples).await;
    sampling.order(Order::Show(Screen::Sources));
    let herd = Measures::NONE.with(Measures::of(&[Measure::Herd]));
    sampling.order(Order::Measure(herd));
    let sample = loop {
        let sample = next(&mut sampling.samples).await;
        if sample.measures == herd && !sample.herds.is_empty() {
            break sample;
        }
    };
    assert!(sample.herds.iter().any(|herd| herd.is_listener()));
    // What is refused leaves what there was, and says so once.
    sampling.order(Order::Measure(herd.with(Measures::of(&[Measure::Locks]))));
    let refused = loop {
        let sample = next(&mut sampling.samples).await;
        if sample.failed.is_some() {
            break sample;
        }
    };
    assert_eq!(
        refused.failed.as_deref(),
        Some("cannot measure that: no tracepoint of contention")
    );
    assert_eq!(refused.measures, herd);
    assert_eq!(next(&mut sampling.samples).await.failed, None);
    sampling.stop().unwrap();
}

#[tokio::test]
async fn findings_come_with_badges_from_a_window_that_moves_on() {
    let (mut sampling, _maker) = start(Duration::from_millis(5));
    sampling.order(Order::Show(Screen::Findings));
    let mut most = 0;
    for _ in 0..60 {
        let sample = next(&mut sampling.samples).await;
        if sample.since_ns < 2_000_000_000 {
            continue;
        }
        assert!(sample.examination.is_some());
        assert!(sample.entries.iter().all(|entry| entry.finding.is_some()));
        most = most.max(sample.examined_ns);
        let span = sample.examined_ns / 1_000_000_000;
        assert!(
            span <= 20 && (sample.since_ns < 20_000_000_000 || span >= 10),
            "{span} s"
        );
    }
    assert!(most >= 15_000_000_000);
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
    let made = Made {
        source: Box::new(Failing),
        measures: Measures::NONE,
        status: None,
        host: Arc::default(),
    };
    let maker = Box::new(Synthesis::default());
    let mut sampling = Sampling::start(made, maker, Filter::default(), SHORT).unwrap();
    assert!(sampling.samples.changed().await.is_err());
    assert_eq!(sampling.stop().unwrap_err().to_string(), "the map is gone");
}

//! One row of the native benchmark: what two sides of many pairs of windows say.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::pairs::Estimate;

/// How far the ends of the control's interval may be from 1.
const CONTROL: f64 = 0.005;

/// What a window is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    /// Nothing.
    None,
    /// Empty programs on the hooks of ours.
    Floor,
    /// `hist` with the wakeup total alone.
    Ours,
    /// bpftrace's runqlat.
    Runqlat,
}

impl Side {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Floor => "floor",
            Self::Ours => "ours",
            Self::Runqlat => "runqlat",
        }
    }
}

/// One row of the result.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) load: &'static str,
    pub(super) of: Side,
    pub(super) to: Side,
    /// Pairs that it rests on.
    pairs: usize,
    /// Processor time per operation beside `to`, median.
    to_ns: f64,
    /// By how much `of` is above, median of the pairs.
    extra_ns: f64,
    ratio: Estimate,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fails: Option<String>,
    /// Of a control: 1 is not in the interval, so differences as small as its distance say nothing.
    pub(super) control_is_off: bool,
}

/// Processor time per operation in ns of two neighbouring windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) of: f64,
    pub(super) to: f64,
}

impl Row {
    pub(super) fn new(
        load: &'static str,
        of: Side,
        to: Side,
        pairs: &[Pair],
        at_most: Option<f64>,
    ) -> Result<Self> {
        let estimate = |value: fn(&Pair) -> f64| {
            Estimate::of(pairs.iter().map(value)).context("too few pairs for an interval")
        };
        let ratio = estimate(|pair| pair.of / pair.to)?;
        let control = of == to;
        let fails = match at_most {
            _ if control && !ratio.is_near_one(CONTROL) => Some(format!(
                "the control reaches further than {CONTROL} from 1: this run says nothing, the machine does other things"
            )),
            // The end of the interval: the median alone may be luck.
            Some(most) if ratio.high > most => Some(format!("at most {most}")),
            _ => None,
        };
        // One control in twenty is so by chance.
        let off = control && !ratio.holds_one();
        Ok(Self {
            load,
            of,
            to,
            pairs: pairs.len(),
            to_ns: estimate(|pair| pair.to)?.median,
            extra_ns: estimate(|pair| pair.of - pair.to)?.median,
            ratio,
            fails,
            control_is_off: off,
        })
    }

    pub(super) fn text(&self) -> String {
        let Estimate { median, low, high } = self.ratio;
        let verdict = match &self.fails {
            Some(why) => format!("  FAIL {why}"),
            None if self.control_is_off => "  control off 1".to_owned(),
            None => String::new(),
        };
        format!(
            "{:<8} {:<8} {:<8} {:>5} {:>9.1} {:>+9.1}  {median:.4} [{low:.4} {high:.4}]{verdict}",
            self.load,
            self.of.name(),
            self.to.name(),
            self.pairs,
            self.to_ns,
            self.extra_ns,
        )
    }
}

pub(super) const HEAD: &str = "LOAD     WITH     BESIDE   PAIRS     NS/OP     EXTRA  RATIO  [95 % INTERVAL]";

#[cfg(test)]
mod tests {
    use super::{Pair, Row, Side};

    fn row(of: Side, ratios: &[f64], at_most: Option<f64>) -> Row {
        let pairs: Vec<Pair> = ratios
            .iter()
            .map(|ratio| Pair {
                of: ratio * 200.0,
                to: 200.0,
            })
            .collect();
        Row::new("pp", of, Side::None, &pairs, at_most).unwrap()
    }

    #[test]
    fn a_bar_is_held_by_the_whole_interval() {
        let good = row(Side::Ours, &[1.14; 20], Some(1.15));
        assert_eq!((good.fails.as_deref(), good.to_ns), (None, 200.0));
        assert!((good.extra_ns - 28.0).abs() < 1e-9);
        let mut ratios = [1.14; 20];
        ratios[..6].fill(1.2);
        let bad = row(Side::Ours, &ratios, Some(1.15));
        assert_eq!(bad.fails.as_deref(), Some("at most 1.15"));
        assert_eq!(
            bad.text(),
            "pp       ours     none        20     200.0     +28.0  1.1400 [1.1400 1.2000]  FAIL at most 1.15"
        );
    }

    #[test]
    fn a_control_far_from_one_fails_and_one_that_excludes_it_says_so() {
        let wide = row(Side::None, &[0.993, 1.0, 1.007, 0.993, 1.0, 1.007], None);
        assert!(wide.fails.is_some() && !wide.control_is_off);
        let off = row(Side::None, &[1.001; 20], None);
        assert_eq!(off.fails, None);
        assert!(off.text().ends_with("1.0010 [1.0010 1.0010]  control off 1"));
        let good = row(Side::None, &[0.999, 1.0, 1.001, 0.999, 1.0, 1.001], None);
        assert!(good.fails.is_none() && !good.control_is_off);
        // What is no control may be anything.
        assert!(!row(Side::Ours, &[1.001; 20], None).control_is_off);
    }

    #[test]
    fn too_few_pairs_are_no_row() {
        assert!(
            Row::new(
                "pp",
                Side::Ours,
                Side::None,
                &[Pair { of: 1.0, to: 1.0 }; 5],
                None
            )
            .is_err()
        );
    }
}

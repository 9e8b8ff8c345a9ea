//! The command line of the hidden commands of the benchmark.

use std::path::PathBuf;

use clap::Args;

use super::values::metric_parser;
use crate::model::snapshot::Metric;

/// Arguments of the hidden command that attaches empty programs.
#[derive(Args, Clone, Debug)]
pub struct FloorArgs {
    /// The object of empty programs
    #[arg(long, value_name = "FILE")]
    pub object: PathBuf,
    /// Where `hist` with these times attaches
    #[arg(long = "metric", value_name = "METRIC", value_delimiter = ',', default_value = "wakeup", value_parser = metric_parser())]
    pub metrics: Vec<Metric>,
    /// Where `top` attaches instead
    #[arg(long)]
    pub top: bool,
    /// Of these only the programs with these names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
}

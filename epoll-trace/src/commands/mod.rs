//! One file per command: from a source through the model to a view. No arithmetic, no formatting.

pub mod attach;
pub mod bench;
pub mod child;
pub mod hist;
pub mod output;
pub mod probes;
pub mod top;

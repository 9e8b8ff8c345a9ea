//! One file per command: from a source through the model to a view. No arithmetic, no formatting.

pub mod child;
pub mod hist;
pub mod output;
pub mod top;

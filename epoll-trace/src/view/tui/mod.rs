//! The screen of `top`. `app` decides and knows no terminal, `actions` is the one table of keys,
//! `draw` and `detail` turn the state into cells, `terminal` leaves the terminal as it was.

pub mod actions;
pub mod app;
mod detail;
pub mod draw;
mod header;
pub mod keys;
pub mod query;
pub mod style;
pub mod terminal;

#[cfg(test)]
mod tests;

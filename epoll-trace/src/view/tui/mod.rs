//! The screen of `top`. `app` decides and knows no terminal, `actions` is the one table of keys,
//! `draw` and what it names turn the state into cells, `terminal` leaves the terminal as it was.

pub mod actions;
pub mod app;
mod detail;
pub mod draw;
mod header;
pub mod query;
pub mod style;
mod table;
pub mod terminal;
mod texts;

#[cfg(test)]
mod tests;

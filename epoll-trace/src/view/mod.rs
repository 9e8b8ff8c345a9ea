//! What people and programs see. Pure functions of plain data.

pub mod probes;

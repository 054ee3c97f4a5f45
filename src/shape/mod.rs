//! The shape engine: what a value must look like, and where it does not.
//!
//! A shape is a table of [`Rule`]s, plain data. [`judge`] holds any [`View`] against it and reports every
//! difference as a [`Finding`]. It knows nothing of what the shapes describe.
#![deny(clippy::indexing_slicing)]

mod place;
mod rule;
mod view;

pub use place::{Path, Position, Step};
pub use rule::{Field, Finding, Need, Record, Rest, Rule, Spot, Text, judge, near};
pub use view::{Seen, View};

//! The shape engine: what a value must look like, and where it does not.
//!
//! A shape is a table of [`Rule`]s, plain data. [`judge`] holds any [`View`] against it and reports every
//! difference as a [`Finding`]. It knows nothing of what the shapes describe. Shapes with a name ([`Shape`]) can be
//! extended at run time ([`Expression`]), and written as JSON Schema ([`schema`]).
#![deny(clippy::indexing_slicing)]

mod expression;
mod judge;
mod near;
mod place;
mod rule;
mod schema;
mod view;

pub use expression::{Expression, Shape};
pub use judge::{Finding, Findings, Held, More, Spot, judge, judge_with};
pub use near::near;
pub use place::{Path, Step};
pub use rule::{Either, Field, Need, Ordered, Record, Ref, Rest, Rule, Test, Text};
pub use schema::schema;
pub use view::{Seen, View};

//! The projection as a whole: what documents say, golden bytes, and laws over small worlds.

mod documents;
mod golden;
mod laws;
pub(crate) mod reference;

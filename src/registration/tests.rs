//! The projection as a whole: what documents say, golden bytes, and laws over small worlds.

mod documents;
mod golden;
pub(crate) mod laws;
pub(crate) mod reference;

//! The documentation holds: its examples run, its runbooks work, and the tests that it names exist.

mod cited;
pub mod examples;
mod quickstart;
pub mod runbooks;

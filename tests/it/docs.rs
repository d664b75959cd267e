//! The documentation: its examples run, its runbooks work, its links and the tests that it names
//! exist.

mod cited;
pub mod examples;
mod links;
mod quickstart;
pub mod runbooks;

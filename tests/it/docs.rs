//! The documentation: its examples run, its runbooks work, its links and the tests that it names
//! exist.

pub mod alert_pages;
mod cited;
pub mod examples;
mod links;
mod quickstart;
pub mod runbooks;

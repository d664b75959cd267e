//! The pages for people in a real Chromium: nothing hostile runs, axe finds nothing, and what changes
//! appears.

mod chromium;
mod pages;

//! What is delivered beside the binary, used by the programs that it is made for.

mod alerts;
mod board;
mod builds;
mod chart;
mod chart_anchoring;
mod chart_identities;
mod chart_installed;
mod chart_plain;
mod image;
mod monitors;
mod release;
mod service;
mod tools;

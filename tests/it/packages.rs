//! What is delivered beside the binary, used by the programs that it is made for.

mod alerts;
mod board;
mod chart;
mod chart_installed;
mod chart_plain;
mod service;
mod tools;

//! What is delivered beside the binary, used by the programs that it is made for.

mod alerts;
mod board;
mod service;
mod tools;

//! House rules that no type can express: who may import whom, and who may sign.

mod architecture;
mod clients;
pub(crate) mod docs;
mod fences;

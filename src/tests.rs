//! House rules that no type can express: who may import whom, and who may sign.

mod architecture;
pub(crate) mod docs;
mod fences;

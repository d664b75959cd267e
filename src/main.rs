//! Runs [`registrar::run`] in a tokio runtime.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// It gives memory of idle connections back, which glibc's does not, and the static image would have
/// musl's; docs/performance.md has the figures.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    registrar::run().await
}

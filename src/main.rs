//! Runs [`registrar::run`] in a tokio runtime.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// It gives memory of idle connections back, which the C library's does not, and it is as fast in the
/// image, where the C library's is slow; docs/performance.md has the figures.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    registrar::run().await
}

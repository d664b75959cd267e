//! Runs [`registrar::run`] in a tokio runtime.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    registrar::run().await
}

//! The binary: parse, run, say what went wrong.

use std::process::ExitCode;

use registrar::{cli::Cli, command, telemetry::with_causes};

#[tokio::main]
async fn main() -> ExitCode {
    // One provider for the Kubernetes client and the chain's alike; nobody installed another before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command::run(Cli::read()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("registrar: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

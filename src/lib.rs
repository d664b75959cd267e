//! The registrar: publishes Kubernetes ServiceOffers as ERC-8004 agent registrations.
//!
//! Facts come in (offers, agent ids, the clock), [`registration::project`] decides, and bytes go out. The crate is one
//! program: only [`run`] is public, so the compiler finds code that nothing uses.

mod anchor;
mod catalog;
mod cli;
mod clock;
mod command;
mod http;
mod offer;
mod publish;
mod registration;
mod source;
mod telemetry;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

/// Runs the program: reads the command line, carries out the verb, and reports an error on stderr.
///
/// Ends the process itself, with exit code 2, on bad usage. Must run inside a tokio runtime.
pub async fn run() -> ExitCode {
    // One provider for the Kubernetes client and the chain's alike; nobody installed another before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command::run(cli::Cli::read()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("registrar: {}", telemetry::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

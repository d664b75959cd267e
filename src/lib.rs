//! The registrar: publishes Kubernetes ServiceOffers as ERC-8004 agent registrations.
//!
//! Facts come in (offers, agent ids, the clock), [`registration::project`] decides, and bytes go
//! out. Only [`run`] is public, so the compiler finds code that nothing uses.

mod anchor;
mod catalog;
mod check;
mod cli;
mod clock;
mod command;
mod enforce;
mod error_chain;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head;
mod http;
mod identity_status;
mod journal_place;
mod leader;
mod lint;
mod listener;
mod offer;
mod offer_events;
mod page;
mod publish;
mod registration;
mod review;
mod source;
mod telemetry;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

/// Reads the command line, runs the verb, and reports an error on stderr.
///
/// Exits the process with code 2 on bad usage. Must run inside a tokio runtime.
pub async fn run() -> ExitCode {
    // The Kubernetes and the JSON-RPC client share this provider. It fails only if one is
    // installed already, and nothing ran before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command::run(cli::Cli::read()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("registrar: {}", error_chain::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

//! The binary: parse, run, say what went wrong.

use std::process::ExitCode;

use clap::Parser;
use registrar::{cli::Cli, command};

#[tokio::main]
async fn main() -> ExitCode {
    match command::run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("registrar: {error:#}");
            ExitCode::FAILURE
        }
    }
}

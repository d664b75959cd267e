//! The registrar: publishes Kubernetes ServiceOffers as ERC-8004 agent registrations.
//!
//! Facts come in (offers, agent ids, the clock), [`registration::project`] decides, and bytes go out.

pub mod anchor;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod command;
pub mod http;
pub mod offer;
pub mod publish;
pub mod registration;
pub mod source;
pub mod telemetry;

//! Both routers, without a socket, over catalogs that the tests publish.

mod admin;
mod alerts;
mod caching;
mod confidential;
pub(crate) mod contract;
mod discovery;
mod home;
mod listings;
mod metrics;
mod reference;
mod requests;
mod routes;
mod schemas;
mod scraped;
pub(crate) mod site;
mod status;

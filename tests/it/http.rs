//! The listeners over real sockets: a real consumer, HTTP by the book, and clients of every kind.

mod agent0_sdk;
mod at_once;
mod by_the_book;
mod events;
mod floods;
mod ground;
mod limits;
mod proxies;
mod shutdown;
mod slow_clients;
mod smuggling;
mod tls;
mod x402;

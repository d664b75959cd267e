//! Documents over HTTP, read by a real consumer.

mod agent0_sdk;

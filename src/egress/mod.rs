//! The hosts and addresses that an HTTP request may reach.

pub mod address;
pub mod policy;

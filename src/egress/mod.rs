//! Which hosts and addresses a request may reach.

pub mod address;
pub mod policy;

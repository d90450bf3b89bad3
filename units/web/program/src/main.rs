//! The front door of the appliance, and its webmail.

fn main() {}

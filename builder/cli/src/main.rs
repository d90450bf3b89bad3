//! The `mailkiln` program.
fn main() {}

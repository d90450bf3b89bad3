//! Packages and crates as layers of a tree, read without executing anything.

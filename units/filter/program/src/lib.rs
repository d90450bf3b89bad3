//! Looks into every message on its way through the mail server.
//!
//! In: messages, by the milter protocol. Out: what becomes of each: it passes, with or without
//! marks, loses a part, is kept, is refused, or is asked to come back when nobody could look.
//!
//! Read in the order data flows: [`milter`] takes messages, [`pool`] hands them to a [`worker`]
//! where `mailkiln-inspect` looks into them, [`policy`] decides, [`edit`] changes, [`quarantine`]
//! keeps. [`filter`] ties it together; [`command`] has one file for each command.

pub mod api;
pub mod arguments;
pub mod clamd;
pub mod clock;
pub mod command;
pub mod configuration;
pub mod confine;
pub mod digest;
pub mod durable;
pub mod edit;
pub mod filter;
pub mod fuzz;
pub mod journal;
pub mod milter;
pub mod policy;
pub mod pool;
pub mod quarantine;
pub mod rules;
pub mod smtp;
pub mod worker;

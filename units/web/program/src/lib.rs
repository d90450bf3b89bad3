//! The front door of a mail appliance and its webmail.
//!
//! In: TCP connections of strangers on ports 80 and 443. Out: pages, and what belongs to a mail server's names: answers to
//! ACME challenges, MTA-STS policies, set-up of mail programs, DAV. Mail itself is read and sent through
//! the server beside it (`mailkiln-servers`); nothing of it is kept here.
//!
//! The way of a request: `sockets` → `accept` (limits, TLS) → `router` (by host name) → `guard` (headers, CSRF, error
//! pages, access log) → `pages` or `names` or `proxy`.

mod accept;
mod api;
mod app;
pub mod arguments;
mod assets;
mod client;
pub mod configuration;
mod database;
mod form;
mod guard;
mod i18n;
pub mod journal;
mod layout;
mod mailbox;
mod names;
mod outbox;
mod pages;
mod problem;
mod proxy;
mod random;
mod remote;
mod router;
mod seal;
pub mod serve;
mod session;
mod signatures;
mod sockets;
mod tls;

/// Readers of foreign bytes, for `fuzz/`.
pub mod fuzz {
    /// A form, and what we write as one.
    pub fn form(bytes: &[u8]) {
        crate::form::fuzz(bytes);
    }

    /// A question of Outlook's.
    pub fn autodiscover(bytes: &[u8]) {
        crate::names::autodiscover::fuzz(bytes);
    }

    /// A head that the DAV proxy hands on.
    pub fn proxy(bytes: &[u8]) {
        crate::proxy::fuzz(bytes);
    }
}

// SPDX-License-Identifier: AGPL-3.0-only

//! The listeners. In: the sockets that the library bound. Out: one task for each that
//! answers in the configured protocol, and the switch that stops them all.

use std::io;
use std::sync::Arc;

use stalwart_lib::common::Inner;
use stalwart_lib::common::config::server::{Listeners, ServerProtocol};
use stalwart_lib::http::HttpSessionManager;
use stalwart_lib::imap::core::ImapSessionManager;
use stalwart_lib::managesieve::core::ManageSieveSessionManager;
use stalwart_lib::pop3::Pop3SessionManager;
use stalwart_lib::smtp::core::SmtpSessionManager;
use stalwart_lib::utils::config::Config;
use tokio::sync::watch;

/// Stops a boot whose listeners are not all there: a mail server without its port 25
/// would look healthy and lose mail.
///
/// # Errors
///
/// Names the first listener, in alphabetical order, that was refused its address.
pub(crate) fn refuse_unbound(config: &Config) -> io::Result<()> {
    let mut keys: Vec<_> =
        config.errors.keys().filter(|key| key.starts_with("server.listener.")).collect();
    keys.sort();
    match keys.first() {
        Some(key) => Err(io::Error::other(format!("{key}: {:?}", config.errors[*key]))),
        None => Ok(()),
    }
}

/// Starts to accept. Sending `true` stops accepting and asks every session to end; the
/// receiver belongs to the one task that is not a listener.
pub(crate) fn spawn(
    listeners: Listeners,
    inner: &Arc<Inner>,
) -> (watch::Sender<bool>, watch::Receiver<bool>) {
    listeners.spawn(|listener, acceptor, stopped| {
        let to = inner.clone();
        match listener.protocol {
            ServerProtocol::Smtp | ServerProtocol::Lmtp => {
                listener.spawn(SmtpSessionManager::new(inner.clone()), to, acceptor, stopped);
            }
            ServerProtocol::Imap => {
                listener.spawn(ImapSessionManager::new(inner.clone()), to, acceptor, stopped);
            }
            ServerProtocol::Pop3 => {
                listener.spawn(Pop3SessionManager::new(inner.clone()), to, acceptor, stopped);
            }
            ServerProtocol::ManageSieve => {
                listener.spawn(
                    ManageSieveSessionManager::new(inner.clone()),
                    to,
                    acceptor,
                    stopped,
                );
            }
            ServerProtocol::Http => {
                listener.spawn(HttpSessionManager::new(inner.clone()), to, acceptor, stopped);
            }
        }
    })
}

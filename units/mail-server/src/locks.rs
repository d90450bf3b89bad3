// SPDX-License-Identifier: AGPL-3.0-only

//! The locks that a killed server left behind. In: a booted server that does no work yet.
//! Out: the same server, free to do what its predecessor was in the middle of.

use std::io;

use stalwart_lib::common::{
    KV_LOCK_PURGE_ACCOUNT, KV_LOCK_QUEUE_MESSAGE, KV_LOCK_QUEUE_REPORT, KV_LOCK_TASK, Server,
};

/// The locks that only a running process can hold. They are written to the database with
/// an expiry (ten minutes for a message of the queue), so that several servers can share
/// one, and outlive a power cut there. WebDAV's locks belong to users and stay.
const OF_A_PROCESS: [u8; 4] =
    [KV_LOCK_PURGE_ACCOUNT, KV_LOCK_QUEUE_MESSAGE, KV_LOCK_QUEUE_REPORT, KV_LOCK_TASK];

/// Forgets what the process before held. An appliance has one mail server, so whatever is
/// locked when it starts is held by nobody, and a message would wait for a dead process.
///
/// # Errors
///
/// The database that cannot be written to.
pub(crate) async fn forget(server: &Server) -> io::Result<()> {
    for prefix in OF_A_PROCESS {
        server.in_memory_store().key_delete_prefix(&[prefix]).await.map_err(|error| {
            io::Error::other(format!("cannot forget the locks of an earlier run: {error}"))
        })?;
    }
    Ok(())
}

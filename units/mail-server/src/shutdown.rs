// SPDX-License-Identifier: AGPL-3.0-only

//! The end of the process. In: the switch of the listeners. Out: no session cut in the
//! middle of a reply, and every event in the log.

use std::time::Duration;

use stalwart_lib::Collector;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// For sessions that are in the middle of something. Short enough for systemd, which
/// kills after 90 s, and for somebody who waits for a reboot.
const GRACE: Duration = Duration::from_secs(10);

/// For the collector's thread to hand its last batch of events to the log.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Stops the listeners, waits until the last session has gone, then closes the log.
///
/// Every listener and session holds a receiver of `stop`, so the channel is closed when
/// all of them have ended. Nothing is lost with a session that has to be cut: a message
/// is acknowledged after its transaction was committed, the queue lives in the same
/// database, and a delivery that was under way is tried again.
pub(crate) async fn drain(stop: watch::Sender<bool>) {
    stop.send_replace(true);
    if timeout(GRACE, stop.closed()).await.is_err() {
        eprintln!("mailkiln-mail-server: {} sessions did not end in time", stop.receiver_count());
    }
    Collector::shutdown();
    sleep(LAST_WORDS).await;
}

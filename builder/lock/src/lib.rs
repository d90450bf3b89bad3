//! Pins: signed Debian indexes read, solved and written to mailkiln.lock.

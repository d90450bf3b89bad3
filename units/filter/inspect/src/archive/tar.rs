//! Tar, in all its dialects.

use std::io::Read;

use crate::limits::Stop;
use crate::walk::{Walk, Within};

/// Hands every file to the walk; links and devices count by their name.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut archive = tar::Archive::new(data);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return walk.stopped(Some(Stop::Damaged(error.to_string()))),
    };
    for entry in entries {
        if walk.is_over() {
            return;
        }
        let entry = match entry {
            Ok(entry) => entry,
            // What follows a broken header can't be found.
            Err(error) => return walk.stopped(Some(Stop::Damaged(error.to_string()))),
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() && !kind.is_gnu_sparse() && !kind.is_contiguous() {
            walk.unopened(&name, Within::Files);
            continue;
        }
        let size = entry.size().min(data.len() as u64);
        let (content, stop) = walk.budget.unpack(entry.take(u64::MAX), size);
        walk.member(&[&name], &content, stop, Within::Files);
    }
}

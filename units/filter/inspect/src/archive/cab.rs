//! Windows cabinets.

use super::Timed;
use crate::limits::Stop;
use crate::walk::{Walk, Within};

/// Hands every file to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let size = data.len() as u64;
    let source = Timed::new(data, walk.budget.deadline);
    let mut cabinet = match cab::Cabinet::new(source) {
        Ok(cabinet) => cabinet,
        Err(error) => return walk.stopped(Some(Stop::Damaged(error.to_string()))),
    };
    let names: Vec<String> = cabinet
        .folder_entries()
        .flat_map(|folder| folder.file_entries())
        .take(usize::try_from(walk.budget.limits.entries).unwrap_or(usize::MAX).saturating_add(1))
        .map(|file| file.name().to_owned())
        .collect();
    for name in names {
        if walk.is_over() {
            return;
        }
        let (content, stop) = match cabinet.read_file(&name) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(error) => (Vec::new(), Some(Stop::Damaged(error.to_string()))),
        };
        walk.member(&[&name], &content, stop, Within::Files);
    }
}

//! PowerPoint before 2007 ([MS-PPT]): objects and macros stand compressed among the records.

use crate::walk::{Walk, Within};

/// ExOleObjStg (2.10.34).
const OBJECT: u16 = 0x1011;
const IS_CONTAINER: u16 = 0xf;

/// Hands the objects of the main stream to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, stream: &[u8]) {
    let mut at = 0usize;
    while let Some(header) = stream.get(at..at.saturating_add(8)) {
        let [a, b, c, d, e, f, g, h] = *header else { return };
        let (version, kind, length) = (
            u16::from_le_bytes([a, b]),
            u16::from_le_bytes([c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        at += 8;
        if version & 0xf == IS_CONTAINER {
            continue;
        }
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| at.checked_add(length))
            .unwrap_or(stream.len());
        if kind == OBJECT {
            let record = stream.get(at..end.min(stream.len())).unwrap_or_default();
            object(walk, record, version >> 4 == 1);
        }
        at = end;
    }
}

fn object(walk: &mut Walk<'_>, record: &[u8], is_compressed: bool) {
    if walk.is_over() {
        return;
    }
    if !is_compressed {
        return walk.thing(&[], record, Within::Document);
    }
    let packed = record.get(4..).unwrap_or_default();
    let (content, stop) =
        walk.budget.unpack(flate2::read::ZlibDecoder::new(packed), packed.len() as u64);
    walk.member(&[], &content, stop, Within::Document);
}

//! Excel before 2007 ([MS-XLS]): macro sheets, links that start programs, passwords.

use crate::report::Class;
use crate::walk::Walk;

/// Records: FilePass, BoundSheet8, Lbl, SupBook.
const FILE_PASS: u16 = 0x2f;
const BOUND_SHEET: u16 = 0x85;
const LABEL: u16 = 0x18;
const SUPPORTING_BOOK: u16 = 0x01ae;

/// A sheet of Excel 4 macros among the kinds of sheets (2.4.28).
const MACRO_SHEET: u8 = 1;

/// Looks through the records of the workbook's stream.
pub(crate) fn workbook(walk: &mut Walk<'_>, mut stream: &[u8]) {
    let mut has_sheet = false;
    let mut starts = false;
    while let [a, b, c, d, rest @ ..] = stream {
        if walk.is_over() {
            return;
        }
        let (kind, length) =
            (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
        let record = rest.get(..length).unwrap_or(rest);
        stream = rest.get(length..).unwrap_or_default();
        match kind {
            FILE_PASS => return walk.find(Class::EncryptedArchive, "the workbook is encrypted"),
            BOUND_SHEET => has_sheet |= record.get(5) == Some(&MACRO_SHEET),
            LABEL => starts |= is_auto_open(record),
            SUPPORTING_BOOK => book(walk, record),
            _ => {}
        }
    }
    if has_sheet {
        let how = if starts { ", and it starts by itself" } else { "" };
        walk.find(Class::AutoMacro, format!("it has a sheet of Excel 4 macros{how}"));
    }
}

/// 2.4.150: a built-in name whose one letter is 1, or the name written out.
fn is_auto_open(record: &[u8]) -> bool {
    let is_built_in = record.first().is_some_and(|flags| flags & 0x20 != 0);
    let name = record.get(15..).unwrap_or_default();
    is_built_in && name.first() == Some(&1) || name.to_ascii_lowercase().starts_with(b"auto_open")
}

/// 2.4.271: a link to another program has its name and its topic with a 3 between.
fn book(walk: &mut Walk<'_>, record: &[u8]) {
    let path = record.get(4..).unwrap_or_default();
    let is_own = matches!(record.get(2..4), Some([1, 4] | [1, 0x3a]));
    if !is_own && path.contains(&3) {
        walk.find(Class::ActiveDocument, "a link starts a program (DDE or OLE)");
    }
}

/// Text that a spreadsheet opens as cells: a cell that starts a program.
pub(crate) fn cells(walk: &mut Walk<'_>, text: &str) {
    let starts = |cell: &str| {
        let cell = cell.trim_start_matches(['"', ' ']);
        cell.starts_with(['=', '+', '-', '@'])
            && cell
                .find("|'")
                .is_some_and(|at| cell.get(at..).is_some_and(|rest| rest.contains("'!")))
    };
    // `|` may not stand in a separator's place here, since it is what gives the call away.
    if text.lines().any(|line| line.contains("|'") && line.split([',', ';', '\t']).any(starts)) {
        walk.find(Class::ActiveDocument, "a cell starts a program (DDE)");
    }
}

//! Records as a table, for providers whose DNS is a form.
//!
//! In: records. Out: columns of text, grouped by what the records are for.

use std::fmt::Write as _;

use crate::Record;

/// The records as a table with a heading. Long values are not cut: they are there to be copied.
pub fn table(records: &[Record]) -> String {
    let width = |column: fn(&Record) -> usize, heading: &str| {
        records.iter().map(column).chain([heading.len()]).max().unwrap_or_default()
    };
    let name_width = width(|record| record.name.len(), "name");
    let purpose_width = width(|record| record.purpose.chars().count(), "what for");
    let mut table = String::new();
    let mut line = |name: &str, kind: &str, purpose: &str, value: &str| {
        // Writing to a string can't fail.
        let _ = writeln!(table, "{name:name_width$}  {kind:5}  {purpose:purpose_width$}  {value}");
    };
    line("name", "type", "what for", "value");
    for record in records {
        line(&record.name, record.data.kind(), record.purpose, &record.data.to_string());
    }
    table
}

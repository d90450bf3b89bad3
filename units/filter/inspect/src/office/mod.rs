//! Documents of office programs: what in them runs, calls outside, or carries files.

pub(crate) mod locked;
pub(crate) mod ole;
pub(crate) mod powerpoint;
pub(crate) mod rtf;
pub(crate) mod sheet;
pub(crate) mod vba;
pub(crate) mod xml;

use crate::report::Class;
use crate::walk::Walk;

/// Adds what a macro's source says: one finding for its start, one for its calls, or one that it
/// is there at all.
pub(crate) fn source(walk: &mut Walk<'_>, source: &str) {
    if !vba::has_code(source) {
        return;
    }
    walk.rules(source.as_bytes());
    let triggers = vba::triggers(source);
    let calls = vba::calls(source);
    if !triggers.is_empty() {
        walk.find(Class::AutoMacro, format!("a macro starts by itself ({})", triggers.join(", ")));
    }
    if !calls.is_empty() {
        walk.find(
            Class::AutoMacro,
            format!("a macro calls what documents have no need of ({})", calls.join(", ")),
        );
    }
    if triggers.is_empty() && calls.is_empty() {
        walk.find(Class::Macro, "it has macros");
    }
}

/// Fields of Word that start programs: `DDE` and `DDEAUTO`, also when written as numbers.
pub(crate) fn field(walk: &mut Walk<'_>, instruction: &str) {
    let plain = unquoted(instruction);
    let mut words = plain.split_whitespace();
    if words.any(|word| word.eq_ignore_ascii_case("DDE") || word.eq_ignore_ascii_case("DDEAUTO")) {
        walk.find(Class::ActiveDocument, "a field starts a program (DDE)");
    }
}

/// `QUOTE 68 68 69` is a way to write letters as numbers.
fn unquoted(instruction: &str) -> String {
    let mut output = String::new();
    let mut in_quote = false;
    for word in instruction.split_whitespace() {
        if word.eq_ignore_ascii_case("QUOTE") {
            in_quote = true;
            output.push(' ');
            continue;
        }
        let letter = word.parse::<u32>().ok().filter(|_| in_quote).and_then(char::from_u32);
        match letter {
            Some(letter) => output.push(letter),
            None => {
                output.push(' ');
                output.push_str(word);
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_quote_fields_are_letters() {
        assert_eq!(unquoted("QUOTE 68 68 69 65 85 84 79").trim(), "DDEAUTO");
        assert_eq!(unquoted("PAGE 3").trim(), "PAGE 3");
    }
}

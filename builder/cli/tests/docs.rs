//! What the documentation tells people to type is what the program takes.

// The lint knows tests by their attribute, and so not what they call.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;
use mailkiln::Arguments;
use mailkiln_compile::sandbox;

/// The pages of the book, the README files and CONTRIBUTING.md.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("docs")];
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    let units = fs::read_dir(root.join("units")).unwrap();
    pages.extend(units.map(|unit| unit.unwrap().path().join("README.md")).filter(|it| it.exists()));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The words of a command as a shell splits them, up to a comment or an operator.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for sign in line.chars() {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (None, sign) if sign.is_whitespace() => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '>' | '<' | '&') => break,
            (_, sign) => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    words
}

/// The commands in the code blocks of a page, one line each.
fn in_blocks(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut code = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            code += line.trim();
            code.push('\n');
        }
    }
    let code = code.replace("\\\n", " ");
    code.lines()
        .map(|line| line.trim_start_matches("$ ").trim_start_matches("sudo "))
        .filter(|line| line.starts_with("mailkiln "))
        .map(str::to_owned)
        .collect()
}

/// The commands between backquotes in the text of a page; `…` and `...` stand for what is left out.
fn in_text(text: &str) -> Vec<String> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !fence && !inside
    });
    let prose: Vec<&str> = prose.collect();
    let code = prose.join(" ");
    let spans = code.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("mailkiln ")).map(str::to_owned).collect()
}

#[test]
fn commands_of_the_documentation_are_taken() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let complete = in_blocks(&text).into_iter().map(|command| (command, true));
        let begun = in_text(&text).into_iter().map(|command| (command, false));
        for (command, complete) in complete.chain(begun) {
            let words = words(&command);
            // What the program says to itself is none of clap's.
            if words.get(1).is_some_and(|word| word == sandbox::SUBCOMMAND) {
                continue;
            }
            count += 1;
            let Err(error) = Arguments::try_parse_from(words) else { continue };
            let known = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
                // A sentence names a command without all that it needs, with words in place of values.
                ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => false,
                _ => !complete,
            };
            if !known {
                wrong.push(format!("{}: `{command}`: {:?}", page.display(), error.kind()));
            }
        }
    }
    assert!(count > 100, "only {count} commands were found");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

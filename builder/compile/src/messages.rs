//! What cargo says while it compiles.
//!
//! In: lines of `cargo build --message-format=json` ("External tools" in the Cargo book); lines
//! that are not such messages are skipped. Out: how many packages are through, and where each
//! program is. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The state of a build, fed line by line.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    compiled: BTreeSet<String>,
    programs: BTreeMap<String, String>,
    crates: Vec<(String, String)>,
}

impl Messages {
    /// Takes one line. The package's name, if the line says that one more package is through.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        let message: Message = serde_json::from_str(line).ok()?;
        if message.reason != "compiler-artifact" {
            return None;
        }
        let (id, target) = (message.package_id?, message.target?);
        if let Some(program) = message.executable
            && target.kind.iter().any(|kind| kind == "bin")
        {
            self.programs.insert(target.name.clone(), program);
        }
        self.crates.push((id.clone(), target.name.clone()));
        // A build script is compiled first; its package comes later.
        let script = target.kind.iter().any(|kind| kind == "custom-build");
        (!script && self.compiled.insert(id)).then_some(target.name)
    }

    /// Whether the package of this id was compiled.
    pub(crate) fn has_compiled(&self, id: &str) -> bool {
        self.compiled.contains(id)
    }

    /// How many packages are through.
    pub(crate) fn compiled(&self) -> usize {
        self.compiled.len()
    }

    /// Package id and crate name of everything that was compiled, or found compiled.
    pub(crate) fn crates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.crates.iter().map(|(id, name)| (id.as_str(), name.as_str()))
    }

    /// The path, as cargo sees it, of a program that was built.
    pub(crate) fn program(&self, name: &str) -> Option<&str> {
        self.programs.get(name).map(String::as_str)
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    target: Option<Target>,
    executable: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// How much of a log without an error is worth showing.
const LAST_LINES: usize = 5;

/// What is worth showing of a failed build's log: from the first error on, or its last lines.
pub(crate) fn excerpt(log: &str, most_lines: usize) -> String {
    let lines: Vec<_> = log.lines().collect();
    let tail = lines.len().saturating_sub(most_lines.min(LAST_LINES));
    let is_error = |line: &&str| line.starts_with("error:") || line.starts_with("error[");
    let first = lines.iter().position(is_error).unwrap_or(tail);
    let last = lines.len().min(first.saturating_add(most_lines));
    lines[first..last].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_once_and_programs_found() {
        let artifact = |id: &str, kind: &str, program: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","target":{{"name":"{id}","kind":["{kind}"]}},"executable":{program}}}"#
            )
        };
        let mut messages = Messages::default();
        assert_eq!(messages.line("   Compiling a"), None);
        assert_eq!(messages.line(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(messages.line(&artifact("a", "custom-build", "\"/t/build-script\"")), None);
        assert_eq!(messages.line(&artifact("a", "lib", "null")).as_deref(), Some("a"));
        assert_eq!(messages.line(&artifact("u", "lib", "null")).as_deref(), Some("u"));
        assert_eq!(messages.line(&artifact("u", "bin", "\"/t/u\"")), None);
        assert_eq!(messages.compiled(), 2);
        assert!(messages.has_compiled("a") && !messages.has_compiled("b"));
        assert_eq!(messages.program("u"), Some("/t/u"));
        assert_eq!(messages.program("a"), None);
    }

    #[test]
    fn the_first_error_is_shown_or_else_the_end() {
        let log = "warning: x\nerror[E0425]: y\n  --> src/main.rs\nerror: z\nmore\n";
        assert_eq!(excerpt(log, 2), "error[E0425]: y\n  --> src/main.rs");
        assert_eq!(excerpt("a\nb\nc", 2), "b\nc");
        assert_eq!(excerpt("", 2), "");
    }
}

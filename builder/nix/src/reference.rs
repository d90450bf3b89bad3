//! The reference of options, for people.
//!
//! In: the modules as they were generated. Out: Markdown. It is read from the very declarations that
//! Nix reads, so that it can't say anything else.

use std::fmt::Write as _;

use rnix::SyntaxNode;
use rnix::ast::{self, AstNode, AttrpathValue, Entry, Expr, HasEntry, InterpolPart};

use crate::modules::IMAGE_ONLY;
use crate::source::Source;

const HEADING: &str = "\
# Options on NixOS

*Made by `mailkiln emit modules` from the modules; a change here is lost.* [NixOS](nixos.md) says how to begin.

What `mail.toml` calls `[table] key` is `services.mailkiln.settings.table.key`, with the same meaning, limits and refusals; null
stands for what was left out.
";

/// One option.
struct Declared {
    path: String,
    /// Its type, in the words of `lib.types`.
    kind: String,
    /// With its own marks: code, or what the manual says instead.
    default: Option<String>,
    example: Option<String>,
    description: String,
}

/// The reference of all options that the modules declare and people may set.
pub(crate) fn reference(modules: &[Source]) -> String {
    let mut options = Vec::new();
    for module in modules {
        if let Some(expr) = rnix::Root::parse(&module.text).tree().expr() {
            declarations(&body(expr), &mut options);
        }
    }
    options.sort_by(|a, b| a.path.cmp(&b.path));
    let mut text = HEADING.to_owned();
    for option in options {
        write(&mut text, &option);
    }
    text.push_str("\n## What has no option\n\n| key of `mail.toml` | why |\n|---|---|\n");
    for (key, why) in IMAGE_ONLY {
        line(&mut text, format_args!("| `{key}` | {why} |"));
    }
    text
}

fn write(text: &mut String, option: &Declared) {
    let Declared { path, kind, default, example, description } = option;
    line(text, format_args!("\n### `{path}`\n\n{description}\n\n- Type: `{kind}`"));
    if let Some(default) = default {
        line(text, format_args!("- Default: {default}"));
    }
    if let Some(example) = example {
        line(text, format_args!("- Example: `{example}`"));
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}

/// What a module is, behind its arguments and what it calls by name.
fn body(expr: Expr) -> Expr {
    match &expr {
        Expr::Lambda(lambda) => lambda.body().map(body),
        Expr::LetIn(bound) => bound.body().map(body),
        _ => None,
    }
    .unwrap_or(expr)
}

/// The options below each `options` in the set.
fn declarations(expr: &Expr, found: &mut Vec<Declared>) {
    let Expr::AttrSet(set) = expr else { return };
    for (path, value) in entries(set) {
        if let Some(("options", path)) = path.split_once('.') {
            collect(path, &value, found);
        }
    }
}

fn entries(set: &ast::AttrSet) -> Vec<(String, Expr)> {
    let pair = |entry: AttrpathValue| Some((written(&entry.attrpath()?), entry.value()?));
    let values = set.entries().filter_map(|entry| match entry {
        Entry::AttrpathValue(value) => pair(value),
        Entry::Inherit(_) => None,
    });
    values.collect()
}

/// The options in `value`, which stands at `path`.
fn collect(path: &str, value: &Expr, found: &mut Vec<Declared>) {
    match value {
        Expr::AttrSet(set) => {
            for (name, value) in entries(set) {
                collect(&format!("{path}.{name}"), &value, found);
            }
        }
        Expr::Apply(_) => found.extend(declared(path, value).into_iter().flatten()),
        _ => {}
    }
}

/// The option that a function of `lib` makes, and those inside of its type; `None` for what people
/// can't set.
fn declared(path: &str, value: &Expr) -> Option<Vec<Declared>> {
    let (function, arguments) = applied(value);
    let path = path.to_owned();
    let first = arguments.first()?;
    Some(match function.as_str() {
        "lib.mkEnableOption" => vec![Declared {
            path,
            kind: "bool".to_owned(),
            default: Some("`false`".to_owned()),
            example: Some("true".to_owned()),
            description: format!("Whether to enable {}.", prose(first)),
        }],
        "lib.mkPackageOption" => vec![Declared {
            path,
            kind: "package".to_owned(),
            default: Some(format!("`pkgs.{}`", prose(arguments.get(1)?))),
            example: None,
            description: "The package to use.".to_owned(),
        }],
        "lib.mkOption" => {
            let Expr::AttrSet(set) = first else { return None };
            let fields = entries(set);
            let field =
                |name: &str| fields.iter().find(|(it, _)| it == name).map(|(_, value)| value);
            if field("internal").is_some() {
                return None;
            }
            let kind = field("type")?;
            let mut options = vec![Declared {
                kind: type_name(kind),
                default: field("defaultText").map(said).or_else(|| Some(code(field("default")?))),
                example: field("example").map(compact),
                description: prose(field("description")?),
                path: path.clone(),
            }];
            let each = match type_name(kind) {
                name if name.contains("listOf") => "*.",
                name if name.contains("attrsOf") => "<name>.",
                _ => "",
            };
            inside(&format!("{path}.{each}"), &node(kind), &mut options);
            options
        }
        _ => return None,
    })
}

/// The options of a submodule somewhere in a type.
fn inside(prefix: &str, node: &SyntaxNode, found: &mut Vec<Declared>) {
    for child in node.children() {
        let entry: Option<AttrpathValue> = cast(child.clone());
        let entry = entry.and_then(|it| Some((written(&it.attrpath()?), it.value()?)));
        match entry {
            Some((path, Expr::AttrSet(set))) if path == "options" => {
                for (name, value) in entries(&set) {
                    collect(&format!("{prefix}{name}"), &value, found);
                }
            }
            Some((path, value)) if path.starts_with("options.") => {
                collect(&format!("{prefix}{}", &path["options.".len()..]), &value, found);
            }
            _ => inside(prefix, &child, found),
        }
    }
}

/// A function's name, and what it is applied to.
fn applied(expr: &Expr) -> (String, Vec<Expr>) {
    match expr {
        Expr::Apply(apply) => {
            let (name, mut arguments) = apply.lambda().map(|it| applied(&it)).unwrap_or_default();
            arguments.extend(apply.argument());
            (name, arguments)
        }
        Expr::Paren(paren) => paren.expr().map(|it| applied(&it)).unwrap_or_default(),
        other => (compact(other), Vec::new()),
    }
}

/// `listOf submodule` for a list of submodules, `str or submodule` for what may be either.
fn type_name(expr: &Expr) -> String {
    let (name, arguments) = applied(expr);
    let name = name.trim_start_matches("lib.types.");
    let argument = |expr: &Expr| {
        let name = type_name(expr);
        if name.contains(' ') { format!("({name})") } else { name }
    };
    match (name, arguments.as_slice()) {
        ("submodule", _) => name.to_owned(),
        ("coercedTo", [from, _, to]) => format!("{} or {}", type_name(from), type_name(to)),
        ("oneOf", [Expr::List(kinds)]) => {
            kinds.items().map(|kind| type_name(&kind)).collect::<Vec<_>>().join(" or ")
        }
        (_, []) => name.to_owned(),
        ("enum", [values]) => format!("enum {}", compact(values)),
        (_, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(argument).collect();
            format!("{name} {}", arguments.join(" "))
        }
    }
}

// Parts of the tree give these only by a trait of the parser's own parser.
fn node<T: AstNode>(part: &T) -> SyntaxNode {
    part.syntax().clone()
}

fn cast<T: AstNode>(node: SyntaxNode) -> Option<T> {
    T::cast(node)
}

/// What stands in the file.
fn written<T: AstNode>(part: &T) -> String {
    node(part).text().to_string()
}

/// An expression in one line.
fn compact(expr: &Expr) -> String {
    written(expr).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An expression as code.
fn code(expr: &Expr) -> String {
    format!("`{}`", compact(expr))
}

/// What `lib.literalMD` is told.
fn said(expr: &Expr) -> String {
    let (_, arguments) = applied(expr);
    arguments.first().map_or_else(|| code(expr), prose)
}

/// What a string says, without the marks of the manual's own notation.
fn prose(expr: &Expr) -> String {
    let Expr::Str(text) = expr else { return compact(expr) };
    let parts = text.normalized_parts().into_iter().map(|part| match part {
        InterpolPart::Literal(text) => text,
        InterpolPart::Interpolation(code) => written(&code),
    });
    let text: String = parts.collect();
    text.trim().replace("{option}", "").replace("{file}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_at_any_depth() {
        let text = r#"{ lib, pkgs, ... }: let x = 1; in {
            options.services.a = {
              b.package = lib.mkPackageOption pkgs "hello" { };
              list = lib.mkOption {
                type = lib.types.listOf (lib.types.submodule { options.c = lib.mkOption {
                  type = lib.types.nullOr (lib.types.enum [ "x" ]); default = null; description = "See {option}`d`."; }; });
                description = ''
                  Of ''${several}.
                '';
              };
              days = lib.mkOption { type = lib.types.int; default = null; defaultText = lib.literalMD "`30` (null)"; description = "Days."; };
              own = lib.mkOption { type = lib.types.str; internal = true; description = "Not said."; };
            };
          }"#;
        let text = reference(&[Source { path: "x.nix".to_owned(), text: text.to_owned() }]);
        for words in [
            "### `services.a.b.package`\n\nThe package to use.\n\n- Type: `package`\n- Default: `pkgs.hello`\n",
            "### `services.a.list`\n\nOf ${several}.\n\n- Type: `listOf submodule`\n",
            "### `services.a.days`\n\nDays.\n\n- Type: `int`\n- Default: `30` (null)\n",
            "### `services.a.list.*.c`\n\nSee `d`.\n\n- Type: `nullOr (enum [ \"x\" ])`\n- Default: `null`\n",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(!text.contains("Not said"), "{text}");
    }
}

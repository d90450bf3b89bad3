//! What must be true of every output, by the tree that html5ever builds of it as a whole page.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, local_name, ns, parse_document};
use mailkiln_letter::html::allowed_elements;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// Attributes that nothing fetches, runs or leads anywhere by.
const ATTRIBUTES: &[&str] = &[
    "class",
    "id",
    "style",
    "title",
    "lang",
    "dir",
    "align",
    "valign",
    "href",
    "name",
    "src",
    "background",
    "alt",
    "summary",
    "abbr",
    "width",
    "height",
    "border",
    "hspace",
    "vspace",
    "cellpadding",
    "cellspacing",
    "rules",
    "frame",
    "scope",
    "clear",
    "bgcolor",
    "colspan",
    "rowspan",
    "span",
    "nowrap",
    "noshade",
    "reversed",
    "color",
    "face",
    "size",
    "start",
    "value",
    "type",
    "target",
    "rel",
];

/// Checks a cleaned body as a browser would see it in its page.
pub(crate) fn check(html: &str) -> Result<(), String> {
    let (style, body) =
        match html.strip_prefix("<style>").and_then(|rest| rest.split_once("</style>")) {
            Some((style, body)) => (style, body),
            None => ("", html),
        };
    css(style)?;
    if style.contains('<') {
        return Err("a style sheet that could end early".into());
    }
    let page = format!(
        "<!doctype html><html><head></head><body><div id=outer>{body}</div><p id=after></p></body></html>"
    );
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page);
    let mut stack: Vec<(Handle, bool)> = vec![(dom.document.clone(), false)];
    let mut after_is_outside = false;
    while let Some((node, inside)) = stack.pop() {
        let mut is_outer = false;
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attrs = attrs.borrow();
                let id = attrs
                    .iter()
                    .find(|one| one.name.local == local_name!("id"))
                    .map(|one| one.value.to_string());
                is_outer = id.as_deref() == Some("outer") && !inside;
                if id.as_deref() == Some("after") && !inside {
                    after_is_outside = true;
                }
                if inside {
                    let local = &*name.local;
                    if name.ns != ns!(html) || !allowed_elements().contains(&local) {
                        return Err(format!("element {local}"));
                    }
                    for attr in attrs.iter() {
                        attribute(local, &attr.name.local, &attr.value)?;
                    }
                }
            }
            NodeData::Comment { .. } if inside => return Err("a comment".into()),
            _ => {}
        }
        for child in node.children.borrow().iter() {
            stack.push((child.clone(), inside || is_outer));
        }
    }
    if after_is_outside { Ok(()) } else { Err("the body reaches out of its place".into()) }
}

fn attribute(element: &str, name: &str, value: &str) -> Result<(), String> {
    if !ATTRIBUTES.contains(&name) {
        return Err(format!("attribute {name} of {element}"));
    }
    match name {
        "style" => css(value),
        "href"
            if !["https://", "http://", "mailto:", "tel:", "#mk-"]
                .iter()
                .any(|one| value.starts_with(one)) =>
        {
            Err(format!("link to {value}"))
        }
        "src" | "background"
            if ![
                "/image/",
                "/part/",
                "data:image/png;base64,",
                "data:image/gif;base64,",
                "data:image/jpeg;base64,",
                "data:image/webp;base64,",
            ]
            .iter()
            .any(|one| value.starts_with(one)) =>
        {
            Err(format!("image from {value}"))
        }
        "id" | "name" if !value.starts_with("mk-") => Err(format!("{name} {value}")),
        "class" if !value.split(' ').all(|one| one.starts_with("mk-")) => {
            Err(format!("class {value}"))
        }
        "target" if value != "_blank" => Err(format!("target {value}")),
        _ => Ok(()),
    }
}

fn css(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    let bad = [
        "\\",
        "/*",
        "position",
        "z-index",
        "transform",
        "expression",
        "@import",
        "@font-face",
        "@supports",
        "behavior",
        "binding",
        "image-set",
        "var(",
        "attr(",
        "--",
        "[",
        ":has",
        ":visited",
        ":hover",
        ":is",
        "http:",
        "https:",
        "//",
        "content:",
        "cursor",
        "inset",
        ": -",
    ];
    match bad.iter().find(|one| lower.replace("background-position", "").contains(**one)) {
        Some(found) => Err(format!("CSS with {found}: {text}")),
        None if lower.matches("url(").count() != lower.matches("url('/").count() => {
            Err(format!("CSS that fetches: {text}"))
        }
        None => Ok(()),
    }
}

//! The text on a page: a field for plain text, and what compose.js makes an editor for rich text of. Without a script there is the field.
//! Messages and signatures are written in it.

use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use mailkiln_letter::html::{self, Images, Policy};
use maud::{Markup, PreEscaped, html};

use crate::assets;
use crate::guard;
use crate::layout::Page;
use crate::session::Session;

/// A button of the editor.
struct Tool {
    /// What compose.js does.
    name: &'static str,
    /// The key of its label.
    label: &'static str,
    /// Keys that do the same, for `aria-keyshortcuts`.
    keys: Option<&'static str>,
    /// Whether it is pressed or not, as letters are bold or not.
    toggles: bool,
    /// A drawing of 16 by 16 units.
    icon: &'static str,
}

const fn tool(
    name: &'static str,
    label: &'static str,
    keys: Option<&'static str>,
    toggles: bool,
    icon: &'static str,
) -> Tool {
    Tool { name, label, keys, toggles, icon }
}

const TOOLS: &[Tool] = &[
    tool(
        "bold",
        "compose.bold",
        Some("Control+B"),
        true,
        "M5 3h3.5a2.4 2.4 0 0 1 0 4.8H5zM5 7.8h4a2.6 2.6 0 0 1 0 5.2H5z",
    ),
    tool("italic", "compose.italic", Some("Control+I"), true, "M7 3h5M4 13h5M9.5 3l-3 10"),
    tool(
        "underline",
        "compose.underline",
        Some("Control+U"),
        true,
        "M4.5 2.5v5a3.5 3.5 0 0 0 7 0v-5M3.5 14h9",
    ),
    tool(
        "link",
        "compose.link",
        Some("Control+K"),
        true,
        "M6.5 9.5l3-3M7.5 4.5l1.3-1.3a2.8 2.8 0 0 1 4 4L11.5 8.5M8.5 11.5l-1.3 1.3a2.8 2.8 0 0 1-4-4L4.5 7.5",
    ),
    tool(
        "bullets",
        "compose.bullets",
        Some("Control+Shift+8"),
        true,
        "M6.5 4h7.5M6.5 8h7.5M6.5 12h7.5M2.5 4h.6M2.5 8h.6M2.5 12h.6",
    ),
    tool(
        "numbers",
        "compose.numbers",
        Some("Control+Shift+9"),
        true,
        "M7 4h7M7 8h7M7 12h7M2.4 2.8l1-.5v3.4M2.2 9.2c0-1 1.8-1 1.8 0 0 .8-1.8 1.6-1.8 2.4H4.2",
    ),
    tool("quote", "compose.quote", Some("Control+]"), true, "M2.5 3v10M6 4.5h8M6 8h8M6 11.5h5"),
    tool(
        "image",
        "compose.image",
        None,
        false,
        "M2 3h12v10H2zM2 11l3.5-3.5L9 11M8 10l2.5-2.5L14 11M10.5 5.4h.1",
    ),
    tool("clear", "compose.clear", None, false, "M3 3.5h8M7 3.5l-1.6 9M9.5 9.5l4 4M13.5 9.5l-4 4"),
];

/// What is written.
pub(crate) struct Text<'a> {
    pub(crate) plain: &'a str,
    /// The same as HTML, where it is rich. It is cleaned here.
    pub(crate) html: Option<&'a str>,
    /// Whom the HTML's images are asked of.
    pub(crate) images: &'a dyn Images,
    /// The key of what is said where formatting would be lost without a script.
    pub(crate) needs_script: Option<&'static str>,
    /// Whether it is a few lines alone; then the choice of rich or plain is for them alone too.
    pub(crate) is_short: bool,
}

/// The field, and what rich text needs.
pub(crate) fn field(session: &Session, written: &Text<'_>) -> Markup {
    let text = |key| session.text(key);
    let policy = Policy::quoting(written.images);
    let rich = written.html.map(|html| html::clean(html, &policy).body);
    html! {
        @if let Some(key) = written.needs_script { noscript { p.hint { (session.text(key)) } } }
        div.writing.short[written.is_short] id="writing" data-rich[rich.is_some()] data-once[written.is_short]
            data-squire=(assets::address("squire.mjs")) data-purify=(assets::address("purify.min.js"))
            data-to-plain=(text("compose.to-plain")) data-to-rich=(text("compose.to-rich"))
            data-sure=(text("compose.loses-formatting")) data-failed=(text("compose.format-failed")) data-not-image=(text("compose.not-image")) {
            div.above {
                label id="text-label" for="text" { (text("compose.text")) }
                button.quiet id="format" type="button" hidden { (text("compose.to-rich")) }
            }
            p.problem id="format-problem" role="alert" hidden {}
            div.rich id="rich" hidden {
                (toolbar(session))
                div.editor id="editor" contenteditable="true" role="textbox" aria-multiline="true" aria-labelledby="text-label" spellcheck="true" {}
                // Not a field of the form: the script sends what it was chosen for.
                input.hidden id="picture" type="file" accept="image/png,image/jpeg,image/gif,image/webp" tabindex="-1" aria-label=(text("compose.image"));
            }
            // A parser takes the first line break away.
            textarea id="text" name="text" rows=(if written.is_short { 5 } else { 18 }) spellcheck="true" { "\n" (written.plain) }
            @if let Some(rich) = rich { textarea id="html" hidden disabled { "\n" (rich) } }
        }
    }
}

/// A page with such a field: it loads the script, and lets DOMPurify make HTML.
pub(crate) fn page(session: &Session, page: Page) -> Response {
    let page = Page { scripts: &["compose.js"], styles: &["compose.css"], ..page };
    let mut response = session.view.page(page);
    let policy = HeaderValue::from_static(guard::WRITING);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn toolbar(session: &Session) -> Markup {
    html! {
        div.toolbar role="toolbar" aria-label=(session.text("compose.toolbar")) aria-controls="editor" {
            @for (index, tool) in TOOLS.iter().enumerate() {
                @let label = session.view.language.text(tool.label);
                button type="button" data-tool=(tool.name) aria-label=(label) title=(label) aria-keyshortcuts=[tool.keys]
                    aria-pressed=[tool.toggles.then_some("false")] tabindex=(if index == 0 { "0" } else { "-1" }) {
                    svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true" { path d=(PreEscaped(tool.icon)) {} }
                }
            }
        }
    }
}

/// Asks where a link leads. Outside of the page's form: it is one of its own.
pub(crate) fn link_dialog(session: &Session) -> Markup {
    let text = |key| session.text(key);
    html! {
        dialog id="link" aria-label=(text("compose.link")) {
            form method="dialog" {
                label for="address" { (text("compose.link-address")) }
                input id="address" autocomplete="off" maxlength="2000" inputmode="url" autofocus;
                p.tools {
                    button value="set" { (text("compose.link-set")) } " "
                    button.quiet value="remove" id="link-remove" { (text("compose.link-remove")) } " "
                    button.quiet value="" { (text("compose.cancel")) }
                }
            }
        }
    }
}

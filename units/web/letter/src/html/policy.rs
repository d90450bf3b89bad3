//! What is allowed: elements, attributes, and whom to ask about images.

/// The class of the element that a page puts around a cleaned body; style sheets apply inside it alone.
pub const BODY_CLASS: &str = "mk-letter";
/// What every class and id of a mail begins with, so that none of them is one of the page's.
pub const PREFIX: &str = "mk-";
/// The class of the marks that say where a link leads. A mail can't use it.
pub const WARNING_CLASS: &str = "mk-warning";

/// Who says what becomes of an image's address.
pub trait Images {
    /// The address to fetch a remote image from (a signed one of the caller's proxy), or `None` while
    /// remote images are off. `url` begins with `http://` or `https://`.
    fn remote(&self, url: &str) -> Option<String>;
    /// The address of the part with this Content-ID (without angle brackets), or `None` if there is none.
    fn inline(&self, content_id: &str) -> Option<String>;
    /// Whether this address was made by the caller and is still good. Check its signature: a mail can
    /// hold any address.
    fn is_ours(&self, url: &str) -> bool;
}

/// No image at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoImages;

impl Images for NoImages {
    fn remote(&self, _url: &str) -> Option<String> {
        None
    }
    fn inline(&self, _content_id: &str) -> Option<String> {
        None
    }
    fn is_ours(&self, _url: &str) -> bool {
        false
    }
}

/// How to clean.
#[derive(Clone, Copy)]
pub struct Policy<'a> {
    /// Whom to ask about images.
    pub images: &'a dyn Images,
    /// What `mailto:` links become, as the beginning of an address to which the escaped recipient is
    /// added, such as `/compose?to=`. `None` leaves them as they are.
    pub compose: Option<&'a str>,
    /// For quoting into an editor: no style sheets, no marks, no links that open windows.
    pub quoting: bool,
}

impl std::fmt::Debug for Policy<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Policy")
            .field("compose", &self.compose)
            .field("quoting", &self.quoting)
            .finish_non_exhaustive()
    }
}

impl<'a> Policy<'a> {
    /// For showing a mail in its frame.
    pub fn showing(images: &'a dyn Images) -> Self {
        Policy { images, compose: None, quoting: false }
    }

    /// For quoting a mail into an answer.
    pub fn quoting(images: &'a dyn Images) -> Self {
        Policy { images, compose: None, quoting: true }
    }
}

/// Elements that may stay. All are HTML's own: no SVG, no MathML, no form, no media, no frame, and
/// none whose content a parser reads as anything but HTML.
pub fn allowed_elements() -> &'static [&'static str] {
    &[
        "a",
        "abbr",
        "acronym",
        "address",
        "article",
        "aside",
        "b",
        "bdi",
        "bdo",
        "big",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "dfn",
        "dir",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "main",
        "mark",
        "menu",
        "nav",
        "ol",
        "p",
        "pre",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "section",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "wbr",
    ]
}

/// Elements that go together with everything in them. What others hold that are not allowed (`object`,
/// `form`, `noscript`, `head`) is text that a browser would show, and stays.
pub(super) const DROPPED_WHOLE: &[&str] = &[
    "script",
    "style",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "title",
    "textarea",
    "plaintext",
    "svg",
    "math",
    "template",
    "select",
    "datalist",
];

/// Elements without an end tag.
pub(super) const VOID: &[&str] = &["br", "col", "hr", "img", "wbr"];

/// Elements whose start ends an open `p`.
/// <https://html.spec.whatwg.org/multipage/parsing.html#parsing-main-inbody>
pub(super) const ENDS_PARAGRAPH: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "dir",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
];

/// The open elements that the start of `element` ends, and those at which the search stops.
pub(super) fn ends(element: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match element {
        "li" => (&["li"], &["ul", "ol", "menu", "dir", "table", "td", "th"]),
        "dt" | "dd" => (&["dt", "dd"], &["dl", "table", "td", "th"]),
        "td" | "th" => (&["td", "th", "caption", "colgroup"], &["table"]),
        "tr" => (&["tr", "caption", "colgroup"], &["table"]),
        "tbody" | "thead" | "tfoot" => {
            (&["tbody", "thead", "tfoot", "caption", "colgroup"], &["table"])
        }
        "caption" | "colgroup" => (&["caption", "colgroup"], &["table"]),
        "a" => (&["a"], &["table", "td", "th", "caption"]),
        "rt" | "rp" => (&["rt", "rp"], &["ruby", "table", "td", "th"]),
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
            (&["h1", "h2", "h3", "h4", "h5", "h6"], &["table", "td", "th", "div", "li"])
        }
        _ => (&[], &[]),
    }
}

/// What kind of value an attribute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Any text, shown by no browser as anything else.
    Text,
    /// A few letters: `left`, `baseline`, `rtl`.
    Word,
    /// A number, at most this.
    Number(u32),
    /// A number of pixels or a percentage, at most 10,000.
    Length,
    Colour,
    Font,
    /// A list of names that get the prefix.
    Names,
    /// One name that gets the prefix.
    Name,
    Style,
    Link,
    Image,
}

/// The attributes of `element`, and what each takes.
pub(super) fn attribute(element: &str, name: &str) -> Option<Value> {
    Some(match (element, name) {
        (_, "class") => Value::Names,
        (_, "id") => Value::Name,
        (_, "style") => Value::Style,
        (_, "title") if element != "a" => Value::Text,
        (_, "lang" | "dir" | "align" | "valign") => Value::Word,
        ("a", "href") => Value::Link,
        ("a", "name") => Value::Name,
        ("img", "src") | ("table" | "td" | "th" | "tr" | "div", "background") => Value::Image,
        ("img", "alt") | ("table", "summary") | ("td" | "th", "abbr") => Value::Text,
        ("img" | "table" | "td" | "th" | "tr" | "col" | "hr", "width" | "height") => Value::Length,
        ("img", "border" | "hspace" | "vspace") => Value::Number(100),
        ("table", "border" | "cellpadding" | "cellspacing") => Value::Number(100),
        ("table", "rules" | "frame") | ("th" | "td", "scope") | ("br", "clear") => Value::Word,
        ("table" | "tr" | "td" | "th" | "thead" | "tbody" | "div", "bgcolor") => Value::Colour,
        ("td" | "th", "colspan" | "rowspan") | ("col" | "colgroup", "span") => Value::Number(100),
        ("td" | "th", "nowrap") | ("hr", "noshade") | ("ol", "reversed") => Value::Word,
        ("font", "color") | ("hr", "color") => Value::Colour,
        ("font", "face") => Value::Font,
        ("font", "size") | ("hr", "size") => Value::Number(100),
        ("ol", "start") | ("li", "value") => Value::Number(1_000_000),
        ("ol" | "ul" | "li", "type") => Value::Word,
        _ => return None,
    })
}

/// Every attribute that [`attribute`] knows, for the second check of the same list.
pub(super) const ATTRIBUTES: &[&str] = &[
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
];

//! The whole way from foreign HTML to what a frame may hold.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::filter::{self, Filtered};
use super::links::{self, Link};
use super::policy::{self, Policy};
use super::{css, tokens};

/// Bytes of HTML that are read of one body.
pub const CLEAN_LIMIT: usize = 2 << 20;
/// Rounds after which what still changes is shown as text.
const ROUNDS: usize = 6;

/// A body that a frame without scripts may hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Rules for the inside of [`policy::BODY_CLASS`], to be put into a `style` element as they are.
    pub style: String,
    /// HTML for the inside of that element.
    pub body: String,
    /// Images that are left out because remote images are off.
    pub blocked_images: usize,
    /// Links in the order of the text.
    pub links: Vec<Link>,
    /// Whether the body was too long, too deep or too odd, so that something is missing or it is shown
    /// as text.
    pub cut: bool,
}

impl Cleaned {
    /// Style sheet and body in one; cleaning it again changes nothing.
    pub fn html(&self) -> String {
        if self.style.is_empty() {
            self.body.clone()
        } else {
            format!("<style>{}</style>{}", self.style, self.body)
        }
    }
}

/// Cleans foreign HTML.
///
/// What comes out holds allowed elements and attributes alone, is balanced, and is its own cleaning:
/// cleaning it again gives the same. Nothing may be changed in it afterwards.
pub fn clean(html: &str, policy: &Policy<'_>) -> Cleaned {
    let (html, mut cut) = shortened(html);
    let first = round(html, policy);
    cut |= first.cut;
    let mut body = first.body;
    let mut links = first.links;
    let mut settled = false;
    for _ in 0..ROUNDS {
        let next = round(&body, policy);
        settled = next.body == body;
        body = next.body;
        links = next.links;
        if settled {
            break;
        }
    }
    if !settled {
        cut = true;
        (body, links) = as_text(html, policy);
    }
    let (_, blocked) = css::style_sheet(&first.style, policy);
    let style = css::clean_style_sheet(&first.style, policy);
    Cleaned { style, body, blocked_images: first.blocked + blocked, links, cut }
}

fn shortened(html: &str) -> (&str, bool) {
    if html.len() <= CLEAN_LIMIT {
        return (html, false);
    }
    let mut end = CLEAN_LIMIT;
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    (&html[..end], true)
}

struct Round {
    body: String,
    style: String,
    blocked: usize,
    links: Vec<Link>,
    cut: bool,
}

fn round(html: &str, policy: &Policy<'_>) -> Round {
    let Filtered { tokens, style, blocked, cut } = filter::filter(tokens::read(html), policy);
    let checked = CHECK.clean(&tokens::write(&tokens)).to_string();
    let (tokens, links) = links::annotate(tokens::read_verbatim(&checked), policy);
    Round { body: tokens::write(&tokens), style, blocked, links, cut }
}

/// The second check: ammonia with the same list. It builds the tree that a browser builds, so that what
/// only a tree shows (an element in the wrong place) is seen too.
static CHECK: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    let elements: HashSet<&'static str> = policy::allowed_elements().iter().copied().collect();
    let attributes: HashMap<&'static str, HashSet<&'static str>> = (policy::allowed_elements()
        .iter())
    .map(|element| {
        let known = policy::ATTRIBUTES.iter().copied();
        let mut names: HashSet<&'static str> =
            known.filter(|name| policy::attribute(element, name).is_some()).collect();
        if *element == "a" {
            names.extend(["title", "target", "rel"]);
        }
        (*element, names)
    })
    .collect();
    builder
        .tags(elements)
        .tag_attributes(attributes)
        .clean_content_tags(HashSet::from(["script", "style"]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "data", "cid"]))
        .url_relative(UrlRelative::PassThrough)
        .link_rel(None);
    builder
});

/// Cleaned HTML with other addresses of images where `with` gives one. It has to be cleaned again.
pub(crate) fn with_image_addresses(
    cleaned: &str,
    mut with: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut tokens = tokens::read_verbatim(cleaned);
    for token in &mut tokens {
        if let tokens::Token::Start { name, attributes } = token
            && name == "img"
        {
            for (_, value) in attributes.iter_mut().filter(|(name, _)| name == "src") {
                if let Some(new) = with(value) {
                    *value = new;
                }
            }
        }
    }
    tokens::write(&tokens)
}

/// Cleaned HTML without its images.
pub(crate) fn without_images(cleaned: &str) -> String {
    let mut tokens = tokens::read_verbatim(cleaned);
    tokens.retain(|token| !matches!(token, tokens::Token::Start { name, .. } if name == "img"));
    tokens::write(&tokens)
}

/// HTML as the text in it, for what can't be shown otherwise.
fn as_text(html: &str, policy: &Policy<'_>) -> (String, Vec<Link>) {
    let shown = round(&format!("<div>{}</div>", crate::text::to_html(&to_text(html))), policy);
    (shown.body, shown.links)
}

/// The text of HTML: what a reader sees of it, with line breaks where blocks end. For quoting into plain
/// text and for the plain half of a message.
pub fn to_text(html: &str) -> String {
    use tokens::Token;
    let (html, _) = shortened(html);
    let images = policy::NoImages;
    let filtered = filter::filter(tokens::read(html), &Policy::quoting(&images));
    let mut writer = TextWriter::default();
    for token in filtered.tokens {
        match token {
            Token::Text(text) => writer.text(&text),
            Token::Start { name, attributes } => {
                let value = |key: &str| {
                    attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
                };
                writer.start(&name, value("href"), value("alt"));
            }
            Token::End(name) => writer.end(&name),
        }
    }
    writer.finish()
}

#[derive(Default)]
struct TextWriter {
    out: String,
    /// The line that is being written.
    line: String,
    quote: usize,
    /// How deep the line before was quoted.
    last_quote: usize,
    pre: usize,
    link: Option<(String, usize)>,
    blank_wanted: bool,
}

impl TextWriter {
    fn text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '\n' if self.pre > 0 => self.line_break(),
                one if one.is_whitespace() && self.pre == 0 && one != '\u{a0}' => {
                    if !self.line.is_empty() && !self.line.ends_with(' ') {
                        self.line.push(' ');
                    }
                }
                '\u{a0}' => self.line.push(' '),
                one => self.line.push(one),
            }
        }
    }

    fn start(&mut self, name: &str, href: Option<&str>, alt: Option<&str>) {
        match name {
            "br" => self.line_break(),
            "hr" => {
                self.block();
                self.line.push_str("---");
                self.block();
            }
            "li" => {
                self.block();
                self.line.push_str("- ");
            }
            "img" => self.text(alt.unwrap_or_default()),
            "td" | "th" if self.line.is_empty() => {}
            "td" | "th" => self.line.push(' '),
            "a" => self.link = href.map(|to| (to.to_owned(), self.line.len())),
            _ if policy::ENDS_PARAGRAPH.contains(&name) || matches!(name, "tr" | "caption") => {
                self.block()
            }
            _ => {}
        }
        match name {
            "blockquote" => self.quote += 1,
            "pre" => self.pre += 1,
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if name == "a"
            && let Some((to, at)) = self.link.take()
            && let Some(shown) = self.line.get(at..)
            && !to.starts_with('#')
            && !to.trim_end_matches('/').ends_with(shown.trim().trim_end_matches('/'))
        {
            self.line.push_str(&format!(" <{to}>"));
        }
        if policy::ENDS_PARAGRAPH.contains(&name) || matches!(name, "tr" | "caption") {
            self.block();
        }
        if matches!(name, "p" | "h1" | "h2" | "h3" | "blockquote" | "pre" | "table" | "ul" | "ol") {
            self.blank_wanted = true;
        }
        match name {
            "blockquote" => self.quote = self.quote.saturating_sub(1),
            "pre" => self.pre = self.pre.saturating_sub(1),
            _ => {}
        }
    }

    fn block(&mut self) {
        if !self.line.trim().is_empty() {
            self.line_break();
        }
        self.line.clear();
    }

    fn line_break(&mut self) {
        let prefix = if self.quote > 0 {
            format!("{} ", ">".repeat(self.quote.min(20)))
        } else {
            String::new()
        };
        if self.blank_wanted && !self.out.is_empty() {
            // The empty line before a quote isn't quoted.
            if self.quote <= self.last_quote {
                self.out.push_str(prefix.trim_end());
            }
            self.out.push('\n');
        }
        self.blank_wanted = false;
        self.last_quote = self.quote;
        let line = format!("{prefix}{}", self.line.trim_end());
        self.out.push_str(line.trim_end());
        // The line over a signature is known by its blank.
        if self.line.trim_start() == "-- " {
            self.out.push(' ');
        }
        self.out.push('\n');
        self.line.clear();
    }

    fn finish(mut self) -> String {
        self.block();
        self.out
    }
}

//! The first step: tokens in, allowed tokens out, every element closed in the place where it was opened.
//!
//! The output is balanced, so a parser finds nothing in it to repair, to move or to repeat.

use super::css;
use super::policy::{self, Policy, Value};
use super::tokens::Token;
use super::urls::{self, Image};

/// Tokens that are read of one document.
const TOKEN_LIMIT: usize = 200_000;
/// Elements inside one another. Browsers stop at 512.
const DEPTH_LIMIT: usize = 128;
/// Characters of a value that is only shown.
const TEXT_LIMIT: usize = 2000;

/// What the first step gives.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    pub(super) tokens: Vec<Token>,
    /// The text of all style sheets, one after the other.
    pub(super) style: String,
    /// How many images were left out because remote images are off.
    pub(super) blocked: usize,
    /// Whether something was left out because there was too much of it.
    pub(super) cut: bool,
}

/// Filters the tokens of a document.
pub(super) fn filter(tokens: Vec<Token>, policy: &Policy<'_>) -> Filtered {
    let mut state =
        State { policy, out: Filtered::default(), open: Vec::new(), skip: None, body: false };
    for (at, token) in tokens.into_iter().enumerate() {
        if at >= TOKEN_LIMIT {
            state.out.cut = true;
            break;
        }
        state.take(token);
    }
    state.close_to(0);
    state.out
}

struct State<'a, 'b> {
    policy: &'a Policy<'b>,
    out: Filtered,
    /// The names of the elements that are open.
    open: Vec<String>,
    /// The element that is skipped whole, and how many of its name are open.
    skip: Option<(String, usize)>,
    /// Whether a body has begun.
    body: bool,
}

impl State<'_, '_> {
    fn take(&mut self, token: Token) {
        if let Some((name, depth)) = &mut self.skip {
            match &token {
                Token::Text(text) if name == "style" && !self.policy.quoting => {
                    self.out.style.push_str(text);
                    self.out.style.push('\n');
                }
                Token::Start { name: started, .. } if started == name => *depth += 1,
                Token::End(ended) if ended == name => *depth -= 1,
                _ => {}
            }
            if *depth == 0 {
                self.skip = None;
            }
            return;
        }
        match token {
            Token::Text(text) => self.out.tokens.push(Token::Text(text)),
            Token::Start { name, attributes } => self.start(&name, &attributes),
            Token::End(name) => self.end(&name),
        }
    }

    fn start(&mut self, name: &str, attributes: &[(String, String)]) {
        if policy::DROPPED_WHOLE.contains(&name) {
            self.skip = Some((name.to_owned(), 1));
            return;
        }
        // Marks are ours to make, at the end.
        if name == "span"
            && attributes.iter().any(|(key, value)| key == "class" && is_warning(value))
        {
            self.skip = Some((name.to_owned(), 1));
            return;
        }
        let name = match name {
            "body" if !self.body => {
                self.body = true;
                "div"
            }
            "image" => "img",
            other => other,
        };
        if !policy::allowed_elements().contains(&name) {
            return;
        }
        self.end_implied(name);
        let void = policy::VOID.contains(&name);
        if !void && self.open.len() >= DEPTH_LIMIT {
            self.out.cut = true;
            return;
        }
        let attributes = self.attributes(name, attributes);
        self.out.tokens.push(Token::Start { name: name.to_owned(), attributes });
        if !void {
            self.open.push(name.to_owned());
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "br" => {
                self.out.tokens.push(Token::Start { name: "br".into(), attributes: Vec::new() })
            }
            // The mail goes on after it more often than not.
            "body" | "html" => {}
            _ => {
                // The end of something inside a cell doesn't end the table around it.
                let wall = self.wall(name);
                if let Some(at) = self.open.iter().rposition(|one| one == name)
                    && at >= wall
                {
                    self.close_to(at);
                }
            }
        }
    }

    /// The place in the open elements that the end tag of `name` can't reach beyond.
    fn wall(&self, name: &str) -> usize {
        if matches!(name, "table" | "td" | "th" | "tr" | "tbody" | "thead" | "tfoot" | "caption") {
            return 0;
        }
        self.open
            .iter()
            .rposition(|one| matches!(one.as_str(), "td" | "th" | "caption"))
            .unwrap_or(0)
    }

    /// Ends what the start of `name` ends.
    fn end_implied(&mut self, name: &str) {
        if policy::ENDS_PARAGRAPH.contains(&name) {
            let wall = self.wall(name);
            if let Some(at) = self.open.iter().rposition(|one| one == "p")
                && at >= wall
            {
                self.close_to(at);
            }
        }
        let (ended, stops) = policy::ends(name);
        let stop = (self.open.iter())
            .rposition(|one| stops.contains(&one.as_str()))
            .map_or(0, |at| at + 1);
        let found = self.open[stop..].iter().position(|one| ended.contains(&one.as_str()));
        if let Some(at) = found {
            self.close_to(stop + at);
        }
    }

    fn close_to(&mut self, length: usize) {
        while self.open.len() > length {
            if let Some(name) = self.open.pop() {
                self.out.tokens.push(Token::End(name));
            }
        }
    }

    fn attributes(&mut self, element: &str, given: &[(String, String)]) -> Vec<(String, String)> {
        let mut kept: Vec<(String, String)> = Vec::new();
        let mut lacks_image = false;
        for (name, value) in given {
            let Some(kind) = policy::attribute(element, name) else { continue };
            if kind == Value::Image {
                match urls::image(value, self.policy) {
                    Image::From(url) => kept.push((name.clone(), url)),
                    Image::Blocked => {
                        self.out.blocked += 1;
                        lacks_image = element == "img";
                    }
                    Image::Refused => {}
                }
            } else if let Some(value) = self.value(kind, value) {
                kept.push((name.clone(), value));
            }
        }
        if lacks_image {
            mark_blocked(&mut kept);
        }
        kept
    }

    fn value(&mut self, kind: Value, value: &str) -> Option<String> {
        match kind {
            Value::Text => {
                Some(value.chars().take(TEXT_LIMIT).filter(|one| !one.is_control()).collect())
            }
            Value::Word => {
                let letters = |one: u8| one.is_ascii_alphanumeric() || one == b'-';
                (value.len() <= 32 && value.bytes().all(letters))
                    .then(|| value.to_ascii_lowercase())
            }
            Value::Number(most) => {
                let number: u32 = value.trim().trim_start_matches('+').parse().ok()?;
                Some(number.min(most).to_string())
            }
            Value::Length => length(value),
            Value::Colour => {
                let letters = |one: u8| one.is_ascii_alphanumeric() || one == b'#';
                let value = value.trim();
                (!value.is_empty() && value.len() <= 32 && value.bytes().all(letters))
                    .then(|| value.to_owned())
            }
            Value::Font => {
                let letters = |one: &char| one.is_alphanumeric() || " ,-_'".contains(*one);
                Some(value.chars().filter(letters).take(200).collect())
            }
            Value::Names => names(value),
            Value::Name => urls::prefixed(value, policy::PREFIX),
            Value::Style => {
                let (style, blocked) = css::declarations(value, self.policy);
                self.out.blocked += blocked;
                (!style.is_empty()).then_some(style)
            }
            Value::Link => urls::link(value, self.policy, policy::PREFIX),
            Value::Image => None,
        }
    }
}

fn is_warning(classes: &str) -> bool {
    classes.split_ascii_whitespace().any(|one| one == policy::WARNING_CLASS)
}

/// Adds the class by which a page shows that an image is missing.
fn mark_blocked(attributes: &mut Vec<(String, String)>) {
    const BLOCKED: &str = "mk-blocked";
    match attributes.iter_mut().find(|(name, _)| name == "class") {
        Some((_, classes)) if classes.split(' ').any(|one| one == BLOCKED) => {}
        Some((_, classes)) => {
            classes.push(' ');
            classes.push_str(BLOCKED);
        }
        None => attributes.push(("class".into(), BLOCKED.into())),
    }
}

fn names(value: &str) -> Option<String> {
    let names: Vec<String> = (value.split_ascii_whitespace())
        .take(20)
        .filter_map(|one| urls::prefixed(one, policy::PREFIX))
        .filter(|one| one != policy::WARNING_CLASS && one != policy::BODY_CLASS)
        .collect();
    (!names.is_empty()).then(|| names.join(" "))
}

fn length(value: &str) -> Option<String> {
    let value = value.trim().trim_start_matches('+');
    let (number, unit) = match value.strip_suffix('%') {
        Some(number) => (number, "%"),
        None => (value.strip_suffix("px").unwrap_or(value), ""),
    };
    let number: f32 = number.trim().parse().ok()?;
    let most = if unit == "%" { 100.0 } else { 10_000.0 };
    (number.is_finite() && number >= 0.0).then(|| format!("{}{unit}", number.min(most).floor()))
}

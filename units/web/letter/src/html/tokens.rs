//! HTML as tokens: in by the tokenizer of html5ever, out by a writer that escapes everything.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token as Foreign, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// One token of a document. Comments, doctypes and NUL characters are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Start { name: String, attributes: Vec<(String, String)> },
    End(String),
    Text(String),
}

/// How a browser reads what follows the start tag of `name`, if not as HTML.
/// <https://html.spec.whatwg.org/multipage/parsing.html#parsing-html-fragments>
fn raw_kind(name: &str) -> Option<RawKind> {
    match name {
        "script" => Some(RawKind::ScriptData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
        "title" | "textarea" => Some(RawKind::Rcdata),
        _ => None,
    }
}

struct Sink(RefCell<Vec<Token>>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Foreign, _line: u64) -> TokenSinkResult<()> {
        let mut tokens = self.0.borrow_mut();
        match token {
            Foreign::TagToken(tag) => {
                let name = tag.name.to_string();
                if tag.kind == TagKind::EndTag {
                    tokens.push(Token::End(name));
                    return TokenSinkResult::Continue;
                }
                let attributes = (tag.attrs.iter())
                    .map(|one| (one.name.local.to_string(), one.value.to_string()))
                    .collect();
                let raw = raw_kind(&name);
                let plain = name == "plaintext";
                tokens.push(Token::Start { name, attributes });
                match raw {
                    Some(kind) => TokenSinkResult::RawData(kind),
                    None if plain => TokenSinkResult::Plaintext,
                    None => TokenSinkResult::Continue,
                }
            }
            Foreign::CharacterTokens(text) => {
                if let Some(Token::Text(last)) = tokens.last_mut() {
                    last.push_str(&text);
                } else {
                    tokens.push(Token::Text(text.to_string()));
                }
                TokenSinkResult::Continue
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

/// The tokens of `input`, read as a browser reads them: the first line break in `pre` isn't text.
pub(super) fn read(input: &str) -> Vec<Token> {
    let mut tokens = read_verbatim(input);
    let mut after_pre = false;
    for token in &mut tokens {
        match token {
            Token::Text(text) if after_pre && text.starts_with('\n') => {
                text.remove(0);
            }
            _ => {}
        }
        after_pre = matches!(token, Token::Start { name, .. } if name == "pre");
    }
    tokens
}

/// The tokens of what ammonia has written, which gives a parser no line break in `pre` to swallow.
pub(super) fn read_verbatim(input: &str) -> Vec<Token> {
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Vec::new())), TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from_slice(input));
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

/// Writes tokens as HTML in which no text and no value can become markup.
pub(super) fn write(tokens: &[Token]) -> String {
    let mut out = String::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Start { name, attributes } => {
                out.push('<');
                out.push_str(name);
                for (key, value) in attributes {
                    out.push(' ');
                    out.push_str(key);
                    out.push_str("=\"");
                    escape_into(&mut out, value);
                    out.push('"');
                }
                out.push('>');
                // A parser swallows the first line break in `pre`; give it one to swallow.
                if name == "pre"
                    && matches!(tokens.get(at + 1), Some(Token::Text(text)) if text.starts_with('\n'))
                {
                    out.push('\n');
                }
            }
            Token::End(name) => {
                out.push_str("</");
                out.push_str(name);
                out.push('>');
            }
            Token::Text(text) => escape_into(&mut out, text),
        }
    }
    out
}

/// Escapes text for an element or a quoted attribute.
pub(crate) fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            // No reader agrees on these; none has a place in a mail's text.
            '\0' => {}
            '\r' => out.push('\n'),
            other => out.push(other),
        }
    }
}

/// `text` escaped for an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    escape_into(&mut out, text);
    out
}

//! What a message is made of: BODYSTRUCTURE as a flat list of parts that hold something.
//! Source: RFC 9051 section 7.5.2.

use crate::answer::Token;

/// A page shows no more parts than these.
const MOST_PARTS: usize = 500;

/// The leaves of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// In the order of the message.
    pub parts: Vec<Part>,
    /// False if there are more than 500 parts.
    pub complete: bool,
}

/// A part that holds something itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its path, such as `1.2`, as FETCH takes it.
    pub path: String,
    /// Its type in small letters, such as `text/plain`.
    pub kind: String,
    /// The type of the multipart around it, such as `alternative`; empty at the top.
    pub inside: String,
    /// Content-ID without its brackets.
    pub id: Option<String>,
    /// Content-Transfer-Encoding in small letters.
    pub encoding: String,
    /// Bytes as they are sent, encoded.
    pub size: u64,
    /// `attachment`, `inline`, or nothing.
    pub disposition: Option<String>,
    /// The file's name, as it is written in the message: not decoded.
    pub name: Option<String>,
    /// The character set of a text.
    pub charset: Option<String>,
}

impl Structure {
    pub(crate) fn read(token: &Token) -> Self {
        let mut structure = Structure { parts: Vec::new(), complete: true };
        structure.add(token, String::new(), "");
        structure
    }

    /// Adds the leaves of `token`. The depth is bounded by whoever read the tokens.
    fn add(&mut self, token: &Token, path: String, inside: &str) {
        if self.parts.len() >= MOST_PARTS {
            self.complete = false;
            return;
        }
        let fields = token.list();
        if !matches!(fields.first(), Some(Token::List(_))) {
            let path = if path.is_empty() { "1".to_owned() } else { path };
            self.parts.extend(Part::read(fields, path, inside));
            return;
        }
        let children = fields.iter().take_while(|field| matches!(field, Token::List(_)));
        let count = children.clone().count();
        let subtype = fields.get(count).and_then(Token::text).unwrap_or_default();
        let subtype = subtype.to_ascii_lowercase();
        for (index, child) in children.enumerate() {
            let number = index + 1;
            let path = if path.is_empty() { number.to_string() } else { format!("{path}.{number}") };
            self.add(child, path, &subtype);
        }
    }
}

impl Part {
    fn read(fields: &[Token], path: String, inside: &str) -> Option<Self> {
        let [kind, subtype, parameters, id, _, encoding, size, rest @ ..] = fields else {
            return None;
        };
        let lower = |token: &Token| token.text().map(|text| text.to_ascii_lowercase());
        let kind = format!("{}/{}", lower(kind)?, lower(subtype)?);
        // Lines follow in a text; envelope, structure and lines in a message; then MD5.
        let skipped = match kind.as_str() {
            "message/rfc822" | "message/global" => 4,
            _ if kind.starts_with("text/") => 2,
            _ => 1,
        };
        let disposition = rest.get(skipped).map(Token::list).unwrap_or_default();
        let details = disposition.get(1).map(Token::list).unwrap_or_default();
        let id = id.text().map(|id| id.trim_matches(['<', '>', ' ']).to_owned());
        Some(Part {
            path,
            kind,
            inside: inside.to_owned(),
            id,
            encoding: lower(encoding).unwrap_or_default(),
            size: size.number().unwrap_or(0),
            disposition: disposition.first().and_then(lower),
            name: parameter(details, "filename").or_else(|| parameter(parameters.list(), "name")),
            charset: parameter(parameters.list(), "charset"),
        })
    }
}

/// A parameter, also one in parts or with a character set (RFC 2231), whose pieces are joined.
fn parameter(list: &[Token], name: &str) -> Option<String> {
    let (pairs, _) = list.as_chunks::<2>();
    let mut joined: Option<String> = None;
    for [key, value] in pairs {
        let (Some(key), Some(value)) = (key.text(), value.text()) else { continue };
        let key = key.to_ascii_lowercase();
        let base = key.split('*').next().unwrap_or_default();
        if base == name {
            joined.get_or_insert_default().push_str(&value);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use crate::imap::{Response, response::response};

    fn structure(text: &str) -> super::Structure {
        let Response::Fetch(row) = response(&format!("* 1 FETCH (BODYSTRUCTURE {text})")) else {
            panic!("unreadable")
        };
        row.structure.unwrap()
    }

    #[test]
    fn leaves_have_their_paths() {
        let text = r#"((("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 10 1 NIL NIL NIL NIL)
            ("TEXT" "HTML" ("CHARSET" "utf-8") NIL NIL "QUOTED-PRINTABLE" 20 2 NIL ("INLINE" NIL) NIL NIL)
            "ALTERNATIVE" ("BOUNDARY" "x") NIL NIL NIL)
            ("IMAGE" "PNG" ("NAME" "a.png") "<c@d>" NIL "BASE64" 400 NIL ("ATTACHMENT" ("FILENAME" "b.png")) NIL NIL)
            "MIXED" ("BOUNDARY" "y") NIL NIL NIL)"#
            .replace('\n', " ");
        let found = structure(&text);
        assert!(found.complete);
        let shown = found.parts.iter().map(|part| format!("{} {} in {}", part.path, part.kind, part.inside));
        let expected =
            ["1.1 text/plain in alternative", "1.2 text/html in alternative", "2 image/png in mixed"];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        let image = &found.parts[2];
        assert_eq!((image.name.as_deref(), image.id.as_deref()), (Some("b.png"), Some("c@d")));
        assert_eq!(image.disposition.as_deref(), Some("attachment"));
    }

    #[test]
    fn a_message_of_one_part_has_path_1() {
        let found = structure(r#"("TEXT" "PLAIN" NIL NIL NIL "7BIT" 10 1)"#);
        assert_eq!(found.parts[0].path, "1");
    }

    #[test]
    fn ten_thousand_parts_are_cut() {
        let part = r#"("TEXT" "PLAIN" NIL NIL NIL "7BIT" 10 1)"#;
        let found = structure(&format!("({} \"MIXED\")", part.repeat(10_000)));
        assert_eq!((found.parts.len(), found.complete), (500, false));
    }
}

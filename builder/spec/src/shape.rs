//! The shape of a file: which keys there are, and what kind of value each takes.
//!
//! In: parsed TOML and the schema of the file's type. Out: the same TOML without what the schema
//! does not allow, a problem reported for each piece. Serde alone would stop at the first.

use std::ops::Range;

use schemars::Schema;
use serde_json::Value as Json;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::problem::{Flaw, Problems, is_control, nearest, shown};

/// Takes out of `table` what `schema` does not allow and reports it.
pub(crate) fn trim(table: &mut DeTable<'_>, schema: &Schema, problems: &mut Problems) {
    trim_table(table, &(0..0), schema.as_value(), &Place::Root, problems);
}

/// Where in the file a value stands, for messages.
enum Place<'a> {
    Root,
    /// A table or a plain value.
    Key(&'a Place<'a>, &'a str),
    /// An entry of a list; it is called by the name of its list.
    Entry(&'a Place<'a>),
}

impl Place<'_> {
    /// As the value is addressed in messages: `account.address`.
    fn dotted(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Key(Place::Root, key) => (*key).to_owned(),
            Place::Key(parent, key) => format!("{}.{key}", parent.dotted()),
            Place::Entry(list) => list.dotted(),
        }
    }

    /// As the table is headed in the file: `[host]`, `[[account]]`.
    fn heading(&self) -> String {
        match self {
            Place::Root => "the file".to_owned(),
            Place::Key(..) => format!("[{}]", self.dotted()),
            Place::Entry(_) => format!("[[{}]]", self.dotted()),
        }
    }
}

fn trim_table(
    table: &mut DeTable<'_>,
    span: &Range<usize>,
    schema: &Json,
    place: &Place<'_>,
    problems: &mut Problems,
) {
    let no_properties = serde_json::Map::new();
    let known = schema.get("properties").and_then(Json::as_object).unwrap_or(&no_properties);
    let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
    let mut missing: Vec<&str> = required.filter_map(Json::as_str).collect();
    missing.retain(|name| !table.contains_key(*name));
    for (key, mut value) in std::mem::take(table) {
        let name = key.get_ref().clone();
        let Some(schema) = known.get(name.as_ref()) else {
            let meant = nearest(&name, known.keys().map(String::as_str));
            let problem = unknown_key(&name, meant, place, known).at(&key.span());
            let key = Place::Key(place, meant.unwrap_or(&name)).dotted();
            problems.take_out(key, problem);
            // A slip of the pen is one problem, not two.
            missing.retain(|name| Some(*name) != meant);
            continue;
        };
        let span = value.span();
        if trim_value(value.get_mut(), &span, schema, &Place::Key(place, &name), problems) {
            table.insert(key, value);
        }
    }
    for name in missing {
        problems.add(missing_key(name, place, known.get(name)).at(span));
    }
}

/// Whether the value may stay.
fn trim_value(
    value: &mut DeValue<'_>,
    span: &Range<usize>,
    schema: &Json,
    place: &Place<'_>,
    problems: &mut Problems,
) -> bool {
    let flaw = match value {
        DeValue::Table(table) if allows(schema, "object") => {
            trim_table(table, span, schema, place, problems);
            return true;
        }
        DeValue::Array(list) if allows(schema, "array") => {
            let entries = schema.get("items").unwrap_or(&Json::Null);
            let place = Place::Entry(place);
            // Every entry is looked at, and a list with a bad one goes as a whole: the rest would
            // be judged as if it were all.
            return list.iter_mut().fold(true, |stays, entry| {
                let span = entry.span();
                trim_value(entry.get_mut(), &span, entries, &place, problems) && stays
            });
        }
        DeValue::String(text) if allows(schema, "string") => text_flaw(text, schema, place),
        DeValue::Integer(number) if allows(schema, "integer") || allows(schema, "number") => {
            (!fits(number)).then(|| {
                let message = format!("`{}` is out of range", place.dotted());
                Flaw::new(message, "no number is this large", "write a smaller number")
            })
        }
        DeValue::Float(_) if allows(schema, "number") => None,
        DeValue::Boolean(_) if allows(schema, "boolean") => None,
        other => Some(wrong_type(other, schema, place)),
    };
    flaw.map(|flaw| problems.take_out(place.dotted(), flaw.at(span))).is_none()
}

/// Whether the schema lists a JSON type.
fn allows(schema: &Json, kind: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(only)) => only == kind,
        Some(Json::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// TOML's integers are arbitrarily long text until somebody asks for the number.
fn fits(number: &DeInteger<'_>) -> bool {
    i64::from_str_radix(number.as_str(), number.radix()).is_ok()
}

/// What every text of the file must keep to, whatever it means.
fn text_flaw(text: &str, schema: &Json, place: &Place<'_>) -> Option<Flaw> {
    if text.contains("PRIVATE KEY-----") {
        // Not shown back: what is printed ends up in logs and tickets.
        return Some(Flaw::new(
            format!("a private key in `{}`", place.dotted()),
            "this is the secret half",
            "take it out, and make a new pair: this one has been in a file that may be published. \
             What belongs here is the one line of a `.pub` file",
        ));
    }
    if let Some(control) = text.chars().find(|&character| is_control(character)) {
        return Some(Flaw::new(
            format!("control character in `{}`", place.dotted()),
            format!("contains U+{:04X}", u32::from(control)),
            "write it on one line, without tabs, escapes or line breaks",
        ));
    }
    let choices = schema.get("enum").and_then(Json::as_array)?;
    let choices: Vec<&str> = choices.iter().filter_map(Json::as_str).collect();
    if choices.contains(&text) {
        return None;
    }
    let help = match nearest(text, choices.iter().copied()) {
        Some(meant) => format!("did you mean `\"{meant}\"`?"),
        None => format!("write one of {}", listed(&choices)),
    };
    let message = format!("`{}` can't be \"{}\"", place.dotted(), shown(text));
    Some(Flaw::new(message, "no such choice", help))
}

fn unknown_key(
    name: &str,
    meant: Option<&str>,
    place: &Place<'_>,
    known: &serde_json::Map<String, Json>,
) -> Flaw {
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("{} takes {}", place.heading(), listed(&names))
        }
    };
    Flaw::new(
        format!("unknown key `{}` in {}", shown(name), place.heading()),
        "not known here",
        help,
    )
}

fn missing_key(name: &str, place: &Place<'_>, schema: Option<&Json>) -> Flaw {
    let schema = schema.unwrap_or(&Json::Null);
    let (message, help) = if allows(schema, "object") {
        (
            format!("there is no [{name}]"),
            format!("add `{}`", table_example(name, schema, "[", "]")),
        )
    } else if schema.get("items").is_some_and(|items| allows(items, "object")) {
        let entry = schema.get("items").unwrap_or(&Json::Null);
        let example = table_example(name, entry, "[[", "]]");
        (format!("there is no [[{name}]]"), format!("add `{example}`"))
    } else {
        let help = format!("add `{}`", assignment(name, schema));
        (format!("{} has no `{name}`", place.heading()), help)
    };
    Flaw::new(message, "it is needed", help)
}

fn wrong_type(value: &DeValue<'_>, schema: &Json, place: &Place<'_>) -> Flaw {
    let dotted = place.dotted();
    let name = dotted.rsplit('.').next().unwrap_or_default();
    let wanted = [
        ("object", "a table"),
        ("array", "a list"),
        ("string", "text"),
        ("number", "a number"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
    ];
    let wanted: Vec<&str> =
        wanted.iter().filter(|(kind, _)| allows(schema, kind)).map(|(_, words)| *words).collect();
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a decimal point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let of_tables = schema.get("items").is_some_and(|items| allows(items, "object"));
    let help = match value {
        DeValue::Table(_) if of_tables => format!("write `[[{dotted}]]`, with two brackets"),
        DeValue::Array(_) if allows(schema, "object") => {
            format!("write `[{dotted}]`, with one pair of brackets, once")
        }
        _ if allows(schema, "object") => format!("write `[{dotted}]`, and its keys below"),
        _ if of_tables => format!("write `[[{dotted}]]`, and its keys below"),
        _ if matches!(place, Place::Entry(_)) => format!("write {} here", wanted.join(" or ")),
        _ => format!("write `{}`", assignment(name, schema)),
    };
    Flaw::new(
        format!("`{dotted}` must be {}", wanted.join(" or ")),
        format!("this is {found}"),
        help,
    )
}

/// `name = "mail.example.org"`, from the schema's example.
fn assignment(name: &str, schema: &Json) -> String {
    let example = schema.get("examples").and_then(|examples| examples.get(0));
    // JSON's notation of text, numbers and lists is TOML's too.
    format!("{name} = {}", example.map_or_else(|| "…".to_owned(), Json::to_string))
}

/// A table with the keys that it must have.
fn table_example(name: &str, schema: &Json, open: &str, close: &str) -> String {
    let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
    let keys = required.filter_map(Json::as_str).map(|key| {
        assignment(key, schema.pointer(&format!("/properties/{key}")).unwrap_or(&Json::Null))
    });
    let lines: Vec<String> = std::iter::once(format!("{open}{name}{close}")).chain(keys).collect();
    lines.join("` and below it `")
}

/// `a, b, c`.
fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

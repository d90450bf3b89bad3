//! Options of a NixOS module from the schema of `mail.toml`.
//!
//! In: JSON Schema, as `mailkiln schema` prints it. Out: declarations with type, default, example
//! and description. What may be left out of `mail.toml` may be left out here: it is null, or an empty list.

use serde_json::Value as Json;

use crate::Value;

/// The options of a table, but for those `left_out`, which are named by their paths: `acme.enable`.
pub(crate) fn options(table: &Json, left_out: &[&str]) -> Value {
    let required: Vec<&str> = list(table.get("required")).filter_map(Json::as_str).collect();
    let properties = table.get("properties").and_then(Json::as_object).into_iter().flatten();
    let kept = properties.filter(|(name, _)| !left_out.contains(&name.as_str()));
    Value::attrs(kept.map(|(name, schema)| {
        let inside: Vec<&str> = left_out
            .iter()
            .filter_map(|path| path.strip_prefix(name.as_str())?.strip_prefix('.'))
            .collect();
        (name.as_str(), option(name, schema, required.contains(&name.as_str()), &inside))
    }))
}

fn option(name: &str, schema: &Json, required: bool, left_out: &[&str]) -> Value {
    let mut attrs = Vec::new();
    let (kind, default) = match (required, schema.get("items")) {
        (_, Some(_)) => (kind(schema, left_out), (!required).then(|| Value::List(Vec::new()))),
        (true, None) => (kind(schema, left_out), None),
        (false, None) => {
            let kind = match name {
                "port" => "lib.types.port".to_owned(),
                _ => kind(schema, left_out),
            };
            (format!("lib.types.nullOr {}", argument(&kind)), Some(Value::Null))
        }
    };
    attrs.push(("type", Value::code(kind)));
    attrs.extend(default.map(|default| ("default", default)));
    let description = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    // What null stands for is shown where the manual shows defaults, and only there.
    let (description, said) = match description.split_once("Default: ") {
        Some((before, said)) => (before.trim_end(), Some(said)),
        None => (description, None),
    };
    if let Some(said) = said {
        let said = said.trim_end().trim_end_matches('.').replace('\n', " ");
        let text = Value::text(format!("{said} (null)"));
        attrs.push(("defaultText", Value::code(format!("lib.literalMD {text}"))));
    }
    let example = list(schema.get("examples")).next();
    attrs.extend(example.and_then(literal).map(|example| ("example", example)));
    attrs.push(("description", Value::Prose(description.to_owned())));
    Value::code(format!("lib.mkOption {}", Value::attrs(attrs)))
}

/// The type of an option, as code.
fn kind(schema: &Json, left_out: &[&str]) -> String {
    let choices: Vec<Value> =
        list(schema.get("enum")).filter_map(Json::as_str).map(Value::text).collect();
    if !choices.is_empty() {
        return format!("lib.types.enum {}", Value::List(choices));
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        kinds => list(kinds).filter_map(Json::as_str).collect(),
    };
    let of = |kind: &str| match kind {
        "boolean" => "lib.types.bool".to_owned(),
        "integer" => "lib.types.ints.unsigned".to_owned(),
        "number" => "lib.types.number".to_owned(),
        "array" => {
            let items = self::kind(schema.get("items").unwrap_or(&Json::Null), left_out);
            format!("lib.types.listOf {}", argument(&items))
        }
        "object" => format!("lib.types.submodule {{ options = {}; }}", options(schema, left_out)),
        _ => "lib.types.str".to_owned(),
    };
    match kinds.as_slice() {
        [] => of("string"),
        [kind] => of(kind),
        several => {
            let several: Vec<String> = several.iter().map(|kind| argument(&of(kind))).collect();
            format!("lib.types.oneOf [ {} ]", several.join(" "))
        }
    }
}

/// A type as the argument of another.
fn argument(kind: &str) -> String {
    if kind.contains(' ') { format!("({kind})") } else { kind.to_owned() }
}

/// An example; `None` for what is no literal.
fn literal(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => Value::text(text),
        Json::Array(values) => Value::List(values.iter().map(literal).collect::<Option<_>>()?),
        Json::Object(_) => return None,
    })
}

fn list(json: Option<&Json>) -> impl Iterator<Item = &Json> {
    json.and_then(Json::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_becomes_declarations() {
        let schema = serde_json::json!({
            "properties": {
                "name": {"type": "string", "description": "Its ${name}.", "examples": ["a"]},
                "size": {"type": ["string", "integer"], "description": "Size."},
                "tls": {"enum": ["off", null], "type": "string", "description": "TLS."},
                "own": {"type": "string"},
                "days": {"type": "integer", "description": "How long.\nDefault: 30 days\nor more."},
            },
            "required": ["name"],
        });
        let text = options(&schema, &["own"]).to_string();
        for words in [
            r#"name = lib.mkOption { type = lib.types.str; example = "a"; description = "Its \${name}."; };"#,
            "size = lib.mkOption { type = lib.types.nullOr (lib.types.oneOf [ lib.types.str lib.types.ints.unsigned ]); default = null;",
            r#"lib.types.nullOr (lib.types.enum [ "off" ])"#,
            r#"default = null; defaultText = lib.literalMD "30 days or more (null)"; description = "How long.";"#,
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(!text.contains("own"));
    }
}

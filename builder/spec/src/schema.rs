//! The schema of `mail.toml`, for editors and for ourselves.
//!
//! In: the types of [`file`](crate::file). Out: JSON Schema (draft 2020-12). The reader refuses
//! unknown keys and wrong types by this very schema, so an editor and `mailkiln check` agree.

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

use crate::file::MailToml;

/// The JSON schema of `mail.toml`, ending in a line feed. The same text at every call.
pub fn json_schema() -> String {
    let mut schema = of::<MailToml>().to_value();
    // Sorted keys, whatever order the generator and its map choose.
    schema.sort_all_objects();
    format!("{schema:#}\n")
}

/// The schema of any file type, with every table in its place instead of behind a reference.
pub(crate) fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<T>()
}

/// Takes out what `Option` puts in: TOML has no null.
fn without_null(schema: &mut Schema) {
    schema.remove("default");
    let Some(types) = schema.get_mut("type") else { return };
    if let Value::Array(list) = types {
        list.retain(|name| name != "null");
        if let [only] = list.as_slice() {
            *types = only.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/mail.schema.json` is what editors load; run with `UPDATE_SCHEMA=1` to write it anew.
    #[test]
    fn the_committed_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mail.schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, json_schema()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == json_schema(),
            "docs/mail.schema.json is not current: UPDATE_SCHEMA=1 cargo test -p mailkiln-spec"
        );
    }

    #[test]
    fn every_key_has_a_description() {
        fn visit(path: &str, schema: &Value) {
            for (key, property) in
                schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                let path = format!("{path}.{key}");
                assert!(property.get("description").is_some(), "{path} has no description");
                visit(&path, property);
                visit(&path, property.get("items").unwrap_or(&Value::Null));
            }
        }
        visit("", &of::<MailToml>().to_value());
    }
}

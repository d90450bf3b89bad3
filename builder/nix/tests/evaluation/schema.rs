//! Whatever `mail.toml` can say, a host can, or it is said why not.

use std::collections::BTreeSet;

use mailkiln_nix::IMAGE_ONLY;
use serde_json::Value as Json;

use super::specs::all;

/// Each key of the schema by its path; lists have no part of their own in it.
fn keys(at: &str, schema: &Json, found: &mut BTreeSet<String>) {
    let table = schema.get("items").unwrap_or(schema);
    match table.get("properties").and_then(Json::as_object) {
        None => drop(found.insert(at.to_owned())),
        Some(properties) => {
            for (key, schema) in properties {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                keys(&path, schema, found);
            }
        }
    }
}

fn said(at: &str, value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                said(&path, value, found);
            }
        }
        toml::Value::Array(list) if list.iter().all(toml::Value::is_table) => {
            list.iter().for_each(|value| said(at, value, found));
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

/// `units.rs` evaluates hosts of these texts and compares them with images: a key that is new in the
/// schema has to be said in one of them, or to stand in the list of those that only images know.
#[test]
fn every_key_is_tried_or_is_an_images_own() {
    let schema = serde_json::from_str(&mailkiln_spec::json_schema()).unwrap();
    let (mut possible, mut tried) = (BTreeSet::new(), BTreeSet::new());
    keys("", &schema, &mut possible);
    all().iter().for_each(|text| said("", &toml::from_str(text).unwrap(), &mut tried));
    let of_images = |key: &String| {
        IMAGE_ONLY.iter().any(|(path, _)| {
            key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    for keys in [&mut possible, &mut tried] {
        keys.retain(|key| !of_images(key));
    }
    assert_eq!(tried, possible);
}

//! Values keep what they are on their way through Nix.

use mailkiln_nix::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use super::Nix;

/// Any value that both TOML and Nix have, with all that is special in Nix's strings and names.
fn values() -> impl Strategy<Value = toml::Value> {
    let text = "(\\$|\\{|\\}|''|\"|\\\\|\n|\r|\t|[a-z]|ä|例|\u{1F4E7}|/|\\.|\\PC){0,12}";
    let leaf = prop_oneof![
        any::<bool>().prop_map(toml::Value::Boolean),
        any::<i64>().prop_map(toml::Value::Integer),
        (-1e9..1e9).prop_map(toml::Value::Float),
        text.prop_map(toml::Value::String),
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        let name = prop_oneof![text, "in|or|with|a-b|_x'|1a|".prop_map(String::from)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::Array),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|map| toml::Value::Table(map.into_iter().collect())),
        ]
    })
}

fn same(found: &Json, given: &toml::Value) -> bool {
    match (found, given) {
        // Nix prints six digits of a number with a decimal point.
        (Json::Number(found), toml::Value::Float(given)) => {
            found.as_f64().is_some_and(|found| (found - given).abs() <= given.abs() * 1e-5)
        }
        (Json::Array(found), toml::Value::Array(given)) => {
            found.len() == given.len() && found.iter().zip(given).all(|(a, b)| same(a, b))
        }
        (Json::Object(found), toml::Value::Table(given)) => {
            found.len() == given.len()
                && given.iter().all(|(key, b)| found.get(key).is_some_and(|a| same(a, b)))
        }
        (found, given) => *found == json!(given),
    }
}

#[test]
fn any_value_is_the_same_in_nix() {
    let Some(nix) = Nix::here() else { return };
    let mut runner = TestRunner::deterministic();
    let given: Vec<toml::Value> =
        (0..400).map(|_| values().new_tree(&mut runner).unwrap().current()).collect();
    let list = Value::from_json(&json!(given)).unwrap();
    let found = nix.json(&list.to_string()).unwrap();
    for (found, given) in found.as_array().unwrap().iter().zip(&given) {
        assert!(same(found, given), "{given} became {found}");
    }
    assert_eq!(found.as_array().unwrap().len(), given.len());
}

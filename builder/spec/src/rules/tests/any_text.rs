//! Any text is judged without a panic, and every problem has its place.

use proptest::prelude::*;

use crate::parse;

/// Pieces that make text which often gets past the TOML parser.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[host]\n".to_owned()),
        Just("[[domain]]\n".to_owned()),
        Just("[[account]]\n".to_owned()),
        Just("[network]\n".to_owned()),
        Just("[relay]\n".to_owned()),
        Just("[spam]\n".to_owned()),
        Just("[mail]\n".to_owned()),
        Just("[ssh]\n".to_owned()),
        "(name|address|aliases|quota|gateways|addresses|port|keys|junk_score|tls|host|catch_all)",
        Just(" = ".to_owned()),
        "-?[0-9]{1,30}(\\.[0-9]{1,5})?\n",
        "\"\\PC{0,20}\"\n",
        "\"[a-z.@]{0,12}\"\n",
        "\\[\"[0-9a-f:./]{0,12}\"\\]\n",
        "(\\[|\\]|\\{|\\}|true|\n)",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Every span must be one that a report can cut out of the text.
fn judge_any(text: &str) {
    if let Err(errors) = parse(text) {
        assert!(!errors.problems().is_empty());
        for problem in errors.problems() {
            assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
            assert!(!problem.help.is_empty() && !problem.label.is_empty());
            assert!(!problem.message.contains(char::is_control), "{problem:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_judged(text in "\\PC{0,200}") {
        judge_any(&text);
    }

    #[test]
    fn text_that_is_nearly_right_is_judged(text in pieces()) {
        judge_any(&text);
    }

    #[test]
    fn altered_examples_are_judged(
        generic: bool, at in 0usize..4000, byte in any::<char>(), cut in 0usize..20,
    ) {
        let text = if generic { crate::GENERIC } else { crate::DEFAULT };
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.ceil_char_boundary((start + cut).min(text.len()));
        judge_any(&format!("{}{byte}{}", &text[..start], &text[end..]));
    }
}

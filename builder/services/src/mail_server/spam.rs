//! The spam filter's thresholds and block lists. Its rules and scores are a file of their own.

use mailkiln_spec::{DomainName, Spam};

use super::settings::{Section, Value, constant};

/// Points for an address on one list: short of the usual threshold, since lists err.
const LISTED: &str = "4.0";

pub(super) fn sections(spam: &Spam) -> Vec<Section> {
    let reject = spam.reject_score.map_or_else(|| "0.0".to_owned(), tenths);
    let mut sections = vec![
        Section::new(
            "spam-filter",
            "Nothing is downloaded, and no digest of mail is sent to anybody (Pyzor).",
        )
        .set("enable", true)
        .set("auto-update", false)
        .set("pyzor.enable", false),
        Section::new("spam-filter.score", "0.0 is never.")
            .set("spam", Value::Text(tenths(spam.junk_score)))
            .set("reject", Value::Text(reject))
            .set("discard", "0.0"),
    ];
    if !spam.dnsbl.is_empty() {
        sections.extend(spam.dnsbl.iter().map(|zone| block_list(zone.as_str(), &tag(zone))));
        let scores = Section::new("spam-filter.list.scores", "");
        sections.push(spam.dnsbl.iter().fold(scores, |all, zone| all.set(tag(zone), LISTED)));
    }
    sections
}

fn tag(zone: &DomainName) -> String {
    format!("DNSBL_{}", zone.as_str().to_ascii_uppercase().replace(['.', '-'], "_"))
}

/// RFC 5782 section 2.1: listed addresses answer with 127/8. 127.255/16 is how operators say
/// that they do not answer this resolver: not a verdict on the sender.
fn block_list(zone: &str, tag: &str) -> Section {
    let listed = "octets[0] == 127 && octets[1] != 255";
    Section::item("spam-filter.dnsbl.server", tag, "")
        .set("zone", format!("ip_reverse + {}", constant(&format!(".{zone}"))))
        .set("scope", "ip")
        .set("tag", super::settings::when(listed, &constant(tag), "false"))
}

/// `-15` is `-1.5`.
fn tenths(score: i32) -> String {
    let sign = if score < 0 { "-" } else { "" };
    let absolute = score.unsigned_abs();
    format!("{sign}{}.{}", absolute / 10, absolute % 10)
}

#[cfg(test)]
mod tests {
    use super::tenths;

    #[test]
    fn scores_are_written_in_tenths() {
        for (score, text) in [(50, "5.0"), (0, "0.0"), (-5, "-0.5"), (-15, "-1.5"), (123, "12.3")] {
            assert_eq!(tenths(score), text);
        }
    }
}

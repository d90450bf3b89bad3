//! Presets: which units are enabled when nobody says anything.
//!
//! In: `*.preset` files. Out: yes or no for a unit's name. Format: systemd.preset(5); the first
//! matching line decides. Unlike systemd, a unit that no line names stays disabled: Debian's
//! scripts enable what they ship, ours is an appliance.

/// One line of a preset file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    enable: bool,
    pattern: String,
}

/// The rules in order of priority.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Presets(Vec<Rule>);

impl Presets {
    /// Adds the rules of a file, of less priority than those before. The error is the line's
    /// number and what is wrong with it.
    pub(super) fn add(&mut self, text: &str) -> Result<(), (usize, String)> {
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split_whitespace();
            let enable = match words.next() {
                Some("enable") => true,
                Some("disable" | "ignore") => false,
                Some(word) if !word.starts_with(['#', ';']) => {
                    let why =
                        format!("`{word}` is not a directive; expected enable, disable or ignore");
                    return Err((number, why));
                }
                _ => continue,
            };
            let Some(pattern) = words.next().map(str::to_owned) else {
                return Err((number, "the unit's name is missing".to_owned()));
            };
            self.0.push(Rule { enable, pattern });
        }
        Ok(())
    }

    /// Whether `unit` is to be enabled.
    pub(super) fn enables(&self, unit: &str) -> bool {
        self.0.iter().find(|rule| matches(&rule.pattern, unit)).is_some_and(|rule| rule.enable)
    }
}

/// fnmatch(3) with `*` and `?`, the only wildcards that preset files use.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, n) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_decides_and_unnamed_units_stay_off() {
        let mut presets = Presets::default();
        presets.add("# x\n\nenable a.service\ndisable a.*\nenable getty@.service\n").unwrap();
        presets.add("enable *.timer\ndisable b.timer\n").unwrap();
        for (unit, on) in [
            ("a.service", true),
            ("a.socket", false),
            ("getty@.service", true),
            ("b.timer", true),
            ("c.service", false),
        ] {
            assert_eq!(presets.enables(unit), on, "{unit}");
        }
        assert_eq!(presets.add("enable\n").unwrap_err().0, 1);
        assert_eq!(presets.add("\nenabel x\n").unwrap_err().0, 2);
    }

    #[test]
    fn wildcards() {
        for (pattern, name, same) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*a*a", "aaaa", true),
            ("a?c", "ac", false),
            ("systemd-journal-remote.*", "systemd-journal-remote.socket", true),
        ] {
            assert_eq!(matches(pattern, name), same, "{pattern} {name}");
        }
    }
}

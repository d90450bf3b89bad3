//! The `[Install]` section of a unit file.
//!
//! In: the text of a unit and its drop-ins. Out: what enabling it means. Format: systemd.unit(5),
//! "[Install] section options", and systemd.syntax(7).

/// What a unit's `[Install]` section says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Install {
    pub(super) alias: Vec<String>,
    pub(super) wanted_by: Vec<String>,
    pub(super) required_by: Vec<String>,
    pub(super) upheld_by: Vec<String>,
    pub(super) also: Vec<String>,
    pub(super) default_instance: Option<String>,
}

impl Install {
    /// Adds what `text`, a unit file or one of its drop-ins, says.
    pub(super) fn add(&mut self, text: &str) {
        let mut inside = false;
        for line in join_continued(text) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                inside = section == "Install";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
            let (key, value) = (key.trim(), value.trim());
            let list = match key {
                "Alias" => &mut self.alias,
                "WantedBy" => &mut self.wanted_by,
                "RequiredBy" => &mut self.required_by,
                "UpheldBy" => &mut self.upheld_by,
                "Also" => &mut self.also,
                "DefaultInstance" => {
                    self.default_instance = (!value.is_empty()).then(|| value.to_owned());
                    continue;
                }
                _ => continue,
            };
            if value.is_empty() {
                list.clear();
            }
            list.extend(value.split_whitespace().map(str::to_owned));
        }
    }

    /// Whether there is anything to enable.
    pub(super) fn is_empty(&self) -> bool {
        let Self { alias, wanted_by, required_by, upheld_by, also, .. } = self;
        [alias, wanted_by, required_by, upheld_by, also].iter().all(|list| list.is_empty())
    }
}

/// The lines without comments; one that ends in `\` goes on in the next.
fn join_continued(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(begin) => {
                current.push_str(begin);
                current.push(' ');
            }
            None => {
                current.push_str(line);
                lines.push(std::mem::take(&mut current));
            }
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_install_section_counts_and_an_empty_value_resets() {
        let mut install = Install::default();
        install.add(
            "[Unit]\nWantedBy=no.target\n[Install]\n# Alias=no\nWantedBy=a.target \\\n; no\n  b.target\n\
             Alias = x.service y.service\nDefaultInstance=tty1\n[X-Other]\nAlso=no\n",
        );
        assert_eq!(install.wanted_by, ["a.target", "b.target"]);
        assert_eq!(install.alias, ["x.service", "y.service"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
        assert!(install.also.is_empty());
        install.add("[Install]\nWantedBy=\nWantedBy=c.target\n");
        assert_eq!(install.wanted_by, ["c.target"]);
    }
}

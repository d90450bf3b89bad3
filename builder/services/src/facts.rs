//! [`TargetFacts`] as a file: an image carries what it was made for, so that its agent can render the services
//! again with a fragment.
//!
//! In: facts, or the text. Out: the other of both. What a host decides is not in it: hosts have no fragments.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{HostFacts, SlotSizes, TargetFacts};

/// The text is not what [`TargetFacts::to_json`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the image's facts have no `{0}`: the image and its agent are of different versions")]
pub struct FactsError(&'static str);

impl TargetFacts {
    /// The facts as text: keys sorted, a newline at the end.
    pub fn to_json(&self) -> String {
        let facts = json!({
            "consoles": self.consoles,
            "recorded_consoles": self.recorded_consoles,
            "password_page": self.password_page,
            "root_bytes": self.slots.root,
            "verity_bytes": self.slots.verity,
            "watchdog_seconds": self.watchdog.map(|watchdog| watchdog.as_secs()),
            "time_servers": self.time_servers,
            "worn_by_writes": self.worn_by_writes,
            "wireless": self.wireless,
        });
        format!("{facts:#}\n")
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`FactsError`].
    pub fn from_json(text: &str) -> Result<Self, FactsError> {
        let facts: Value = serde_json::from_str(text).map_err(|_| FactsError("JSON"))?;
        let texts = |name: &'static str| -> Result<Vec<String>, FactsError> {
            let list = facts.get(name).and_then(Value::as_array).ok_or(FactsError(name))?;
            Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        };
        let flag =
            |name: &'static str| facts.get(name).and_then(Value::as_bool).ok_or(FactsError(name));
        let number =
            |name: &'static str| facts.get(name).and_then(Value::as_u64).ok_or(FactsError(name));
        Ok(Self {
            consoles: texts("consoles")?,
            recorded_consoles: texts("recorded_consoles")?,
            password_page: flag("password_page")?,
            slots: SlotSizes { root: number("root_bytes")?, verity: number("verity_bytes")? },
            watchdog: number("watchdog_seconds").ok().map(Duration::from_secs),
            time_servers: texts("time_servers")?,
            worn_by_writes: flag("worn_by_writes")?,
            wireless: flag("wireless")?,
            host: HostFacts::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_the_way_through_an_image() {
        for watchdog in [None, Some(Duration::from_secs(15))] {
            let facts = TargetFacts {
                consoles: vec!["/dev/tty1".to_owned(), "/dev/ttyS0".to_owned()],
                recorded_consoles: vec!["/dev/ttyS0".to_owned()],
                password_page: true,
                slots: SlotSizes { root: 384 << 20, verity: 4 << 20 },
                watchdog,
                time_servers: vec!["169.254.169.123".to_owned()],
                worn_by_writes: false,
                wireless: true,
                host: HostFacts::default(),
            };
            assert_eq!(TargetFacts::from_json(&facts.to_json()), Ok(facts));
        }
        assert_eq!(TargetFacts::from_json("{}"), Err(FactsError("consoles")));
    }
}

//! Tells Azure that the machine is up; without it Azure ends the deployment as failed after twenty minutes.
//!
//! In: the wireserver's goal state. Out: the report `Ready`. Protocol: as afterburn and cloud-init speak it,
//! version 2012-11-30; Microsoft documents it in the source of the Azure Linux agent.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::fetch::{Client, FetchError, fetch};
use super::source::{Place, Request, Service};
use super::{FirstBoot, SourceError, answers::Answers};
use crate::deadline::Deadline;

const VERSION: (&str, &str) = ("x-ms-version", "2012-11-30");
const AGENT: (&str, &str) = ("x-ms-agent-name", "mailkiln");
const HEALTH: &str = "/machine/?comp=health";

/// A public address that Azure keeps for this; DHCP's option 245 names it too.
pub(super) const SERVICE: Service = Service {
    places: &[Place {
        host: "168.63.129.16",
        address: IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    }],
    headers: &[VERSION, AGENT],
    proof: None,
    token: None,
    again: &[404, 410],
    requests: &[Request {
        name: "goalstate",
        path: "/machine/?comp=goalstate",
        needed: true,
        each: None,
    }],
    parse,
};

/// Which machine reports what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GoalState {
    container: String,
    instance: String,
    incarnation: String,
}

/// The goal state travels as the instance of a [`FirstBoot`]: three words, none of which has a slash.
fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let state = GoalState::parse(answers.needed("goalstate")?)?;
    let mut found = FirstBoot::of("azure");
    found.instance = Some(format!("{}/{}/{}", state.container, state.instance, state.incarnation));
    Ok(found)
}

impl GoalState {
    fn parse(text: &str) -> Result<Self, SourceError> {
        const NAME: &str = "goalstate";
        let limits = roxmltree::ParsingOptions { nodes_limit: 4096, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(text, limits)
            .map_err(|error| SourceError::nonsense(NAME, format!("no XML at {}", error.pos())))?;
        let of = |name: &'static str| {
            let mut nodes = document.descendants().filter(|node| node.tag_name().name() == name);
            let text = nodes.find_map(|node| node.text()).unwrap_or_default().trim().to_owned();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            let sound = !text.is_empty() && text.len() <= 128 && text.bytes().all(plain);
            if sound { Ok(text) } else { Err(SourceError::Missing(name)) }
        };
        Ok(Self {
            container: of("ContainerId")?,
            instance: of("InstanceId")?,
            incarnation: of("Incarnation")?,
        })
    }

    fn report(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Health><GoalStateIncarnation>{}</GoalStateIncarnation>\
             <Container><ContainerId>{}</ContainerId><RoleInstanceList><Role><InstanceId>{}</InstanceId>\
             <Health><State>Ready</State></Health></Role></RoleInstanceList></Container></Health>",
            self.incarnation, self.container, self.instance
        )
    }
}

/// Reports `Ready`.
///
/// # Errors
/// [`FetchError`] when the wireserver does not answer or does not take it.
pub fn ready(sys: &Path, deadline: Deadline) -> Result<(), FetchError> {
    loop {
        let found = fetch(&SERVICE, sys, deadline)?;
        let words = found.instance.unwrap_or_default();
        let [container, instance, incarnation] =
            [0, 1, 2].map(|at| words.split('/').nth(at).unwrap_or_default().to_owned());
        let report = GoalState { container, instance, incarnation }.report();
        let client = Client::find(&SERVICE, sys, deadline)?;
        let kind = [("Content-Type", "text/xml; charset=utf-8")];
        match client.post(HEALTH, &kind, &report) {
            Some(200..300) => return Ok(()),
            // A new goal state came in between, or it is busy.
            status if deadline.is_over() => {
                return Err(match status {
                    Some(status) => FetchError::Refused { path: HEALTH.to_owned(), status },
                    None => FetchError::Silent("no answer to the report".to_owned()),
                });
            }
            _ => std::thread::sleep(std::time::Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_state_becomes_a_report_and_nothing_of_it_becomes_markup() {
        let text = "<?xml version=\"1.0\"?><GoalState><Version>2012-11-30</Version><Incarnation>1</Incarnation><Container>\
                    <ContainerId>c-1</ContainerId><RoleInstanceList><RoleInstance><InstanceId>i_2</InstanceId></RoleInstance>\
                    </RoleInstanceList></Container></GoalState>";
        let report = GoalState::parse(text).unwrap().report();
        for part in ["<ContainerId>c-1<", "<InstanceId>i_2<", "Incarnation>1<", "<State>Ready<"] {
            assert!(report.contains(part), "{report}");
        }
        for (from, to) in [("c-1", "&lt;x&gt;"), ("i_2", ""), ("GoalState>", "x>")] {
            let altered = text.replacen(from, to, 1);
            assert!(GoalState::parse(&altered).is_err(), "{altered}");
        }
        assert!(GoalState::parse("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>").is_err());
    }
}

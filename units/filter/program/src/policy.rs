//! What is done about which kind of finding, for which domain.
//!
//! In: findings, recipients and who sent it. Out: a [`Verdict`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mailkiln_inspect::{Class, Finding};

/// What is done, from the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing but a line in the journal.
    Pass,
    /// The message gets header fields that say what was found.
    Mark,
    /// The part is replaced by a text that says what was taken out.
    Strip,
    /// The message is kept on the appliance until somebody decides.
    Quarantine,
    /// The message is refused; whoever sent it is told.
    Reject,
}

impl Action {
    /// Every action, the mildest first.
    pub const ALL: [Self; 5] =
        [Self::Pass, Self::Mark, Self::Strip, Self::Quarantine, Self::Reject];

    /// As settings write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Mark => "mark",
            Self::Strip => "strip",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that is no action.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no action; write pass, mark, strip, quarantine or reject")]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

/// An action for each class of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy(BTreeMap<String, Action>);

impl Policy {
    /// A policy from class names and actions.
    pub fn new(actions: BTreeMap<String, Action>) -> Self {
        Self(actions)
    }

    /// This policy with the actions of `other` where that has some.
    #[must_use]
    pub fn overlaid(&self, other: &Self) -> Self {
        let mut actions = self.0.clone();
        actions.extend(other.0.iter().map(|(class, action)| (class.clone(), *action)));
        Self(actions)
    }

    /// What is done about findings of `class`. A class that no setting names is quarantined: the
    /// filter has learnt something that the settings do not know yet.
    pub fn action(&self, class: Class) -> Action {
        self.0.get(class.as_str()).copied().unwrap_or(Action::Quarantine)
    }

    /// What is done about a finding. What is in no single part can't be taken out: such a message
    /// is quarantined instead.
    fn about(&self, finding: &Finding) -> Action {
        match self.action(finding.class) {
            Action::Strip if finding.part.is_none() => Action::Quarantine,
            action => action,
        }
    }

    /// The strictest action that the findings ask for.
    fn of(&self, findings: &[Finding]) -> Action {
        let actions = findings.iter().map(|finding| self.about(finding));
        actions.max().unwrap_or(Action::Pass)
    }
}

/// The policies of all domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// For domains without one of their own, and for mail that leaves.
    pub general: Policy,
    /// By domain, lower case.
    pub domains: BTreeMap<String, Policy>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The strictest action among its recipients: what the journal and the answer say.
    pub action: Action,
    /// The recipients whose copy is quarantined; the others get theirs.
    pub quarantined: Vec<String>,
    /// Whether those who get it see marks.
    pub marked: bool,
    /// Indices of findings whose part is taken out.
    pub stripped: Vec<usize>,
}

impl Verdict {
    /// The verdict where the sender's domain does not stand for the message: a container that
    /// nobody could look into is quarantined then, where it would be marked.
    #[must_use]
    pub fn doubting(mut self, findings: &[Finding], recipients: &[String]) -> Self {
        let is_closed = findings.iter().any(|finding| finding.class == Class::Opaque);
        if is_closed && matches!(self.action, Action::Mark | Action::Strip) {
            self.action = Action::Quarantine;
            self.quarantined = recipients.to_vec();
        }
        self
    }
}

impl Policies {
    /// The policy of an address's domain, if settings name that domain.
    fn own(&self, address: &str) -> Option<&Policy> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.domains.get(&domain.to_ascii_lowercase())
    }

    /// The policies that a recipient's copy is held against.
    fn over<'a>(&'a self, recipient: &str, sender: Option<&str>) -> Vec<&'a Policy> {
        let Some(sender) = sender else {
            return vec![self.own(recipient).unwrap_or(&self.general)];
        };
        // A recipient elsewhere has no policy here.
        let from = self.own(sender).unwrap_or(&self.general);
        std::iter::once(from).chain(self.own(recipient)).collect()
    }

    /// Decides over a message; `sender` is the envelope sender of somebody who has logged in.
    ///
    /// SMTP has one answer for all recipients, so that one who refuses refuses for all. A
    /// quarantine is a recipient's own: the others get their copy. Of those, the strictest wins:
    /// there is one text of the message.
    ///
    /// What somebody who has logged in sends is judged by the policy of the sender's domain (an
    /// infected machine must not send to the world what its own domain would refuse) and of the
    /// recipient's, if that is ours too. It is refused instead of quarantined: the sender sits in
    /// front of it and can act.
    pub fn decide(
        &self,
        findings: &[Finding],
        sender: Option<&str>,
        recipients: &[String],
    ) -> Verdict {
        let copies: Vec<(&String, Vec<&Policy>, Action)> = recipients
            .iter()
            .map(|recipient| {
                let policies = self.over(recipient, sender);
                let action = policies.iter().map(|it| it.of(findings)).max();
                let action = match action.unwrap_or(Action::Pass) {
                    Action::Quarantine if sender.is_some() => Action::Reject,
                    action => action,
                };
                (recipient, policies, action)
            })
            .collect();
        let action = copies.iter().map(|copy| copy.2).max().unwrap_or(Action::Pass);
        let (kept, going): (Vec<_>, Vec<_>) =
            copies.iter().partition(|copy| copy.2 == Action::Quarantine);
        let quarantined = match action {
            Action::Reject => Vec::new(),
            _ => kept.iter().map(|copy| copy.0.clone()).collect(),
        };
        let asks = |finding: &Finding, action: Action| {
            let mut policies = going.iter().flat_map(|copy| &copy.1);
            policies.any(|policy| policy.about(finding) == action)
        };
        let stripped: Vec<usize> = findings
            .iter()
            .enumerate()
            .filter(|(_, finding)| asks(finding, Action::Strip))
            .map(|(index, _)| index)
            .collect();
        let marked =
            !stripped.is_empty() || findings.iter().any(|finding| asks(finding, Action::Mark));
        Verdict { action, quarantined, marked, stripped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(actions: &[(Class, Action)]) -> Policy {
        Policy::new(actions.iter().map(|(class, it)| (class.as_str().to_owned(), *it)).collect())
    }

    fn policies() -> Policies {
        let general = policy(&[
            (Class::Malware, Action::Reject),
            (Class::Executable, Action::Quarantine),
            (Class::Macro, Action::Mark),
            (Class::Script, Action::Pass),
            (Class::Shortcut, Action::Strip),
        ]);
        let lax = general.overlaid(&policy(&[(Class::Executable, Action::Pass)]));
        Policies { general, domains: [("lax.example".to_owned(), lax)].into() }
    }

    fn finding(class: Class) -> Finding {
        Finding { class, part: Some(0), place: vec!["a".into()], reason: "b".into() }
    }

    fn decide(classes: &[Class], sender: Option<&str>, recipients: &[&str]) -> Verdict {
        let findings: Vec<Finding> = classes.iter().copied().map(finding).collect();
        let recipients: Vec<String> = recipients.iter().map(|&it| it.to_owned()).collect();
        policies().decide(&findings, sender, &recipients)
    }

    #[test]
    fn a_clean_message_is_left_alone() {
        let clean =
            Verdict { action: Action::Pass, quarantined: vec![], marked: false, stripped: vec![] };
        assert_eq!(decide(&[], None, &["a@x.example"]), clean);
        assert_eq!(decide(&[Class::Script], None, &["a@x.example"]), clean);
    }

    #[test]
    fn one_who_refuses_refuses_for_all() {
        let verdict = decide(&[Class::Malware, Class::Executable], None, &["a@lax.example", "b@x"]);
        assert_eq!(verdict.action, Action::Reject);
        assert!(verdict.quarantined.is_empty());
    }

    #[test]
    fn a_quarantine_is_a_recipients_own() {
        let verdict = decide(&[Class::Executable], None, &["a@LAX.example", "b@x.example"]);
        assert_eq!(verdict.action, Action::Quarantine);
        assert_eq!(verdict.quarantined, ["b@x.example"]);
        assert!(!verdict.marked);
        let verdict = decide(&[Class::Executable, Class::Macro], None, &["a@lax.example", "b@x"]);
        assert!(verdict.marked);
    }

    #[test]
    fn only_the_parts_that_policy_names_are_stripped() {
        let verdict = decide(&[Class::Macro, Class::Shortcut], None, &["b@x.example"]);
        assert_eq!((verdict.action, verdict.stripped), (Action::Strip, vec![1]));
        assert!(verdict.marked);
    }

    #[test]
    fn what_is_in_no_part_is_quarantined_instead_of_stripped() {
        let nowhere = Finding { part: None, ..finding(Class::Shortcut) };
        let verdict = policies().decide(&[nowhere], None, &["b@x.example".to_owned()]);
        assert_eq!((verdict.action, verdict.stripped), (Action::Quarantine, vec![]));
    }

    #[test]
    fn what_users_send_is_refused_instead_of_quarantined() {
        let verdict = decide(&[Class::Executable], Some("me@x.example"), &["you@far.example"]);
        assert_eq!(verdict.action, Action::Reject);
        // The sender's own domain is asked too, and the recipient's still counts.
        let verdict = decide(&[Class::Executable], Some("me@x.example"), &["a@lax.example"]);
        assert_eq!(verdict.action, Action::Reject);
        for recipient in ["a@lax.example", "you@far.example"] {
            let verdict = decide(&[Class::Executable], Some("me@lax.example"), &[recipient]);
            assert_eq!(verdict.action, Action::Pass, "{recipient}");
        }
    }

    #[test]
    fn a_class_without_a_setting_is_quarantined() {
        assert_eq!(policies().general.action(Class::Damaged), Action::Quarantine);
    }

    #[test]
    fn actions_have_their_names() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
        assert!("drop".parse::<Action>().is_err());
        assert!(Action::ALL.is_sorted());
    }
}

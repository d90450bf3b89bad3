//! From what is declared, recorded and found to steps.

use super::*;
use crate::api::OneOrMany;
use crate::appliance::tests::example;
use crate::provisioned::Suspension;

const NOW: i64 = 1_800_000_000;

#[test]
fn addresses_of_accounts() {
    let mut appliance = example();
    // alice is the catch-all of example.org, and owns no more of it for that.
    assert_eq!(
        wanted_emails(&appliance.accounts[0]),
        ["alice@example.org", "postmaster@example.org"]
    );
    assert_eq!(wanted_emails(&appliance.accounts[1]), ["bob@example.net"]);
    // A catch-all may name an alias.
    appliance.domains[1].catch_all = Some(appliance.postmaster.clone());
    assert_eq!(dangling_catch_alls(&appliance), []);
    appliance.accounts.clear();
    assert_eq!(
        dangling_catch_alls(&appliance),
        [("example.org", "alice@example.org"), ("example.net", "postmaster@example.org")]
    );
}

#[test]
fn only_what_is_missing() {
    let wanted = ["a@x.org", "b@x.org", "@x.org"].map(str::to_owned);
    let has = ["B@x.org", "by-hand@x.org"].map(str::to_owned);
    assert_eq!(missing_emails(&wanted, &has), ["a@x.org", "@x.org"]);
    assert_eq!(missing_emails(&wanted, &wanted), Vec::<&str>::new());
}

/// A server that does what it is told, as far as the steps go.
#[derive(Default)]
struct Server {
    found: Found,
    record: Record,
}

impl Server {
    /// Carries out a plan, and returns it as it is printed.
    fn follow(&mut self, appliance: &Appliance, now: i64) -> Vec<String> {
        let first = self.record == Record::default();
        let steps = plan(appliance, &self.record, &self.found, now);
        for step in &steps {
            self.carry_out(appliance, step, now);
        }
        for account in &appliance.accounts {
            let name = account.address.to_string();
            let is_made =
                |step: &Step| matches!(step, Step::MakeAccount { account, .. } if *account == name);
            let made = first || steps.iter().any(is_made);
            let known = self.record.accounts.get(&name);
            let created = known.map_or(made, |known| known.created);
            let record = recorded(account, created, known, &self.found.accounts[&name]);
            self.record.accounts.insert(name, record);
        }
        self.record.domains.extend(appliance.domains.iter().map(|it| it.name.to_string()));
        steps.iter().map(ToString::to_string).collect()
    }

    fn carry_out(&mut self, appliance: &Appliance, step: &Step, now: i64) {
        let found = &mut self.found;
        match step.clone() {
            Step::MakeDomain(name) => drop(found.domains.insert(name)),
            Step::DeleteDomain(name) => {
                found.domains.remove(&name);
                self.record.domains.remove(&name);
            }
            Step::Forget(account) => drop(self.record.accounts.remove(&account)),
            Step::DeleteAccount(account) => {
                found.accounts.remove(&account);
                self.record.accounts.remove(&account);
            }
            Step::MakeAccount { account, index } => {
                let declared = &appliance.accounts[index];
                let principal = principal(&[&account], &declared.name, declared.quota.unwrap_or(0));
                found.accounts.insert(account, principal);
            }
            Step::Suspend { account, .. } => {
                let principal = found.accounts.get_mut(&account).unwrap();
                let emails = principal.emails.as_slice().to_vec();
                match appliance.removed.mail {
                    RemovedMail::Refuse => principal.emails = OneOrMany::default(),
                    RemovedMail::Defer => principal.quota = SUSPENDED_QUOTA,
                }
                let permissions = SUSPENDED.map(str::to_owned).to_vec();
                principal.disabled = OneOrMany::Many(permissions.clone());
                let suspended = Suspension { since: now, emails, quota: 1 << 30, permissions };
                self.record.accounts.get_mut(&account).unwrap().suspended = Some(suspended);
            }
            Step::Resume(account) => {
                let principal = found.accounts.get_mut(&account).unwrap();
                let known = self.record.accounts.get_mut(&account).unwrap();
                let suspended = known.suspended.take().unwrap();
                principal.disabled = OneOrMany::default();
                principal.emails = OneOrMany::Many(suspended.emails);
                principal.quota = suspended.quota;
            }
            Step::RemoveEmail { account, email } => {
                let principal = found.accounts.get_mut(&account).unwrap();
                let mut emails = principal.emails.as_slice().to_vec();
                emails.retain(|it| *it != email);
                principal.emails = OneOrMany::Many(emails);
            }
            Step::AddEmail { account, email } => {
                let principal = found.accounts.get_mut(&account).unwrap();
                let mut emails = principal.emails.as_slice().to_vec();
                emails.push(email);
                principal.emails = OneOrMany::Many(emails);
            }
            Step::SetName { account, name } => {
                found.accounts.get_mut(&account).unwrap().description = name;
            }
            Step::SetQuota { account, quota } => {
                found.accounts.get_mut(&account).unwrap().quota = quota.unwrap_or(0);
            }
        }
    }
}

fn principal(emails: &[&str], name: &str, quota: u64) -> Principal {
    Principal {
        kind: "individual".to_owned(),
        emails: OneOrMany::Many(emails.iter().map(ToString::to_string).collect()),
        description: name.to_owned(),
        quota,
        ..Principal::default()
    }
}

#[test]
fn everything_is_made_once() {
    let (mut server, appliance) = (Server::default(), example());
    assert_eq!(
        server.follow(&appliance, NOW),
        [
            "create the domain example.org",
            "create the domain example.net",
            "create the account alice@example.org",
            "alice@example.org gets the address postmaster@example.org",
            "create the account bob@example.net",
        ]
    );
    assert_eq!(server.follow(&appliance, NOW), Vec::<String>::new());
    assert!(server.record.accounts.values().all(|known| known.created));
}

#[test]
fn what_is_declared_otherwise_is_changed_and_what_was_done_by_hand_stays() {
    let (mut server, mut appliance) = (Server::default(), example());
    server.follow(&appliance, NOW);
    // By hand: an address, a quota where none is declared, an account.
    let alice = server.found.accounts.get_mut("alice@example.org").unwrap();
    alice.emails = OneOrMany::Many(
        ["alice@example.org", "postmaster@example.org", "by-hand@example.org"]
            .map(str::to_owned)
            .to_vec(),
    );
    server.found.accounts.get_mut("bob@example.net").unwrap().quota = 5;
    server
        .found
        .accounts
        .insert("carol@example.org".to_owned(), principal(&["carol@example.org"], "", 0));
    assert_eq!(server.follow(&appliance, NOW), Vec::<String>::new());

    let mut moved = std::mem::take(&mut appliance.accounts[0].aliases);
    appliance.accounts[1].aliases.append(&mut moved);
    appliance.accounts[0].name = "Alice B.".to_owned();
    appliance.accounts[0].quota = None;
    appliance.accounts[1].name = String::new();
    assert_eq!(
        server.follow(&appliance, NOW),
        [
            // First, so that the other one can have it.
            "alice@example.org no longer has the address postmaster@example.org",
            "alice@example.org: name \"Alice B.\"",
            "alice@example.org: no quota",
            "bob@example.net: name \"\"",
            "bob@example.net gets the address postmaster@example.org",
        ]
    );
    assert_eq!(server.follow(&appliance, NOW), Vec::<String>::new());
    let alice = &server.found.accounts["alice@example.org"];
    assert_eq!(alice.emails.as_slice(), ["alice@example.org", "by-hand@example.org"]);
    assert_eq!(server.found.accounts["bob@example.net"].quota, 5);
    assert!(server.found.accounts.contains_key("carol@example.org"));
}

#[test]
fn an_account_taken_out_is_suspended_and_put_back_whole() {
    let (mut server, whole) = (Server::default(), example());
    server.follow(&whole, NOW);
    let before = server.found.accounts["alice@example.org"].clone();
    let mut without = example();
    without.accounts.remove(0);
    let said = server.follow(&without, NOW);
    assert_eq!(
        said,
        [
            "suspend alice@example.org: no sign-in, new mail is refused, its mail is kept until 2027-02-14"
        ]
    );
    assert_eq!(server.follow(&without, NOW), Vec::<String>::new());
    let said = server.follow(&whole, NOW + DAY);
    assert_eq!(said, ["resume alice@example.org: it has its addresses and its mail again"]);
    assert_eq!(server.found.accounts["alice@example.org"], before);
    assert_eq!(server.follow(&whole, NOW + DAY), Vec::<String>::new());
}

#[test]
fn what_was_not_suspended_to_the_end_is_suspended_again() {
    let (mut server, whole) = (Server::default(), example());
    server.follow(&whole, NOW);
    let mut without = example();
    without.accounts.remove(0);
    server.follow(&without, NOW);
    // The power went before the server was asked, or an administrator lifted it.
    server.found.accounts.get_mut("alice@example.org").unwrap().disabled = OneOrMany::default();
    let steps = plan(&without, &server.record, &server.found, NOW + DAY);
    let expected = Step::Suspend {
        account: "alice@example.org".to_owned(),
        mail: RemovedMail::Refuse,
        delete: Some(NOW + 30 * DAY),
    };
    assert_eq!(steps, [expected], "the time counts from the first one");
}

#[test]
fn it_is_deleted_after_its_time_unless_a_person_made_it() {
    let (mut server, whole) = (Server::default(), example());
    server
        .found
        .accounts
        .insert("bob@example.net".to_owned(), principal(&["bob@example.net"], "Bob", 0));
    server.record.domains.insert("example.org".to_owned());
    server.follow(&whole, NOW);
    assert!(!server.record.accounts["bob@example.net"].created);
    let mut without = example();
    without.accounts.clear();
    without.domains.truncate(1);
    server.follow(&without, NOW);
    assert!(!server.found.domains.contains("example.net"));
    let almost = plan(&without, &server.record, &server.found, NOW + 30 * DAY - 1);
    assert_eq!(almost, []);
    let over = server.follow(&without, NOW + 30 * DAY);
    assert_eq!(over, ["delete alice@example.org and its mail"]);
    without.removed.grace_days = None;
    assert_eq!(plan(&without, &server.record, &server.found, i64::MAX), []);
}

#[test]
fn a_clock_that_ran_behind_deletes_nothing() {
    let (mut server, whole) = (Server::default(), example());
    server.follow(&whole, NOW);
    let mut without = example();
    without.accounts.remove(0);
    server.follow(&without, NOW);
    assert_eq!(plan(&without, &server.record, &server.found, 0), []);
}

#[test]
fn what_was_deleted_by_hand_is_forgotten() {
    let (mut server, mut appliance) = (Server::default(), example());
    server.follow(&appliance, NOW);
    server.found.accounts.remove("alice@example.org");
    appliance.accounts.remove(0);
    let said = server.follow(&appliance, NOW);
    assert_eq!(said, ["forget alice@example.org, which was deleted by hand"]);
    assert!(!server.record.accounts.contains_key("alice@example.org"));
}

#[test]
fn what_becomes_of_its_mail_can_be_changed_while_it_is_suspended() {
    let (mut server, whole) = (Server::default(), example());
    server.follow(&whole, NOW);
    let mut without = example();
    without.accounts.remove(0);
    without.removed.mail = RemovedMail::Defer;
    let said = server.follow(&without, NOW);
    assert!(said[0].contains("new mail is deferred"), "{said:?}");
    assert_eq!(server.follow(&without, NOW), Vec::<String>::new());
    without.removed.mail = RemovedMail::Refuse;
    let said = server.follow(&without, NOW);
    assert!(said[0].contains("new mail is refused"), "{said:?}");
    assert_eq!(server.follow(&without, NOW), Vec::<String>::new());
}

#[test]
fn what_could_not_be_taken_back_is_tried_again() {
    let (mut server, mut appliance) = (Server::default(), example());
    server.follow(&appliance, NOW);
    let postmaster = appliance.accounts[0].aliases.pop().unwrap().to_string();
    let name = "alice@example.org";
    // The server refused, so the account still has it.
    let known = server.record.accounts[name].clone();
    let record = recorded(&appliance.accounts[0], true, Some(&known), &server.found.accounts[name]);
    assert_eq!(record.aliases, [postmaster]);
}

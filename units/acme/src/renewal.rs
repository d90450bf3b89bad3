//! One certificate: what is due for it is done, or it is written down why not and when it is tried again.
//!
//! In: its names, its state, what is in use. Out: the certificate in its folder and its state on the medium.
//! The host's certificate must have the host's name; one of a further domain may have any of its names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use instant_acme::{RevocationReason, RevocationRequest};
use mailkiln_store::certificate::Facts;
use mailkiln_store::certificate_folder::Pair;
use mailkiln_store::durable::{self, DurableError};
use mailkiln_store::journal;
use rustls::pki_types::CertificateDer;

use crate::account;
use crate::authority::Patience;
use crate::budget;
use crate::clock::{Clock, DAY, HOUR, Seconds, display};
use crate::key::{self, Key};
use crate::layout::Layout;
use crate::names::{self, Examined};
use crate::order::{self, OrderError, Wanted};
use crate::request::{Reason, Request};
use crate::run::{Outcome, RunError};
use crate::schedule::{self, Due, InUse};
use crate::settings::{Certificate, Settings};
use crate::state::{DNS_PAUSE, Installed, LeftOut, State, Suggested};
use crate::tlsa;

/// Names that the authority refuses are taken out of an order so often in one run.
const ATTEMPTS: usize = 3;

/// Looks after one certificate during one run.
pub(crate) struct Renewal<'a> {
    layout: &'a Layout,
    settings: &'a Settings,
    certificate: &'a Certificate,
    clock: &'a dyn Clock,
    state: State,
    /// Whether another key was asked for.
    new_key: bool,
    /// A file and its text, to be written once those who use the certificate have heard of it.
    pub(crate) untold: Option<(PathBuf, String)>,
}

impl<'a> Renewal<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        settings: &'a Settings,
        certificate: &'a Certificate,
        clock: &'a dyn Clock,
    ) -> Self {
        let mut state = State::read(&layout.state()).at(&settings.directory);
        state.tidy(clock.now());
        Self { layout, settings, certificate, clock, state, new_key: false, untold: None }
    }

    fn is_hosts(&self) -> bool {
        self.certificate.name == self.settings.host
    }

    fn in_use(&self) -> Option<InUse> {
        in_use(self.layout, self.settings, self.certificate.name.as_str())
    }

    fn keep(&self) -> Result<(), DurableError> {
        self.state.write(&self.layout.state())
    }

    /// Does what is due, or what was asked for.
    pub(crate) async fn once(&mut self, request: Option<Request>) -> Result<Outcome, RunError> {
        let in_use = self.in_use();
        self.tell_again(in_use.as_ref())?;
        match request {
            Some(Request::Renew { new_key }) => {
                self.new_key |= new_key;
                return self.order("it was asked for", in_use.as_ref(), true).await;
            }
            Some(Request::Revoke(reason)) => return self.revoke(reason, in_use).await,
            None => {}
        }
        self.suggestion(in_use.as_ref()).await?;
        let spread = in_use.as_ref().map_or(0.0, |it| spread(&it.digest));
        let now = self.clock.now();
        let due = schedule::due(
            self.settings,
            self.certificate,
            &self.state,
            in_use.as_ref(),
            now,
            spread,
        );
        match due {
            Due::Foreign => Ok(Outcome::Foreign),
            Due::Order(reason) => self.order(reason, in_use.as_ref(), false).await,
            Due::Names => self.look_at_names(in_use.as_ref()).await,
            Due::Nothing(_) if self.has_moved().await => {
                self.order("the host has another address now", in_use.as_ref(), false).await
            }
            Due::Nothing(_) => Ok(Outcome::Nothing),
        }
    }

    /// Whether what failed may succeed by now, since the DNS says something else.
    async fn has_moved(&self) -> bool {
        let Some(failing) = &self.state.failing else { return false };
        if failing.addresses.is_empty() {
            return false;
        }
        let host = std::slice::from_ref(&self.settings.host);
        let found = names::examine(self.settings, host, self.layout).await;
        !found.host.is_empty() && found.host != failing.addresses
    }

    /// Those who use the certificate hear of it once more, should the power have gone just before.
    fn tell_again(&mut self, in_use: Option<&InUse>) -> Result<(), DurableError> {
        let (Some(in_use), Some(installed)) = (in_use, &self.state.installed) else {
            return Ok(());
        };
        let told = fs::read_to_string(self.layout.installed()).unwrap_or_default();
        let told = told.lines().next().unwrap_or_default();
        if installed.digest == in_use.digest && told != in_use.digest {
            self.tell(in_use)?;
        }
        Ok(())
    }

    /// A reload for each of many domains would be too many: the run sees to one for all.
    fn tell(&mut self, in_use: &InUse) -> Result<(), DurableError> {
        if !self.is_hosts() {
            self.untold = Some((self.layout.installed(), in_use.digest.clone()));
            return Ok(());
        }
        let record = tlsa::zone_line(self.settings.host.as_str(), &in_use.facts);
        durable::write(&self.layout.tlsa(), record.as_bytes(), 0o644, None)?;
        durable::write(&self.layout.installed(), in_use.digest.as_bytes(), 0o644, None)
    }

    /// When the authority would like the certificate renewed (RFC 9773). That it cannot be asked, or
    /// knows nothing of it, changes nothing.
    async fn suggestion(&mut self, in_use: Option<&InUse>) -> Result<(), DurableError> {
        let now = self.clock.now();
        let Some(in_use) = in_use else { return Ok(()) };
        let ours = self.state.installed.as_ref().is_some_and(|it| it.digest == in_use.digest);
        let asked = self.state.suggested.as_ref().filter(|it| it.digest == in_use.digest);
        if !ours || self.state.failing.is_some() || asked.is_some_and(|it| it.ask > now) {
            return Ok(());
        }
        let Some(identifier) = order::identifier(&in_use.facts) else { return Ok(()) };
        let patience = Patience::default();
        let answer = match account::open(self.layout, self.settings, &patience).await {
            Ok(account) => account.renewal_info(&identifier).await,
            Err(_) => return Ok(()),
        };
        let usual = (0, 0, 6 * HOUR);
        let (start, end, ask) = answer.map_or(usual, |(info, again)| {
            let again = Seconds::try_from(again.as_secs()).unwrap_or(DAY).clamp(HOUR, DAY);
            let window = info.suggested_window;
            (window.start.unix_timestamp(), window.end.unix_timestamp(), again)
        });
        let digest = in_use.digest.clone();
        self.state.suggested = Some(Suggested { digest, start, end, ask: now + ask });
        self.keep()
    }

    /// Names that were left out: a certificate with them as soon as they point here.
    async fn look_at_names(&mut self, in_use: Option<&InUse>) -> Result<Outcome, RunError> {
        let found = names::examine(self.settings, &self.certificate.names, self.layout).await;
        self.sort_in(&found);
        self.state.names_checked = self.clock.now();
        self.keep()?;
        let has = in_use.map(|it| it.facts.names.clone()).unwrap_or_default();
        let gained = self.possible(&found).iter().any(|name| !has.contains(name));
        if gained {
            return self.order("names point here that did not", in_use, false).await;
        }
        Ok(Outcome::Nothing)
    }

    /// Remembers why names are left out, and forgets those that need not be.
    fn sort_in(&mut self, found: &Examined) {
        let mut left_out = BTreeMap::new();
        for (name, reason) in &found.elsewhere {
            let old = self.state.left_out.remove(name);
            let (refused, next) = old.map_or((Vec::new(), 0), |old| (old.refused, old.next));
            left_out.insert(name.clone(), LeftOut { reason: reason.clone(), refused, next });
        }
        // What the authority has refused stays refused for its time, though it points here.
        for name in &found.here {
            if let Some(old) = self.state.left_out.remove(name) {
                left_out.insert(name.clone(), old);
            }
        }
        self.state.left_out = left_out;
    }

    /// The names that an order may have now.
    fn possible(&self, found: &Examined) -> Vec<String> {
        let now = self.clock.now();
        let fine = |name: &&String| {
            let Some(old) = self.state.left_out.get(*name) else { return true };
            // Without the host there is no order at all; its own pauses are those of the orders.
            let paused = old.next > now && **name != self.settings.host.as_str();
            !paused && budget::next_validation(&old.refused, now) <= now
        };
        found.here.iter().filter(fine).cloned().collect()
    }

    /// Whether a certificate for these names is worth having.
    fn is_enough(&self, names: &[String]) -> bool {
        match self.is_hosts() {
            true => names.iter().any(|name| name == self.settings.host.as_str()),
            false => !names.is_empty(),
        }
    }

    async fn order(
        &mut self,
        reason: &str,
        in_use: Option<&InUse>,
        insists: bool,
    ) -> Result<Outcome, RunError> {
        let host = self.settings.host.to_string();
        let found = names::examine(self.settings, &self.certificate.names, self.layout).await;
        self.sort_in(&found);
        self.state.names_checked = self.clock.now();
        if let Some(reason) = found.elsewhere.get(&host) {
            return self.failed(format!("{host}: {reason}"), Some(DNS_PAUSE), &found);
        }
        let mut names = self.possible(&found);
        if insists {
            names.clone_from(&found.here);
        }
        if names.is_empty() && !self.is_hosts() {
            // As with any name that is left out, it is looked at again every hour.
            self.state.failing = None;
            self.keep()?;
            return Ok(Outcome::Nothing);
        }
        if !self.is_enough(&names) {
            let reason = "the authority has refused it several times within an hour";
            return self.failed(format!("{host}: {reason}"), None, &found);
        }
        journal::note(&format!("ordering a certificate for {}: {reason}", names.join(", ")));
        for _ in 0..ATTEMPTS {
            match self.attempt(&names, in_use).await {
                Err(OrderError::Authority(error)) if account::is_forgotten(&error) => {
                    journal::warn("the authority has forgotten the account: making it again");
                    if let Err(error) = account::forget(self.layout) {
                        return self.failed(error.to_string(), None, &found);
                    }
                }
                Ok(pair) => return self.install(&pair, &names),
                Err(OrderError::Write(error)) => return Err(error.into()),
                Err(OrderError::Key(error)) => return Err(error.into()),
                Err(OrderError::Refused(refused)) => {
                    let now = self.clock.now();
                    for (name, reason) in &refused {
                        journal::warn(&format!("{name} is left out: {reason}"));
                        self.state.refused(
                            name,
                            reason.clone(),
                            now,
                            spread(&format!("{name}{now}")),
                        );
                    }
                    self.keep()?;
                    names.retain(|name| !refused.contains_key(name));
                    if !self.is_enough(&names) || refused.is_empty() {
                        let error = OrderError::Refused(refused).to_string();
                        return self.failed(error, None, &found);
                    }
                }
                Err(OrderError::Limit(reason, asked)) => {
                    return self.failed(reason, Some(asked), &found);
                }
                Err(error) => return self.failed(error.to_string(), None, &found),
            }
        }
        self.failed("the authority refuses ever more names".to_owned(), None, &found)
    }

    /// Asks for a certificate, unless a limit forbids it.
    async fn attempt(
        &mut self,
        names: &[String],
        in_use: Option<&InUse>,
    ) -> Result<Pair, OrderError> {
        let now = self.clock.now();
        let resumes = self.state.order.as_ref().is_some_and(|order| order.names == names);
        let next = budget::next_order(&self.state, names, now);
        if next > now && !resumes {
            let reason = format!("no further order before {}", display(next));
            return Err(OrderError::Limit(reason, next - now));
        }
        // A key that an interrupted order was made with already is the new one.
        let public = in_use.map(|it| it.facts.public_key.as_slice());
        let due = !self.settings.keep_key && key::is_used(&self.layout.key(), public);
        let anew = (self.new_key || due) && !resumes;
        let key = Key::at(&self.layout.key(), self.settings.key, anew)?;
        self.new_key = false;
        let patience = Patience::default();
        let account = account::open(self.layout, self.settings, &patience).await;
        let wanted = Wanted {
            settings: self.settings,
            layout: self.layout,
            names,
            key: &key,
            replaces: in_use.map(|it| &it.facts).filter(|facts| !facts.ours),
            now,
        };
        let obtained = match account {
            Ok(account) => order::obtain(&account, &wanted, &mut self.state).await,
            Err(error) => Err(error.into()),
        };
        obtained.map_err(|error| match (error, patience.asked()) {
            (error @ (OrderError::Authority(_) | OrderError::Account(_)), Some(asked)) => {
                OrderError::Limit(error.to_string(), asked)
            }
            (error, _) => error,
        })
    }

    fn failed(
        &mut self,
        reason: String,
        asked: Option<Seconds>,
        found: &Examined,
    ) -> Result<Outcome, RunError> {
        let now = self.clock.now();
        let spread = spread(&format!("{}{now}", self.certificate.name));
        self.state.failed(reason.clone(), asked, now, spread);
        if let Some(failing) = &mut self.state.failing {
            failing.addresses.clone_from(&found.host);
            if asked == Some(DNS_PAUSE) {
                failing.next = now + DNS_PAUSE;
            }
            journal::warn(&format!(
                "no certificate for {}: {reason}; the next attempt is at {}",
                self.certificate.name,
                display(failing.next)
            ));
        }
        self.keep()?;
        Ok(Outcome::Failed(reason))
    }

    fn install(&mut self, pair: &Pair, names: &[String]) -> Result<Outcome, RunError> {
        let folder = self.layout.certificate(self.certificate.name.as_str());
        folder.install(pair, None)?;
        let Some(in_use) = self.in_use() else {
            return Ok(Outcome::Nothing);
        };
        let installed =
            Installed { digest: in_use.digest.clone(), key: self.settings.key, revoked: false };
        self.state.order = None;
        self.state.failing = None;
        self.state.installed = Some(installed);
        self.state.given.push((self.clock.now(), names.to_vec()));
        self.state.left_out.retain(|name, _| !names.contains(name));
        self.keep()?;
        self.tell(&in_use)?;
        let until = display(in_use.facts.not_after);
        journal::note(&format!(
            "installed a certificate for {}, valid until {until}",
            names.join(", ")
        ));
        Ok(Outcome::Installed)
    }

    /// Revokes the certificate in use, and gets another with another key.
    async fn revoke(&mut self, reason: Reason, in_use: Option<InUse>) -> Result<Outcome, RunError> {
        let Some(in_use) = in_use.filter(|it| !it.facts.ours) else {
            if !self.is_hosts() {
                return Ok(Outcome::Nothing);
            }
            journal::warn("there is no certificate of an authority to revoke");
            return Ok(Outcome::Failed("there is no certificate to revoke".to_owned()));
        };
        let patience = Patience::default();
        let der = CertificateDer::from(in_use.facts.der.clone());
        let payload = RevocationRequest { certificate: &der, reason: Some(reason.into()) };
        let revoked = match account::open(self.layout, self.settings, &patience).await {
            Ok(account) => account.revoke(&payload).await.map_err(OrderError::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = revoked {
            let reason = format!("the certificate could not be revoked: {error}");
            journal::warn(&reason);
            return Ok(Outcome::Failed(reason));
        }
        journal::note("the certificate in use is revoked");
        if let Some(installed) = &mut self.state.installed {
            installed.revoked = true;
        }
        self.keep()?;
        self.new_key = true;
        self.order("the old one was revoked", Some(&in_use), true).await
    }
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
        }
    }
}

/// The certificate that the programs use for `name`. A link to the host's stands in for one that has never
/// been there (`mailkiln-agent prepare` makes it).
pub fn in_use(layout: &Layout, settings: &Settings, name: &str) -> Option<InUse> {
    let folder = layout.certificate(name);
    let host = settings.host.as_str();
    if name != host && fs::read_link(&folder.directory).is_ok_and(|to| to.as_os_str() == host) {
        return None;
    }
    let facts = Facts::parse(&fs::read_to_string(&folder.chain).ok()?)?;
    let key = fs::read_to_string(&folder.key).unwrap_or_default();
    let digest = tlsa::hex(&facts.der);
    Some(InUse { fits: key::fits(&key, &facts.public_key), facts, digest })
}

/// From 0 to 1, the same for the same text.
pub fn spread(text: &str) -> f64 {
    let digits = tlsa::hex(text.as_bytes());
    let number = u32::from_str_radix(digits.get(..8).unwrap_or_default(), 16).unwrap_or_default();
    f64::from(number) / f64::from(u32::MAX)
}

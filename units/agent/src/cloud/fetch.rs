//! Asking a metadata service.
//!
//! In: the table of a source. Out: its answers, or why there are none. Bounded: 64 KiB for an answer, two
//! seconds for a try, two minutes for all of it. Nothing is followed elsewhere: no redirect, no proxy, no
//! name server. The network may still be coming up, so whoever does not answer is asked again.

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::answers::Answers;
use super::source::{Place, Request, Service};
use super::{FirstBoot, LARGEST, SourceError};
use crate::deadline::Deadline;

/// For one try, from the connection to the last byte.
const TRY: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Answers that follow from one list.
const MOST_FROM_A_LIST: usize = 16;
/// Metadata services speak plain HTTP; they are on the link.
const PORT: u16 = 80;

/// Why a service has not answered.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Time is up.
    #[error(
        "the metadata service did not answer in time, last: {0}; check the network of the machine"
    )]
    Silent(String),
    /// It does not want to.
    #[error("the metadata service refuses {path} with status {status}")]
    Refused {
        /// What was asked for.
        path: String,
        /// HTTP status.
        status: u16,
    },
    /// Something else answers in its place.
    #[error("what answers at the metadata service's address is not this cloud's: {0}")]
    Foreign(&'static str),
    /// The answer is too long.
    #[error("the metadata service's answer to {0} is larger than 64 KiB")]
    TooLarge(String),
    /// What it says makes no sense.
    #[error("the metadata service answers, but {0}")]
    Source(#[from] SourceError),
}

/// Asks a service and reads what it says.
///
/// # Errors
/// [`FetchError`].
pub fn fetch(service: &Service, sys: &Path, deadline: Deadline) -> Result<FirstBoot, FetchError> {
    let mut client = Client::find(service, sys, deadline)?;
    let mut answers = Answers::default();
    for request in service.requests {
        let Some(bytes) = client.get(request)? else { continue };
        match request.each {
            None => answers.add(request.name, bytes),
            Some(paths) => {
                let text = String::from_utf8_lossy(&bytes);
                for path in paths(&text).into_iter().take(MOST_FROM_A_LIST) {
                    if let Some(bytes) = client.ask(&path, false)? {
                        answers.add(request.name, bytes);
                    }
                }
            }
        }
    }
    Ok((service.parse)(&answers)?)
}

/// One answer.
struct Answer {
    status: u16,
    proved: bool,
    body: Vec<u8>,
}

/// Why a try failed.
enum Failed {
    /// It may work the next time.
    Later(String),
    /// It will not.
    Never(FetchError),
}

/// A service that has been reached.
pub(super) struct Client<'a> {
    service: &'a Service,
    agent: Agent,
    host: &'static str,
    token: Option<String>,
    deadline: Deadline,
}

impl<'a> Client<'a> {
    /// Finds the place that answers.
    pub(super) fn find(
        service: &'a Service,
        sys: &Path,
        deadline: Deadline,
    ) -> Result<Self, FetchError> {
        let mut last = String::from("no answer");
        loop {
            for place in service.places {
                for address in addresses(place, sys) {
                    let mut client = Self::at(service, place, address, deadline);
                    match client.greet() {
                        Ok(()) => return Ok(client),
                        Err(Failed::Never(error)) => return Err(error),
                        Err(Failed::Later(why)) => last = why,
                    }
                }
            }
            if deadline.is_over() {
                return Err(FetchError::Silent(last));
            }
            sleep(PAUSE.min(deadline.remaining().unwrap_or_default()));
        }
    }

    fn at(service: &'a Service, place: &Place, address: SocketAddr, deadline: Deadline) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TRY))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::new(), Known(address));
        Self { service, agent, host: place.host, token: None, deadline }
    }

    /// Fetches the token, or the first answer: whoever gives it is the service.
    fn greet(&mut self) -> Result<(), Failed> {
        if self.service.token.is_some() {
            return self.fetch_token();
        }
        let Some(first) = self.service.requests.first() else { return Ok(()) };
        let answer = self.once(first.path)?;
        self.judge(first.path, &answer, first.needed).map(drop)
    }

    fn fetch_token(&mut self) -> Result<(), Failed> {
        let Some(token) = self.service.token else { return Ok(()) };
        let (name, value) = token.ask;
        let request = self.agent.put(self.url(token.path)).header(name, value);
        let answer = read(request.send_empty(), token.path, None)?;
        let text = String::from_utf8(answer.body).unwrap_or_default();
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        match answer.status {
            200 if plain => {
                self.token = Some(text);
                Ok(())
            }
            200 => Err(Failed::Never(FetchError::Foreign("its token has the wrong shape"))),
            429 | 500.. => Err(Failed::Later(format!("status {}", answer.status))),
            status => {
                let path = token.path.to_owned();
                Err(Failed::Never(FetchError::Refused { path, status }))
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    fn get(&mut self, request: &Request) -> Result<Option<Vec<u8>>, FetchError> {
        self.ask(request.path, request.needed)
    }

    /// Asks until there is an answer; `None` where there is nothing.
    fn ask(&mut self, path: &str, needed: bool) -> Result<Option<Vec<u8>>, FetchError> {
        let mut renewed = false;
        loop {
            let answer = self.once(path);
            let last = match answer.and_then(|answer| self.judge(path, &answer, needed)) {
                Ok(found) => return Ok(found),
                // A token may have ended while the machine slept.
                Err(Failed::Never(FetchError::Refused { status: 401, .. }))
                    if self.token.is_some() && !renewed =>
                {
                    renewed = true;
                    match self.fetch_token() {
                        Ok(()) => continue,
                        Err(Failed::Never(error)) => return Err(error),
                        Err(Failed::Later(why)) => why,
                    }
                }
                Err(Failed::Never(error)) => return Err(error),
                Err(Failed::Later(why)) => why,
            };
            if self.deadline.is_over() {
                return Err(FetchError::Silent(last));
            }
            sleep(PAUSE.min(self.deadline.remaining().unwrap_or_default()));
        }
    }

    fn once(&self, path: &str) -> Result<Answer, Failed> {
        let mut request = self.agent.get(self.url(path));
        for (name, value) in self.service.headers {
            request = request.header(*name, *value);
        }
        if let (Some(token), Some(text)) = (self.service.token, &self.token) {
            request = request.header(token.show, text);
        }
        read(request.call(), path, self.service.proof)
    }

    /// What a status means.
    fn judge(&self, path: &str, answer: &Answer, needed: bool) -> Result<Option<Vec<u8>>, Failed> {
        let status = answer.status;
        // Whatever stands in front of a service that is busy says so in its own words.
        let busy = status == 429 || status >= 500;
        if !answer.proved && !busy {
            return Err(Failed::Never(FetchError::Foreign("it lacks the header that proves it")));
        }
        match status {
            200 => Ok(Some(answer.body.clone())),
            _ if busy || self.service.again.contains(&status) => {
                Err(Failed::Later(format!("status {status} for {path}")))
            }
            204 => Ok(None),
            404 if !needed => Ok(None),
            300..400 => Err(Failed::Never(FetchError::Foreign("it redirects"))),
            _ => Err(Failed::Never(FetchError::Refused { path: path.to_owned(), status })),
        }
    }

    /// Posts a document and returns its status; for reports.
    pub(super) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Option<u16> {
        let mut request = self.agent.post(self.url(path));
        for (name, value) in headers.iter().chain(self.service.headers) {
            request = request.header(*name, *value);
        }
        request.send(body).ok().map(|answer| answer.status().as_u16())
    }
}

fn read(
    result: Result<ureq::http::Response<Body>, ureq::Error>,
    path: &str,
    proof: Option<(&str, &str)>,
) -> Result<Answer, Failed> {
    let mut answer = result.map_err(|error| Failed::Later(error.to_string()))?;
    let proved = proof.is_none_or(|(name, value)| {
        answer.headers().get(name).is_some_and(|found| found.as_bytes() == value.as_bytes())
    });
    let mut body = Vec::new();
    let reader = answer.body_mut().as_reader().take(LARGEST as u64 + 1).read_to_end(&mut body);
    reader.map_err(|error| Failed::Later(error.to_string()))?;
    if body.len() > LARGEST {
        return Err(Failed::Never(FetchError::TooLarge(path.to_owned())));
    }
    Ok(Answer { status: answer.status().as_u16(), proved, body })
}

/// Where a place is: as it says, or on each interface where the address counts on a link alone.
fn addresses(place: &Place, sys: &Path) -> Vec<SocketAddr> {
    match place.address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => interfaces(&sys.join("class/net"))
            .into_iter()
            .map(|scope| SocketAddr::V6(SocketAddrV6::new(v6, PORT, 0, scope)))
            .collect(),
        address => vec![SocketAddr::new(address, PORT)],
    }
}

/// Numbers of the interfaces, but for the loopback one, which is number 1 everywhere.
fn interfaces(folder: &Path) -> Vec<u32> {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    let number = |path: &PathBuf| -> Option<u32> {
        fs::read_to_string(path.join("ifindex")).ok()?.trim().parse().ok()
    };
    let mut numbers: Vec<u32> = entries.iter().filter_map(number).collect();
    numbers.retain(|number| *number > 1);
    numbers.sort_unstable();
    numbers.truncate(8);
    numbers
}

/// A resolver that knows one address and asks nobody.
#[derive(Debug)]
struct Known(SocketAddr);

impl Resolver for Known {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

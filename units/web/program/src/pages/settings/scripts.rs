//! The scripts of the account at the mail server.

use std::net::SocketAddr;

use mailkiln_letter::sieve::{self, Filters, SCRIPT_NAME};
use mailkiln_letter::text::visible;
use mailkiln_servers::Error;
use mailkiln_servers::sieve::{Script, Scripts};

use crate::mailbox::{self, problem};
use crate::problem::Problem;
use crate::session::Session;

/// What runs now.
pub(super) enum Running {
    /// Our script, or none yet.
    Ours(Box<Filters>),
    /// Another: its name.
    Foreign(String),
}

/// Connects.
///
/// # Errors
/// [`Problem::NotFound`] if the configuration names no ManageSieve.
pub(super) async fn open(session: &Session) -> Result<Scripts, Problem> {
    let service = session.app.configuration.server.sieve.as_ref().ok_or(Problem::NotFound)?;
    let endpoint = service.endpoint();
    let credentials = mailbox::credentials(session).await?;
    let reader = Some(SocketAddr::new(session.client.address, 0));
    Scripts::open(&endpoint, reader, &credentials).await.map_err(problem)
}

/// The text of a script.
pub(super) async fn text(scripts: &mut Scripts, name: &str) -> Result<String, Problem> {
    let bytes = scripts.get(name).await.map_err(problem)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What runs now.
pub(super) async fn running(scripts: &mut Scripts) -> Result<Running, Problem> {
    let all = scripts.list().await.map_err(problem)?;
    let active = all.iter().find(|script| script.active).map(|script| script.name.as_str());
    let name = match active {
        Some(SCRIPT_NAME) => SCRIPT_NAME,
        Some(other) => return Ok(Running::Foreign(other.to_owned())),
        None if all.iter().any(|script| script.name == SCRIPT_NAME) => SCRIPT_NAME,
        None => return Ok(Running::Ours(Box::default())),
    };
    let source = text(scripts, name).await?;
    Ok(match sieve::read(&source) {
        Ok(filters) => Running::Ours(Box::new(filters)),
        Err(sieve::NotOurs) => Running::Foreign(name.to_owned()),
    })
}

/// Our filters; [`Problem::NotFound`] where another script runs, which its page explains.
pub(super) async fn ours(scripts: &mut Scripts) -> Result<Filters, Problem> {
    match running(scripts).await? {
        Running::Ours(filters) => Ok(*filters),
        Running::Foreign(_) => Err(Problem::NotFound),
    }
}

/// Checks the filters, lets the server check the script, stores and activates it. In `Err(Ok(…))` the words of what is wrong.
pub(super) async fn put(
    scripts: &mut Scripts,
    filters: &Filters,
) -> Result<(), Result<String, Problem>> {
    filters.check().map_err(|wrong| Ok(wrong.to_string()))?;
    let script = sieve::write(filters);
    scripts.check(&script).await.map_err(words)?;
    scripts.put(SCRIPT_NAME, &script).await.map_err(words)?;
    scripts.activate(SCRIPT_NAME).await.map_err(words)
}

/// The server's words, or a problem of the connection.
pub(super) fn words(error: Error) -> Result<String, Problem> {
    match error {
        Error::Refused { text, .. } => Ok(visible(&text).chars().take(1000).collect()),
        other => Err(problem(other)),
    }
}

/// Keeps a foreign script and lets ours include it. One under our own name is copied to another first.
pub(super) async fn adopt(
    scripts: &mut Scripts,
    foreign: &str,
) -> Result<(), Result<String, Problem>> {
    let mut filters = Filters::default();
    let mut name = foreign.to_owned();
    if foreign == SCRIPT_NAME {
        let source = text(scripts, foreign).await.map_err(Err)?;
        let all: Vec<Script> = scripts.list().await.map_err(words)?;
        let free = (1..100)
            .map(|number| format!("by-hand-{number}"))
            .find(|name| all.iter().all(|it| it.name != *name));
        name = free.ok_or(Err(Problem::BadRequest))?;
        scripts.put(&name, &source).await.map_err(words)?;
    }
    filters.included = Some(name);
    put(scripts, &filters).await
}

//! The OAuth client in whose name the web unit signs people in. The server gives tokens to no other client.
//!
//! In: `web` of `appliance.json`. Out: the client with its address where there is a web unit, and none where there is not.

use super::find;
use crate::api::{Api, Principal};
use crate::appliance::{Appliance, Web};
use crate::command::CommandError;
use crate::journal;

/// What the server calls it.
const KIND: &str = "oauthClient";
/// Its name, where there is no web unit that says it.
const NAME: &str = "mailkiln-web";

/// Makes, corrects or removes it; returns how many of these failed.
pub(super) fn ensure(api: &Api, appliance: &Appliance) -> usize {
    let done = match &appliance.web {
        Some(web) => there(api, web),
        None => gone(api),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            journal::error(&format!("the web unit can't sign anybody in: {error}"));
            1
        }
    }
}

fn there(api: &Api, web: &Web) -> Result<(), CommandError> {
    let Web { oauth_client: name, redirect } = web;
    let Some(Principal { urls, .. }) = find(api, name, KIND)? else {
        api.create_oauth_client(name, redirect)?;
        journal::note(&format!("made the OAuth client {name}"));
        return Ok(());
    };
    if urls.as_slice() != std::slice::from_ref(redirect) {
        api.set_urls(name, std::slice::from_ref(redirect))?;
        journal::note(&format!("the OAuth client {name} belongs to {redirect} now"));
    }
    Ok(())
}

/// Without a web unit nobody signs in by it. What has its name and is something else stays.
fn gone(api: &Api) -> Result<(), CommandError> {
    match api.principal(NAME)? {
        Some(principal) if principal.kind == KIND => {
            api.delete(NAME)?;
            journal::note(&format!("removed the OAuth client {NAME}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

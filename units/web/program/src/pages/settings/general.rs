//! Language, looks, time zone and names.

use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::tz::TimeZone;
use mailkiln_letter::writing;
use maud::{Markup, html};

use super::{page, said};
use crate::form::{Fields, Form, Query};
use crate::i18n::Language;
use crate::mailbox::problem;
use crate::pages::compose::FORMAT;
use crate::problem::Problem;
use crate::session::Session;

/// Identities besides the account's own.
const IDENTITIES: usize = 50;

/// GET `/settings`.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut guard = session.app.mailboxes.open(&session).await?;
    let quota = guard.imap()?.quota().await.map_err(problem)?;
    drop(guard);
    let usage = html! {
        @if let Some(quota) = quota {
            @let mega = |bytes: u64| session.view.language.number(bytes / 1_000_000);
            h2 { (session.text("settings.quota")) }
            p {
                (session.view.language.fill("settings.quota-used", &[("used", &mega(quota.used)), ("limit", &mega(quota.limit))])) " "
                meter min="0" max=(quota.limit) value=(quota.used) aria-label=(session.text("settings.quota")) {}
            }
        }
    };
    let content =
        html! { (said(&session, query.text("done"), None)) (form(&session, None)) (usage) };
    Ok(page(&session, "/settings", "settings.general", &content))
}

/// The form, with what was typed or else with what is kept.
fn form(session: &Session, typed: Option<&Fields>) -> Markup {
    let text = |key| session.text(key);
    let kept = |name: &str| match typed {
        Some(fields) => fields.text(name).to_owned(),
        None => session.view.preferences.get(name).unwrap_or_default().to_owned(),
    };
    let choice = |name: &'static str, label: &str, options: &[(&str, &str)]| {
        let chosen = kept(name);
        html! {
            label for=(name) { (session.view.language.text(label)) }
            select id=(name) name=(name) {
                @for (value, shown) in options { option value=(value) selected[chosen == *value] { (shown) } }
            }
        }
    };
    let languages: Vec<(&str, &str)> = std::iter::once(("", text("settings.language-browser")))
        .chain(Language::ALL.into_iter().map(|language| (language.tag(), language.name())))
        .collect();
    html! {
        form method="post" action="/settings" {
            (session.view.csrf())
            h2 { (text("settings.looks")) }
            (choice("language", "settings.language", &languages))
            (choice("scheme", "settings.scheme", &[("", text("settings.scheme-system")), ("light", text("settings.scheme-light")), ("dark", text("settings.scheme-dark"))]))
            (choice("density", "settings.density", &[("", text("settings.density-airy")), ("dense", text("settings.density-dense"))]))
            label for="time-zone" { (text("settings.time-zone")) }
            input id="time-zone" name="time-zone" value=(kept("time-zone")) maxlength="60" autocomplete="off" placeholder="Europe/Berlin" aria-describedby="time-zone-hint";
            p.hint id="time-zone-hint" { (text("settings.time-zone-hint")) }
            (choice("mail-mark-read", "settings.mark-read", &[("", text("settings.mark-read-open")), ("manual", text("settings.mark-read-manual"))]))
            h2 { (text("settings.writing")) }
            (choice(FORMAT, "settings.format", &[("", text("settings.format-rich")), ("plain", text("settings.format-plain"))]))
            p.hint { (text("settings.format-hint")) }
            label for="name" { (text("settings.name")) }
            input id="name" name="name" value=(kept("name")) maxlength="200" autocomplete="name";
            label for="identities" { (text("settings.identities")) }
            textarea id="identities" name="identities" rows="3" aria-describedby="identities-hint" { "\n" (kept("identities")) }
            p.hint id="identities-hint" { (text("settings.identities-hint")) }
            button { (text("settings.save")) }
        }
    }
}

/// What is wrong with the fields, in words.
fn wrong(session: &Session, fields: &Fields) -> Option<String> {
    let zone = fields.text("time-zone").trim();
    if !zone.is_empty() && TimeZone::get(zone).is_err() {
        return Some(session.view.language.fill("settings.bad-time-zone", &[("zone", &zone)]));
    }
    match writing::recipients(fields.text("identities")) {
        Err(bad) => Some(session.view.language.fill("compose.bad-address", &[("address", &bad.0)])),
        Ok(list) if list.len() > IDENTITIES => Some(session.text("settings.too-many").to_owned()),
        Ok(_) => None,
    }
}

/// POST `/settings`.
pub(super) async fn save(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    if let Some(problem) = wrong(&session, &fields) {
        let content =
            html! { (said(&session, "", Some(&problem))) (form(&session, Some(&fields))) };
        return Ok(page(&session, "/settings", "settings.general", &content));
    }
    let one_of = |name: &str, allowed: &[&str]| {
        let value = fields.text(name);
        if allowed.contains(&value) { value.to_owned() } else { String::new() }
    };
    let language = Language::from_tag(fields.text("language"))
        .map(|it| it.tag().to_owned())
        .unwrap_or_default();
    let name: String =
        fields.text("name").chars().filter(|one| !one.is_control()).take(200).collect();
    for (key, value) in [
        ("language", language),
        ("scheme", one_of("scheme", &["light", "dark"])),
        ("density", one_of("density", &["dense"])),
        ("mail-mark-read", one_of("mail-mark-read", &["manual"])),
        (FORMAT, one_of(FORMAT, &["plain"])),
        ("time-zone", fields.text("time-zone").trim().to_owned()),
        ("name", name.trim().to_owned()),
        ("identities", fields.text("identities").trim().to_owned()),
    ] {
        session.prefer(key, value).await?;
    }
    Ok(Redirect::to("/settings?done=saved").into_response())
}

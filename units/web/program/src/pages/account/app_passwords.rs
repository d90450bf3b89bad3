//! Passwords for mail programs: random, shown once, withdrawn one by one.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::json;

use super::{Owner, answer, outcome, overview, owner_fields, refusal};
use crate::api::SignInState;
use crate::form::Form;
use crate::problem::Problem;
use crate::session::{Session, password};

/// What the overview says about them.
pub(super) fn section(session: &Session, state: &SignInState) -> Markup {
    let more = html! {
        label for="app-name" { (session.text("account.apps-name")) }
        input id="app-name" name="name" type="text" required maxlength="40" autocomplete="off";
    };
    html! {
        section aria-labelledby="apps" {
            h2 id="apps" { (session.text("account.apps")) }
            p { (session.text("account.apps-hint")) }
            @for (number, name) in state.app_passwords.iter().enumerate() {
                details {
                    summary { (name) }
                    form.narrow-form method="post" action="/account/app-passwords/withdraw" {
                        (owner_fields(session, &format!("app-{number}"), state.second_factor))
                        input type="hidden" name="name" value=(name);
                        button.danger { (session.text("account.apps-withdraw")) }
                    }
                }
            }
            (overview::form(session, "/account/app-passwords/add", "app", state.second_factor, &more, "account.apps-add"))
        }
    }
}

/// The server keeps name and hash in one text, parted by dollar signs.
fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || " .-_".contains(letter);
    (1..=40).contains(&name.chars().count()) && name.chars().all(fits) && name.trim() == name
}

/// `POST /account/app-passwords/add`.
pub(super) async fn add(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let name = form.text("name").trim();
    let known = overview::state(&session).await?.app_passwords;
    if !is_name(name) || known.iter().any(|it| it == name) {
        return refusal(&session, "account.apps-name-odd").await;
    }
    let secret = password::generate_app()?;
    let hash = password::hash(&secret).await.ok_or(Problem::Internal)?;
    let changes = json!([{ "type": "addAppPassword", "name": name, "password": hash }]);
    if let Err(unchanged) =
        Owner::of(&form).change(&session, &changes, "has an app password more").await
    {
        return outcome(&session, Err(unchanged)).await;
    }
    let content = html! {
        h1 { (session.text("account.apps")) }
        p { (session.view.language.fill("account.apps-new", &[("name", &name)])) }
        p.code { (secret) }
        p { a.button href="/account" { (session.text("account.title")) } }
    };
    let mut response = answer(&session, StatusCode::OK, content);
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `POST /account/app-passwords/withdraw`.
pub(super) async fn withdraw(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let name = form.text("name");
    if name.is_empty() || name.contains('$') {
        return refusal(&session, "account.apps-name-odd").await;
    }
    // The server removes all that begin so: the sign after the name keeps "Phone 2" when "Phone" goes.
    let changes = json!([{ "type": "removeAppPassword", "name": format!("{name}$") }]);
    let changed = Owner::of(&form).change(&session, &changes, "has an app password less").await;
    outcome(&session, changed.map(|()| "account.apps-withdrawn")).await
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_app_passwords() {
        for good in ["Phone", "Jürgens Telefon", "K-9 2.0_x"] {
            assert!(super::is_name(good), "{good}");
        }
        for bad in ["", " a", "a$b", "a\nb", "<b>", &"a".repeat(41)] {
            assert!(!super::is_name(bad), "{bad}");
        }
    }
}

//! Absence note and forwarding.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::sieve::{Filters, Vacation};
use maud::{Markup, html};

use super::scripts::{self, Running};
use super::{filters, page, said};
use crate::form::{Fields, Form, Query};
use crate::problem::Problem;
use crate::session::Session;

/// GET `/settings/away`.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let content = match scripts::running(&mut scripts).await? {
        Running::Ours(filters) => {
            html! { (said(&session, query.text("done"), None)) (form(&session, &filters)) }
        }
        Running::Foreign(name) => filters::foreign(&session, &name),
    };
    Ok(page(&session, "/settings/away", "settings.away", &content))
}

fn form(session: &Session, filters: &Filters) -> Markup {
    let text = |key| session.text(key);
    let empty = Vacation { is_off: true, days: 7, ..Vacation::default() };
    let vacation = filters.vacation.as_ref().unwrap_or(&empty);
    html! {
        form method="post" action="/settings/away" {
            (session.view.csrf())
            h2 { (text("settings.vacation")) }
            label { input type="checkbox" name="on" value="1" checked[!vacation.is_off]; " " (text("settings.vacation-on")) }
            label for="from" { (text("settings.first-day")) }
            input id="from" name="from" type="date" value=(vacation.from.as_deref().unwrap_or_default());
            label for="until" { (text("settings.last-day")) }
            input id="until" name="until" type="date" value=(vacation.until.as_deref().unwrap_or_default()) aria-describedby="dates-hint";
            p.hint id="dates-hint" { (text("settings.dates-hint")) }
            label for="subject" { (text("settings.vacation-subject")) }
            input id="subject" name="subject" value=(vacation.subject) maxlength="200";
            label for="text" { (text("settings.vacation-text")) }
            textarea id="text" name="text" rows="6" maxlength="20000" { "\n" (vacation.text) }
            label for="days" { (text("settings.vacation-days")) }
            input id="days" name="days" type="number" min="1" max="30" value=(vacation.days);
            h2 { (text("settings.forwarding")) }
            label for="to" { (text("settings.forward-to")) }
            textarea id="to" name="to" rows="2" aria-describedby="to-hint" { "\n" (filters.forward_to.join("\n")) }
            p.hint id="to-hint" { (text("settings.forward-hint")) }
            label { input type="checkbox" name="copy" value="1" checked[filters.forward_keeps_copy || filters.forward_to.is_empty()]; " " (text("settings.keep-copy")) }
            button { (text("settings.save")) }
        }
    }
}

/// Puts what a form holds into the filters.
fn read(fields: &Fields, own: &[String], filters: &mut Filters) {
    let day = |name: &str| Some(fields.text(name).trim().to_owned()).filter(|day| !day.is_empty());
    let vacation = Vacation {
        is_off: fields.text("on") != "1",
        subject: fields.text("subject").trim().to_owned(),
        text: fields.text("text").replace("\r\n", "\n").trim_end().to_owned(),
        from: day("from"),
        until: day("until"),
        days: fields.text("days").trim().parse().unwrap_or(0),
        addresses: own.to_vec(),
    };
    // An empty note that is switched off is none.
    let is_none = vacation.is_off && vacation.text.is_empty() && vacation.subject.is_empty();
    filters.vacation = (!is_none).then_some(vacation);
    let to = fields.text("to").split([',', ';', '\n']).map(|one| one.trim().to_owned());
    filters.forward_to = to.filter(|one| !one.is_empty()).collect();
    filters.forward_keeps_copy = fields.text("copy") == "1" && !filters.forward_to.is_empty();
}

/// POST `/settings/away`.
pub(super) async fn save(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let mut filters = scripts::ours(&mut scripts).await?;
    let identities = session.view.preferences.get("identities").unwrap_or_default();
    let others = mailkiln_letter::writing::recipients(identities).unwrap_or_default();
    let own: Vec<String> = others.into_iter().map(|one| one.address).collect();
    read(&fields, &own, &mut filters);
    let silent =
        filters.vacation.as_ref().is_some_and(|note| !note.is_off && note.text.trim().is_empty());
    let put = if silent {
        Err(Ok(session.text("settings.vacation-empty").to_owned()))
    } else {
        scripts::put(&mut scripts, &filters).await
    };
    match put {
        Ok(()) => Ok(Redirect::to("/settings/away?done=saved").into_response()),
        Err(Err(problem)) => Err(problem),
        Err(Ok(words)) => {
            let content = html! { (said(&session, "", Some(&words))) (form(&session, &filters)) };
            Ok(page(&session, "/settings/away", "settings.away", &content))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_note_and_where_mail_goes_on_to() {
        let mut filters = Filters::default();
        let form = "on=1&from=2026-12-24&until=&subject=Away&text=Back%0D%0Asoon&days=7&to=a%40b.example%0D%0Ac%40d.example&copy=1";
        read(&Fields::parse(form.as_bytes()).unwrap(), &["me@m.example".to_owned()], &mut filters);
        let note = filters.vacation.clone().unwrap();
        assert_eq!(
            (note.text.as_str(), note.from.as_deref(), note.until),
            ("Back\nsoon", Some("2026-12-24"), None)
        );
        assert_eq!(filters.forward_to, ["a@b.example", "c@d.example"]);
        assert!(filters.check().is_ok() && filters.forward_keeps_copy);
        read(&Fields::parse(b"days=7").unwrap(), &[], &mut filters);
        assert_eq!(filters, Filters::default(), "nothing is left when all is empty");
    }
}

//! What is being written: from a form, from a stored draft, and as a message.

use mailkiln_letter::html;
use mailkiln_letter::reading::{Letter, Mailbox, Part};
use mailkiln_letter::writing::{self, BadAddress, Body, Outgoing, Recipient};

use super::pictures::Held;
use super::place::Place;
use super::upload::Contents;
use crate::form::Fields;
use crate::layout;
use crate::problem::Problem;
use crate::random;
use crate::session::{Session, now};

/// What a form holds. Recipients are as they were typed.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// Whether it is a template.
    pub(super) place: Place,
    /// UID in the folder, once it is there.
    pub(super) stored: Option<u32>,
    /// The author's address, one of the identities.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) cc: String,
    pub(super) bcc: String,
    pub(super) subject: String,
    pub(super) text: String,
    /// The same as HTML, where it is rich. Nobody has cleaned it yet.
    pub(super) html: Option<String>,
    /// Content-IDs of images in the stored draft.
    pub(super) images: Vec<String>,
    pub(super) in_reply_to: Vec<String>,
    pub(super) references: Vec<String>,
    /// What is answered or forwarded: `\Answered UID FOLDER` or `$Forwarded UID FOLDER`.
    pub(super) original: String,
    /// Names and sizes of the files in the stored draft, in their order.
    pub(super) files: Vec<(String, usize)>,
}

/// The preference for rich or plain text.
pub(crate) const FORMAT: &str = "compose-format";
/// Longest subject and recipient field that is kept.
const LINE: usize = 20_000;

/// The addresses that a reader writes from: the account's own first, then those of the settings.
pub(crate) fn identities(session: &Session) -> Vec<Recipient> {
    let preference = |name| session.view.preferences.get(name).unwrap_or_default();
    let own =
        Recipient { name: preference("name").to_owned(), address: session.account.to_string() };
    let mut all = vec![own];
    for one in writing::recipients(preference("identities")).unwrap_or_default() {
        match all.iter_mut().find(|known| known.address.eq_ignore_ascii_case(&one.address)) {
            Some(known) if known.name.is_empty() => known.name = one.name,
            Some(_) => {}
            None => all.push(one),
        }
    }
    all
}

/// The files of a message, but for those in the list; one that Outlook has packed stays packed.
pub(super) fn own_files<'a>(
    letter: &'a Letter,
    but: &'a [&'a Part],
) -> impl Iterator<Item = &'a Part> {
    letter
        .attachments()
        .filter(|part| !part.id.to_string().contains('t') && !but.iter().any(|it| it.id == part.id))
}

/// Whether the account writes with formatting, unless a message says otherwise.
pub(crate) fn prefers_rich(session: &Session) -> bool {
    session.view.preferences.get(FORMAT) != Some("plain")
}

impl Draft {
    /// The fields of the form.
    pub(super) fn read(fields: &Fields) -> Self {
        let line = |name: &str| fields.text(name).chars().take(LINE).collect::<String>();
        let ids = |name: &str| {
            fields.text(name).split_whitespace().take(100).map(str::to_owned).collect()
        };
        let html = (fields.text("rich") == "1").then(|| fields.text("html").to_owned());
        let text = match &html {
            Some(html) => html::to_text(html),
            None => fields.text("text").replace("\r\n", "\n"),
        };
        Self {
            place: Place::read(fields.text("place")),
            stored: fields.text("draft").parse().ok().filter(|uid| *uid > 0),
            from: line("from"),
            to: line("to"),
            cc: line("cc"),
            bcc: line("bcc"),
            subject: line("subject"),
            text,
            html,
            images: Vec::new(),
            in_reply_to: ids("in-reply-to"),
            references: ids("references"),
            original: original(fields.text("original")),
            files: Vec::new(),
        }
    }

    /// A draft or template that is stored.
    pub(super) fn of(letter: &Letter, place: Place, uid: u32, original_field: &str) -> Self {
        let headers = &letter.headers;
        let list = |all: &[Mailbox]| {
            let typed = all.iter().map(|one| {
                let name = one.name.clone().unwrap_or_default();
                Recipient { name, address: one.address.clone() }.to_string()
            });
            typed.collect::<Vec<_>>().join(", ")
        };
        let shown = writing::shown_images(letter);
        let images: Vec<String> = shown.iter().filter_map(|part| part.content_id.clone()).collect();
        let held = Held { place, draft: Some(uid), images: &images };
        Self {
            place,
            stored: Some(uid),
            from: headers.from.first().map(|one| one.address.clone()).unwrap_or_default(),
            to: list(&headers.to),
            cc: list(&headers.cc),
            bcc: list(&headers.bcc),
            subject: headers.subject.clone(),
            text: writing::plain_text(letter),
            html: writing::editable(letter, &held),
            in_reply_to: headers.in_reply_to.clone(),
            references: headers.references.clone(),
            original: original(original_field),
            files: own_files(letter, &shown).map(|part| (part.name.clone(), part.size)).collect(),
            images,
        }
    }

    /// A new message that begins as a template does. `images` are those that go along.
    pub(super) fn from_template(letter: &Letter, images: Vec<String>) -> Self {
        Self {
            place: Place::Drafts,
            stored: None,
            html: writing::editable_along(letter, &images),
            images,
            in_reply_to: Vec::new(),
            references: Vec::new(),
            files: Vec::new(),
            ..Self::of(letter, Place::Templates, 0, "")
        }
    }

    /// Puts a template above what is written. Fields that say something already keep that.
    pub(super) fn begin_with(&mut self, template: Self) {
        if let Some(html) = &mut self.html {
            let above = template.html.unwrap_or_else(|| writing::text_for_editor(&template.text));
            html.insert_str(0, &above);
        }
        self.text = format!("{}\n\n{}", template.text.trim_end(), self.text);
        if self.subject.trim().is_empty() {
            self.subject = template.subject;
        }
        if [&self.to, &self.cc, &self.bcc].iter().all(|field| field.trim().is_empty()) {
            (self.to, self.cc, self.bcc) = (template.to, template.cc, template.bcc);
        }
    }

    /// The message that is stored, with the recipients that can be read, and what is wrong with the others.
    pub(super) fn message(
        &self,
        session: &Session,
        contents: Contents,
    ) -> Result<(Outgoing, Option<BadAddress>), Problem> {
        let identities = identities(session);
        let from = identities
            .iter()
            .find(|one| one.address.eq_ignore_ascii_case(&self.from))
            .or(identities.first());
        let from = from.cloned().ok_or(Problem::Internal)?;
        let mut bad = None;
        let mut list = |field: &str| {
            writing::recipients(field).unwrap_or_else(|error| {
                bad.get_or_insert(error);
                Vec::new()
            })
        };
        let (to, cc, bcc) = (list(&self.to), list(&self.cc), list(&self.bcc));
        let message_id = writing::message_id(&random::bytes::<16>()?, &from.address);
        let date = now();
        let outgoing = Outgoing {
            to,
            cc,
            bcc,
            reply_to: None,
            subject: self.subject.clone(),
            date,
            offset: layout::offset(&session.view.zone(), date),
            message_id,
            in_reply_to: self.in_reply_to.clone(),
            references: self.references.clone(),
            body: match &self.html {
                Some(html) => Body::Rich { html: html.clone(), images: contents.images },
                None => Body::Plain(self.text.clone()),
            },
            attachments: contents.files,
            is_draft: true,
            from,
        };
        Ok((outgoing, bad))
    }

    /// What a writer may have overlooked: keys of texts.
    pub(super) fn doubts(&self, outgoing: &Outgoing) -> Vec<&'static str> {
        let mut found = Vec::new();
        let own = self
            .text
            .lines()
            .filter(|line| !line.starts_with('>'))
            .collect::<Vec<_>>()
            .join("\n")
            .to_lowercase();
        let words = ["attach", "enclosed", "anhang", "angehängt", "anbei", "beigefügt"];
        if outgoing.attachments.is_empty() && words.iter().any(|word| own.contains(word)) {
            found.push("compose.doubt-attachment");
        }
        let domain = |address: &str| {
            address
                .rsplit_once('@')
                .map(|(_, domain)| domain.to_ascii_lowercase())
                .unwrap_or_default()
        };
        let home = domain(&outgoing.from.address);
        if outgoing.envelope().iter().any(|to| looks_like(&domain(to), &home)) {
            found.push("compose.doubt-domain");
        }
        if outgoing.subject.trim().is_empty() {
            found.push("compose.doubt-subject");
        }
        found
    }
}

/// `FLAG UID FOLDER`, or nothing.
fn original(field: &str) -> String {
    let mut words = field.splitn(3, ' ');
    let flag = words.next().filter(|flag| matches!(*flag, "\\Answered" | "$Forwarded"));
    let uid = words.next().and_then(|uid| uid.parse::<u32>().ok());
    match (flag, uid, words.next()) {
        (Some(flag), Some(uid), Some(folder)) if !folder.contains(['\r', '\n', '\0']) => {
            format!("{flag} {uid} {folder}")
        }
        _ => String::new(),
    }
}

/// Whether one domain differs from another by one letter that was left out, added, changed or swapped: nobody's
/// intention, or a deceiver's.
fn looks_like(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one == other || one.len().abs_diff(other.len()) > 1 || one.len() < 4 {
        return false;
    }
    let start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[start..], &other[start..]);
    let swapped = match (one, other) {
        ([a, b, rest @ ..], [c, d, more @ ..]) => a == d && b == c && rest == more,
        _ => false,
    };
    let tail =
        |list: &'_ [char], skip: usize| list.get(skip..).map(<[char]>::to_vec).unwrap_or_default();
    swapped
        || tail(one, 1) == tail(other, 1)
        || tail(one, 1) == tail(other, 0)
        || tail(one, 0) == tail(other, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_that_look_like_the_own_one() {
        for (one, expected) in [
            ("examlpe.org", true),
            ("exampl.org", true),
            ("examplee.org", true),
            ("exampIe.org", true),
            ("example.org", false),
            ("example.net", false),
            ("other.org", false),
        ] {
            assert_eq!(looks_like(one, "example.org"), expected, "{one}");
        }
    }

    #[test]
    fn a_form_is_rich_only_if_the_script_says_so() {
        let read = |form: &str| Draft::read(&Fields::parse(form.as_bytes()).unwrap());
        let plain = read("text=a%0D%0Ab&html=%3Cb%3Ex%3C/b%3E&rich=");
        assert_eq!((plain.text.as_str(), plain.html), ("a\nb", None));
        let rich =
            read("text=&html=%3Cp%3E%3Cb%3Ex%3C/b%3E%3C/p%3E%3Cscript%3Ey%3C/script%3E&rich=1");
        assert_eq!(rich.text, "x\n", "the doubts before sending are about the text");
        assert!(rich.html.is_some());
    }

    #[test]
    fn a_template_comes_first_and_takes_no_place() {
        let template = || Draft {
            subject: "Template".into(),
            to: "a@b.example".into(),
            text: "Dear\n".into(),
            html: Some("<p>Dear</p>".into()),
            ..Draft::default()
        };
        let mut empty = Draft { html: Some("<div>x</div>".into()), ..Draft::default() };
        empty.begin_with(template());
        assert_eq!((empty.subject.as_str(), empty.to.as_str()), ("Template", "a@b.example"));
        assert_eq!(empty.html.as_deref(), Some("<p>Dear</p><div>x</div>"));
        let mut answer = Draft {
            subject: "Re: x".into(),
            cc: "c@d.example".into(),
            text: "> x".into(),
            ..Draft::default()
        };
        answer.begin_with(template());
        assert_eq!((answer.subject.as_str(), answer.to.as_str()), ("Re: x", ""));
        assert_eq!((answer.text.as_str(), answer.html), ("Dear\n\n> x", None));
        let mut rich = Draft { html: Some(String::new()), ..Draft::default() };
        rich.begin_with(Draft { html: None, text: "a < b".into(), ..template() });
        assert_eq!(rich.html.as_deref(), Some("<div>a &lt; b</div>"));
    }

    #[test]
    fn an_original_is_a_flag_a_number_and_a_folder() {
        assert_eq!(original("\\Answered 7 My Folder"), "\\Answered 7 My Folder");
        for bad in
            ["", "\\Deleted 7 INBOX", "\\Answered x INBOX", "\\Answered 7", "\\Answered 7 a\r\nb"]
        {
            assert_eq!(original(bad), "", "{bad}");
        }
    }
}

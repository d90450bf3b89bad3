//! The way through a message: every thing is looked at by content and by name, scanned with the
//! malware rules, and opened if it holds other things.

use std::time::Instant;

use crate::archive;
use crate::html;
use crate::kind::Kind;
use crate::limits::{Budget, Limits, Stop};
use crate::malware::{Rules, Scan};
use crate::message;
use crate::name::{self, Name};
use crate::office;
use crate::pdf;
use crate::report::{Class, Finding, Report, shown};
use crate::signed;
use crate::text;

/// A message with more findings than this is no better known with more of the same class.
const MOST_FINDINGS: usize = 200;

/// What surrounds a thing: names matter where a reader may click on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// A leaf that mail programs show as text.
    Body,
    /// An attachment, or a member of an archive: a file that a reader may open.
    Files,
    /// A part of a document: its name is for programs alone.
    Document,
}

pub(crate) struct Walk<'r> {
    pub(crate) budget: Budget,
    rules: std::marker::PhantomData<&'r Rules>,
    scan: Scan,
    report: Report,
    place: Vec<String>,
    part: Option<u32>,
    depth: u32,
    is_over: bool,
    /// Bytes to look at, those of overlapping members counted again.
    most: u64,
    /// What the media type of the leaf at hand says.
    typed: Option<Kind>,
}

impl<'r> Walk<'r> {
    pub(crate) fn new(limits: &Limits, rules: &'r Rules, deadline: Instant) -> Self {
        let budget = Budget::new(limits, deadline);
        let scan = Scan::new(rules);
        let (report, place) = (Report::default(), Vec::new());
        Walk {
            budget,
            rules: std::marker::PhantomData,
            scan,
            report,
            place,
            part: None,
            depth: 0,
            is_over: false,
            most: limits.bytes,
            typed: None,
        }
    }

    pub(crate) fn finish(self) -> Report {
        self.report
    }

    /// Adds a finding about the thing at hand, unless the same stands there already.
    pub(crate) fn find(&mut self, class: Class, reason: impl Into<String>) {
        let finding =
            Finding { class, part: self.part, place: self.place.clone(), reason: reason.into() };
        if self.report.findings.contains(&finding) {
            return;
        }
        if self.report.findings.len() < MOST_FINDINGS {
            return self.report.findings.push(finding);
        }
        // Full: one of a class that was met often makes room for the first of a class that was
        // not, so that the strictest action of any policy stays the same.
        for class in [Class::Limit, class] {
            if !self.report.findings.iter().any(|known| known.class == class) {
                self.crowd_out();
                let reason = if class == Class::Limit && finding.class != Class::Limit {
                    format!("there are more than {MOST_FINDINGS} findings")
                } else {
                    finding.reason.clone()
                };
                self.report.findings.push(Finding { class, reason, ..finding.clone() });
            }
        }
    }

    /// Drops the last finding of the class that has most.
    fn crowd_out(&mut self) {
        let count = |class: Class| {
            self.report.findings.iter().filter(|finding| finding.class == class).count()
        };
        let fullest = Class::ALL.iter().copied().max_by_key(|class| count(*class));
        let last = self.report.findings.iter().rposition(|it| Some(it.class) == fullest);
        if let Some(last) = last {
            self.report.findings.remove(last);
        }
    }

    /// Like [`Walk::find`], about something inside the thing at hand that is not opened.
    pub(crate) fn find_in(&mut self, name: &str, class: Class, reason: impl Into<String>) {
        self.place.push(shown(name));
        self.find(class, reason);
        self.place.pop();
    }

    /// Whether something of such a class was found in the thing at hand.
    pub(crate) fn found_here(&self, is: impl Fn(Class) -> bool) -> bool {
        let inside =
            |finding: &Finding| finding.part == self.part && finding.place.starts_with(&self.place);
        self.report.findings.iter().any(|finding| inside(finding) && is(finding.class))
    }

    /// What unpacking stopped at, as a finding.
    pub(crate) fn stopped(&mut self, stop: Option<Stop>) {
        match stop {
            Some(Stop::Limit(reason)) => self.find(Class::Limit, reason),
            Some(Stop::Damaged(reason)) => self.find(Class::Damaged, shown(&reason)),
            Some(Stop::Unseen(reason)) => {
                self.find(Class::Ambiguous, format!("it was not seen whole: {}", shown(&reason)));
            }
            None => {}
        }
    }

    /// Whether to stop altogether; the reason becomes a finding once.
    pub(crate) fn is_over(&mut self) -> bool {
        if !self.is_over && self.budget.is_late() {
            self.is_over = true;
            self.find(Class::Limit, "the time for one message is over");
        }
        self.is_over
    }

    /// Says how long the message is: what it has of itself doesn't count as unpacked.
    pub(crate) fn begin(&mut self, length: u64) {
        self.most = self.most.saturating_add(length.saturating_mul(2));
    }

    /// The message itself: its leaves, each with its number.
    pub(crate) fn top(&mut self, bytes: &[u8]) {
        self.begin(bytes.len() as u64);
        self.message(bytes, true);
    }

    /// A message, by its leaves. Only those of the outermost one are numbered.
    pub(crate) fn message(&mut self, bytes: &[u8], is_top: bool) {
        let split = message::split_until(bytes, self.budget.deadline);
        for oddity in &split.oddities {
            self.find(Class::Ambiguous, oddity.clone());
        }
        for limit in &split.limits {
            self.find(Class::Limit, limit.clone());
        }
        for range in split.outside.clone() {
            let hidden = bytes.get(range).unwrap_or_default();
            self.rules(hidden);
            self.coded(hidden);
        }
        let contents: Vec<_> = split.leaves.iter().map(|leaf| leaf.content(bytes)).collect();
        for (index, (leaf, content)) in split.leaves.iter().zip(&contents).enumerate() {
            if self.is_over() {
                return;
            }
            if is_top {
                self.part = u32::try_from(index).ok();
            }
            self.leaf(leaf, content);
            if is_top {
                self.part = None;
            }
        }
        // What another reader sees beyond that has no number: it can't be taken out.
        for (leaf, content) in message::others(bytes, &split, &contents, self.budget.deadline) {
            if self.is_over() {
                return;
            }
            let name = leaf.name().unwrap_or("a part").to_owned();
            self.find_in(&name, Class::Ambiguous, "mail programs disagree about what this part is");
            self.leaf(&leaf, &content);
        }
    }

    /// The content of something signed: a part of a message with its header.
    pub(crate) fn within_message(&mut self, bytes: &[u8]) {
        self.opened(&["signed content"], |walk| walk.message(bytes, false));
    }

    fn leaf(&mut self, leaf: &message::Leaf, content: &[u8]) {
        let kind = &leaf.content_type;
        if kind.main == "message" && matches!(kind.sub.as_str(), "partial" | "external-body") {
            self.find(Class::Opaque, format!("message/{} has its content elsewhere", kind.sub));
        }
        let is_message = kind.main == "message"
            && matches!(kind.sub.as_str(), "rfc822" | "global" | "news" | "rfc822-headers");
        let is_body = kind.main == "text" && leaf.names.is_empty() && !leaf.is_attachment;
        if is_body {
            self.coded(content);
        }
        let within = if is_body { Within::Body } else { Within::Files };
        let names: Vec<&str> = leaf.names.iter().map(String::as_str).collect();
        if is_message {
            // What calls itself a message may be something else to who opens it by its name.
            self.opened(&names, |walk| walk.message(content, false));
            let kinds = Kind::all(content, &names);
            if names.is_empty() && kinds.iter().all(|kind| *kind == Kind::Message) {
                return;
            }
        }
        let typed = match (kind.main.as_str(), kind.sub.as_str()) {
            ("text", "html") | ("image", "svg+xml") | ("application", "xhtml+xml") => {
                Some(Kind::Html)
            }
            ("application", "pkcs7-mime" | "x-pkcs7-mime") => Some(Kind::Cms),
            ("application", "pgp-encrypted") => Some(Kind::Pgp),
            ("application", "ms-tnef" | "vnd.ms-tnef") => Some(Kind::Tnef),
            _ => None,
        };
        self.typed = typed;
        self.thing(&names, content, within);
        self.typed = None;
    }

    /// Files that are written into a text.
    fn coded(&mut self, text: &[u8]) {
        self.uuencoded(text);
        archive::wrapped::yenc(self, text);
        if memchr::memmem::find(text, b"must be converted with BinHex").is_some() {
            archive::wrapped::walk(self, crate::kind::Wrapping::BinHex, text);
        }
        if memchr::memmem::find(text, b"-----BEGIN PGP MESSAGE").is_some() {
            signed::pgp(self);
        }
    }

    fn uuencoded(&mut self, text: &[u8]) {
        for (name, content) in message::uuencoded(text) {
            self.thing(&[&name], &content, Within::Files);
        }
    }

    /// One thing, under one or more names: looks at it and opens it.
    pub(crate) fn thing(&mut self, names: &[&str], data: &[u8], within: Within) {
        if self.is_over() {
            return;
        }
        if !self.budget.enter() {
            self.is_over = true;
            return self.find(
                Class::Limit,
                format!("there are more than {} things in it", self.budget.limits.entries),
            );
        }
        self.report.parts = self.report.parts.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(data.len() as u64);
        if self.report.bytes > self.most {
            self.is_over = true;
            return self
                .find(Class::Limit, format!("there are more than {} bytes to look at", self.most));
        }
        self.opened(names, |walk| {
            let mut kinds = Kind::all(data, names);
            kinds.extend(walk.typed.take().filter(|kind| !kinds.contains(kind)));
            if within == Within::Files {
                walk.names(names, &kinds, data);
            }
            for kind in &kinds {
                walk.content(*kind, within);
            }
            walk.rules(data);
            if within == Within::Files {
                walk.text(names, data);
            }
            for kind in kinds {
                if walk.is_over() {
                    return;
                }
                walk.open(kind, names, data);
            }
        });
    }

    /// Runs `look` one level deeper, with the first name added to the place.
    fn opened(&mut self, names: &[&str], look: impl FnOnce(&mut Self)) {
        let length = self.place.len();
        self.place.extend(names.first().map(|name| shown(name)));
        self.depth += 1;
        if self.depth > self.budget.limits.depth {
            self.find(
                Class::Limit,
                format!("more than {} things inside each other", self.budget.limits.depth),
            );
        } else {
            look(self);
        }
        self.depth -= 1;
        self.place.truncate(length);
    }

    /// What the names promise, and whether the content keeps it.
    pub(crate) fn names(&mut self, names: &[&str], kinds: &[Kind], data: &[u8]) {
        // A file has no slash at its end; who unpacks it leaves that out.
        let ends = |it: char| matches!(it, '/' | '\\') && !data.is_empty();
        for raw in names.iter().flat_map(|raw| name::readings(raw.trim_end_matches(ends))) {
            let raw = raw.as_str();
            let name = Name::new(raw);
            if let Some(reason) = name::deception(raw) {
                self.find(Class::DeceptiveName, format!("{} is deceptive: {reason}", quoted(raw)));
            }
            if let Some((class, what)) = name.danger() {
                let is_mistake = name::deception(raw).is_none() && Kind::is_plainly_harmless(data);
                if is_mistake || name.needs_content() && !name.is_kept(data) {
                    // A name like that on a picture, a PDF or any text is a mistake more often.
                    self.find(
                        Class::Opaque,
                        format!("{} has the name of {what}, and other content", quoted(raw)),
                    );
                } else {
                    self.find(class, format!("{} is the name of {what}", quoted(raw)));
                }
            } else if kinds.iter().any(|kind| kind.contradicts(&name.extension)) {
                self.find(
                    Class::DeceptiveName,
                    format!("{} is not what its name says", quoted(raw)),
                );
            }
        }
    }

    /// What the content is of itself.
    fn content(&mut self, kind: Kind, within: Within) {
        match kind {
            Kind::Program(what) => {
                self.find(Class::Executable, format!("its content is a program ({what})"))
            }
            Kind::Script(what) if within == Within::Files => {
                self.find(Class::Script, format!("its content is a script ({what})"))
            }
            Kind::Shortcut(what) if within == Within::Files => {
                self.find(Class::Shortcut, format!("its content is a shortcut ({what})"))
            }
            Kind::Opaque(what) => self.find(Class::Opaque, format!("{what} can't be opened here")),
            _ => {}
        }
    }

    /// Scans bytes with the malware rules.
    pub(crate) fn rules(&mut self, data: &[u8]) {
        match self.scan.matches(data, self.budget.deadline) {
            Ok(matches) => {
                for found in matches {
                    self.find(found.class, found.reason);
                }
            }
            Err(reason) => self.find(Class::Limit, reason),
        }
    }

    /// A member of a container, with what kept it from being unpacked whole.
    pub(crate) fn member(
        &mut self,
        names: &[&str],
        content: &[u8],
        stop: Option<Stop>,
        within: Within,
    ) {
        if stop.is_some() {
            let length = self.place.len();
            self.place.extend(names.first().map(|name| shown(name)));
            self.stopped(stop);
            self.place.truncate(length);
        }
        self.thing(names, content, within);
    }

    /// Looks once more at a member, as part of the document around it.
    pub(crate) fn inside(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        self.place.push(shown(name));
        look(self);
        self.place.pop();
    }

    /// A member whose content can't be reached: only its name counts.
    pub(crate) fn only_named(&mut self, name: &str) {
        if self.budget.enter() {
            self.report.parts = self.report.parts.saturating_add(1);
            self.place.push(shown(name));
            self.names(&[name], &[], b"");
            self.place.pop();
        }
    }

    /// Members that need a password, as one finding about the archive.
    pub(crate) fn encrypted(&mut self, names: &[String]) {
        if let Some(first) = names.first() {
            let count = names.len();
            self.find(
                Class::EncryptedArchive,
                format!("{count} of its members need a password, {} first", quoted(first)),
            );
        }
    }

    /// Text with files in it, and text that programs open as cells.
    fn text(&mut self, names: &[&str], data: &[u8]) {
        self.coded(data);
        let is_table = |name: &&str| {
            let extension = Name::new(name).extension;
            matches!(extension.as_str(), "csv" | "tsv" | "slk" | "dif" | "iqy" | "xls")
        };
        if names.iter().any(is_table) {
            office::sheet::cells(self, &String::from_utf8_lossy(data));
        }
    }

    fn open(&mut self, kind: Kind, names: &[&str], data: &[u8]) {
        match kind {
            Kind::Gzip | Kind::Bzip2 | Kind::Xz | Kind::Lzma | Kind::Zstd => {
                archive::single::walk(self, kind, names.first().copied(), data);
            }
            Kind::Zip => archive::zip::walk(self, data),
            Kind::SevenZip => archive::sevenzip::walk(self, data),
            Kind::Rar => archive::rar::walk(self, data),
            Kind::Tar => archive::tar::walk(self, data),
            Kind::Cpio => archive::cpio::walk(self, data),
            Kind::Ar => archive::cpio::ar(self, data),
            Kind::Iso => archive::iso::walk(self, data),
            Kind::Cab => archive::cab::walk(self, data),
            Kind::OneNote => archive::onenote::walk(self, data),
            Kind::Tnef => archive::tnef::walk(self, data),
            Kind::Wrapped(how) => archive::wrapped::walk(self, how, data),
            Kind::Ole => office::ole::walk(self, data),
            Kind::Rtf => office::rtf::walk(self, data),
            Kind::Html => html::walk(self, data),
            Kind::Pdf => pdf::walk(self, data),
            Kind::FlatXml => text::flat_document(self, data),
            Kind::ActiveMime => text::active_mime(self, data),
            Kind::Sylk => text::sylk(self, data),
            Kind::Card => text::card(self, data),
            Kind::Cms => signed::cms(self, data),
            Kind::Pgp => signed::pgp(self),
            Kind::Message => {
                for one in text::mailbox(data) {
                    self.message(one, false);
                }
                if let Some(at) = Kind::web_archive(data).filter(|at| *at > 0) {
                    self.message(data.get(at..).unwrap_or_default(), false);
                }
            }
            _ => {}
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", shown(name))
}

//! Zip (PKWARE's APPNOTE 6.3.10): every member under every reading of the file.
//!
//! Written here because libraries read what one directory lists, and archives made to pass
//! filters hold more: several directories, members that none lists, two entries for one member,
//! names that differ between directory and member. Programs that unpack them pick different ones,
//! so that three readings are put together: by the directories, by the local headers, and by
//! every entry that stands anywhere in the file.

mod header;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use header::Member;

use crate::limits::Stop;
use crate::office::xml;
use crate::report::Class;
use crate::walk::{Walk, Within};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";

const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;
/// The method that stands for AES (APPNOTE appendix E).
const AES: u16 = 99;

/// What an archive is by the names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Archive,
    Ooxml,
    OpenDocument,
    Java,
    Android,
}

/// What the directories say.
#[derive(Debug, Default)]
struct Listing {
    /// Entries by the place of their local header; one place may have several.
    members: BTreeMap<usize, Vec<Member>>,
    /// Entries of a directory without a local header where they say it is.
    lost: Vec<Member>,
    /// Entries that stand outside of every directory: in comments, in members, alone.
    stray: Vec<Member>,
}

/// Hands every member of the archive to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let Some(listing) = listing(walk, data) else { return };
    let flavour = flavour(listing.members.values().flatten().chain(&listing.lost), data);
    match flavour {
        Flavour::Java => walk.find(Class::Executable, "its content is a program (Java archive)"),
        Flavour::Android => {
            walk.find(Class::Executable, "its content is a program (Android package)")
        }
        _ => {}
    }
    let mut reader = Reader { data, flavour, encrypted: Vec::new(), covered: Vec::new() };
    for (at, entries) in &listing.members {
        if walk.is_over() {
            return;
        }
        reader.member(walk, *at, entries);
    }
    reader.unlisted(walk, &listing);
    walk.encrypted(&reader.encrypted);
    for member in listing.lost.iter().chain(&listing.stray) {
        for name in &member.names {
            walk.only_named(name);
        }
    }
    if !listing.lost.is_empty() && !walk.is_over() {
        let count = listing.lost.len();
        walk.find(
            Class::Ambiguous,
            format!("{count} of its members are not where its directory says"),
        );
    } else if listing.members.is_empty() && !data.starts_with(crate::kind::ZIP_END) {
        walk.find(Class::Ambiguous, "it has no directory of its members");
    }
}

struct Reader<'d> {
    data: &'d [u8],
    flavour: Flavour,
    encrypted: Vec<String>,
    /// Spans of data that were looked at.
    covered: Vec<(usize, usize)>,
}

impl Reader<'_> {
    /// One local header with everything that directories say about it.
    fn member(&mut self, walk: &mut Walk<'_>, at: usize, entries: &[Member]) {
        let Some(local) = header::local(self.data, at) else { return };
        let mut names: Vec<&str> = Vec::new();
        for name in entries.iter().flat_map(|it| &it.names).chain(&local.names) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let is_locked = |member: &&Member| member.flags & ENCRYPTED != 0 || member.method == AES;
        let locked = entries.iter().chain([&local]).filter(is_locked).count();
        if locked > entries.len() && !self.is_plain(walk, &local, entries) {
            self.encrypted.push(names.first().copied().unwrap_or_default().to_owned());
            for name in &names {
                walk.only_named(name);
            }
            let length = entries.first().map_or(local.packed, |entry| entry.packed);
            let end = local.end.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            self.covered.push((local.end, end));
            return;
        }
        if locked > 0 {
            let first = names.first().copied().unwrap_or_default();
            walk.find_in(first, Class::Ambiguous, "programs disagree whether it is encrypted");
        }
        // What the directory says first; the local header's word where it differs.
        let mut readings: Vec<(u16, Option<u64>)> = Vec::new();
        let own = (local.flags & SIZES_FOLLOW == 0).then_some(local.packed);
        let local_says = (local.method, own.or(entries.first().map(|entry| entry.packed)));
        for reading in entries.iter().map(|it| (it.method, Some(it.packed))).chain([local_says]) {
            if reading.0 != AES && !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        for (index, (method, length)) in readings.iter().enumerate() {
            if walk.is_over() {
                return;
            }
            self.content(walk, &names, local.end, *method, *length, index > 0);
        }
    }

    /// Whether a member has its content as it is although every header says that it is encrypted:
    /// some programs ask for no password then.
    fn is_plain(&self, walk: &mut Walk<'_>, local: &Member, entries: &[Member]) -> bool {
        let member = entries.first().unwrap_or(local);
        if !matches!(member.method, 0 | 8) {
            return false;
        }
        let rest = self.data.get(local.end..).unwrap_or_default();
        let length = usize::try_from(member.packed).unwrap_or(usize::MAX);
        let (content, ..) = unpack(walk, member.method, rest.get(..length).unwrap_or(rest));
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        !content.is_empty() && crc.sum() == member.crc
    }

    /// One reading of a member's data.
    fn content(
        &mut self,
        walk: &mut Walk<'_>,
        names: &[&str],
        start: usize,
        method: u16,
        length: Option<u64>,
        is_second: bool,
    ) {
        let rest = self.data.get(start..).unwrap_or_default();
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let packed = length.and_then(|length| rest.get(..length)).unwrap_or(rest);
        let (content, used, stop) = unpack(walk, method, packed);
        self.covered.push((start, start.saturating_add(used)));
        if is_second && !content.is_empty() {
            let first = names.first().copied().unwrap_or_default();
            walk.find_in(first, Class::Ambiguous, "its two headers differ in how it is packed");
        } else if is_second {
            return;
        }
        walk.member(names, &content, stop, Within::Files);
        let flavour = self.flavour;
        for name in names {
            match flavour {
                Flavour::Ooxml => walk.inside(name, |walk| xml::ooxml(walk, name, &content)),
                Flavour::OpenDocument => {
                    walk.inside(name, |walk| xml::open_document(walk, name, &content));
                }
                _ => {}
            }
        }
    }

    /// Local headers that no directory lists, where nothing else was read.
    fn unlisted(&mut self, walk: &mut Walk<'_>, listing: &Listing) {
        let is_listed = !listing.members.is_empty();
        self.covered.sort_unstable();
        let mut spans = std::mem::take(&mut self.covered).into_iter().peekable();
        let mut covered = 0;
        for at in memchr::memmem::find_iter(self.data, LOCAL) {
            while let Some((_, end)) = spans.next_if(|(start, _)| *start <= at) {
                covered = covered.max(end);
            }
            if walk.is_over() {
                return;
            }
            if at < covered || listing.members.contains_key(&at) {
                continue;
            }
            let Some(local) = header::local(self.data, at) else { continue };
            if is_listed {
                let what = "the archive's directory doesn't list it";
                walk.find_in(local.name(), Class::Ambiguous, what);
            }
            self.member(walk, at, &[]);
            covered = self.covered.drain(..).map(|(_, end)| end).fold(covered, usize::max);
        }
    }
}

/// A run of directory entries, with the end records that lead to it.
struct Directory {
    start: usize,
    end: usize,
    entries: Vec<Member>,
    leading: Vec<header::End>,
}

impl Directory {
    /// Local headers that an entry may mean: after a self-extractor's program, offsets count from the
    /// program or from the archive.
    fn places(&self, data: &[u8], member: &Member) -> Vec<usize> {
        let shifts = self.leading.iter().map(|it| (self.start as u64).saturating_sub(it.offset));
        let mut places: Vec<usize> = shifts
            .chain([0])
            .filter_map(|shift| usize::try_from(member.offset.saturating_add(shift)).ok())
            .filter(|at| data.get(*at..).is_some_and(|rest| rest.starts_with(LOCAL)))
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether the archive lies in a member, and is seen when that is looked at: as it is in a stored one,
    /// and in a deflated one where deflating left its bytes alone.
    fn is_inside(&self, walk: &mut Walk<'_>, data: &[u8], spans: &mut Spans) -> bool {
        let Some((start, span)) = spans.range_mut(..=self.start).next_back() else { return false };
        let is_in = |at: usize| (*start..span.end).contains(&at);
        if self.leading.is_empty()
            || !is_in(self.end.saturating_sub(1))
            || !self.leading.iter().all(|it| is_in(it.at))
        {
            return false;
        }
        if span.method == 0 {
            let places = |member| self.places(data, member).into_iter().any(is_in);
            return self.entries.iter().all(places);
        }
        let packed = data.get(*start..span.end).unwrap_or_default();
        let content = span.content.get_or_insert_with(|| unpack(walk, span.method, packed).0);
        let entries = data.get(self.start..self.end).unwrap_or_default();
        memchr::memmem::find(content, entries).is_some()
    }
}

/// Data of members that are plainly in one place, by their start.
type Spans = BTreeMap<usize, Span>;

struct Span {
    end: usize,
    method: u16,
    /// What is in a deflated one, once that was asked.
    content: Option<Vec<u8>>,
}

/// Reads every directory that an end record leads to, and every entry that stands elsewhere.
fn listing(walk: &mut Walk<'_>, data: &[u8]) -> Option<Listing> {
    let ends = header::ends(data);
    let mut directories = Vec::new();
    let mut until = 0;
    let most = usize::try_from(walk.budget.limits.entries).unwrap_or(usize::MAX);
    let mut count = 0;
    for start in memchr::memmem::find_iter(data, CENTRAL) {
        if start < until {
            continue;
        }
        let mut entries = Vec::new();
        let mut end = start;
        while let Some(member) = header::central(data, end) {
            end = member.end;
            entries.push(member);
            count += 1;
            if count > most || walk.is_over() {
                walk.find(Class::Limit, format!("there are more than {most} things in it"));
                return None;
            }
        }
        until = end;
        let leads = |it: &&header::End| {
            let before = u64::try_from(it.at).unwrap_or(u64::MAX).saturating_sub(it.size);
            it.at >= end && (it.offset == start as u64 || before == start as u64 || it.at == end)
        };
        let leading = ends.iter().filter(leads).copied().collect();
        directories.push(Directory { start, end, entries, leading });
    }
    let mut listing = Listing::default();
    // The directory that readers take stands last.
    let mut spans = Spans::new();
    for directory in directories.into_iter().rev() {
        if !directory.is_inside(walk, data, &mut spans) {
            add(&mut listing, data, directory, &mut spans);
        }
    }
    Some(listing)
}

fn add(listing: &mut Listing, data: &[u8], directory: Directory, spans: &mut Spans) {
    let is_led = !directory.leading.is_empty();
    for member in &directory.entries {
        let places = directory.places(data, member);
        match (places.is_empty(), is_led) {
            (true, true) => listing.lost.push(member.clone()),
            (_, false) => listing.stray.push(member.clone()),
            _ => {
                for place in places {
                    spans.extend(span(data, place, member));
                    let known = listing.members.entry(place).or_default();
                    if !known.contains(member) {
                        known.push(member.clone());
                    }
                }
            }
        }
    }
}

/// Where the data of a member is, if directory and local header agree on it.
fn span(data: &[u8], place: usize, member: &Member) -> Option<(usize, Span)> {
    let local = header::local(data, place)?;
    let agree = local.method == member.method
        && (local.flags & SIZES_FOLLOW != 0 || local.packed == member.packed);
    let is_plain = matches!(member.method, 0 | 8) && (member.flags | local.flags) & ENCRYPTED == 0;
    let end = local.end.checked_add(usize::try_from(member.packed).ok()?)?;
    (agree && is_plain).then_some((local.end, Span { end, method: member.method, content: None }))
}

/// Part names know no case (ECMA-376-2, 6.2.2.3), nor do the file systems that Java runs on.
fn flavour<'a>(members: impl Iterator<Item = &'a Member>, data: &[u8]) -> Flavour {
    let mut flavour = Flavour::Archive;
    let names = members.flat_map(|member| &member.names);
    for name in names {
        match name.to_ascii_lowercase().replace('\\', "/").trim_start_matches('/') {
            "[content_types].xml" => return Flavour::Ooxml,
            "androidmanifest.xml" => return Flavour::Android,
            "meta-inf/manifest.xml" => flavour = Flavour::OpenDocument,
            "meta-inf/manifest.mf" if flavour == Flavour::Archive => flavour = Flavour::Java,
            _ => {}
        }
    }
    if flavour == Flavour::Archive
        && memchr::memmem::find(data, b"[Content_Types].xml").is_some()
        && memchr::memmem::find(data, CENTRAL).is_none()
    {
        return Flavour::Ooxml;
    }
    flavour
}

/// What came out, how much went in, and why it ended early.
fn unpack(walk: &mut Walk<'_>, method: u16, packed: &[u8]) -> (Vec<u8>, usize, Option<Stop>) {
    let size = packed.len() as u64;
    let mut input = Cursor::new(packed);
    let (content, stop) = match method {
        0 => return (packed.to_vec(), packed.len(), None),
        8 => {
            let mut decoder = flate2::read::DeflateDecoder::new(&mut input);
            let (content, stop) = walk.budget.unpack(&mut decoder, size);
            let used = usize::try_from(decoder.total_in()).unwrap_or(packed.len());
            return (content, used, stop);
        }
        9 => walk.budget.unpack(deflate64::Deflate64Decoder::new(&mut input), size),
        12 => walk.budget.unpack(bzip2::read::BzDecoder::new(&mut input), size),
        95 => walk.budget.unpack(lzma_rust2::XzReader::new(&mut input, false), size),
        _ => match reader_of(method, &mut input) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(stop) => (Vec::new(), Some(stop)),
        },
    };
    (content, packed.len(), stop)
}

/// The decoders that need a look at the data before they start.
fn reader_of<'a>(method: u16, input: &'a mut Cursor<&'a [u8]>) -> Result<Box<dyn Read + 'a>, Stop> {
    match method {
        14 => super::single::zip_lzma(input).map_err(Stop::Unseen),
        20 | 93 => super::single::zstd(input).map_err(Stop::Unseen),
        _ => Err(Stop::Unseen(format!("compression method {method} can't be undone here"))),
    }
}

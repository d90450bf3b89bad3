//! RAR, every version, by the crate rars: the members one by one.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Instant;

use rars::{
    ArchiveReadOptions, ArchiveReader, ErrorKind, ExtractionDecision, ExtractionErrorAction,
};

use crate::limits::Stop;
use crate::walk::{Walk, Within};

/// What a decoder may hold: the dictionaries that WinRAR makes by default are half of it.
const WORKSPACE: u64 = 128 << 20;
const HEADER_BYTES: u64 = 16 << 20;

/// One member as it comes out, up to its limit.
#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    stop: Option<Stop>,
}

struct Sink {
    content: Rc<RefCell<Content>>,
    allowance: usize,
    excess: String,
    deadline: Instant,
}

impl Write for Sink {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let mut content = self.content.borrow_mut();
        let reason = if Instant::now() >= self.deadline {
            "the time for one message is over"
        } else if content.bytes.len().saturating_add(chunk.len()) > self.allowance {
            self.excess.as_str()
        } else {
            content.bytes.extend_from_slice(chunk);
            return Ok(chunk.len());
        };
        content.stop = Some(Stop::Limit(reason.to_owned()));
        Err(io::Error::other("limit"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands every file to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let options = ArchiveReadOptions::new()
        .with_max_header_count(u64::from(walk.budget.limits.entries) + 16)
        .with_max_header_bytes(HEADER_BYTES)
        .with_max_reader_workspace_bytes(WORKSPACE)
        .with_rar50_dictionary_size_limit(WORKSPACE / 2);
    let archive = match ArchiveReader::read_with_options(data, options) {
        Ok(archive) => archive,
        Err(error) => return failed(walk, &error),
    };
    let size = data.len() as u64;
    let mut open: Option<(String, Rc<RefCell<Content>>)> = None;
    let mut encrypted = Vec::new();
    let walk_cell = RefCell::new(&mut *walk);
    let result = archive.extract_with_control_and_errors(
        options,
        |member| {
            let mut walk = walk_cell.borrow_mut();
            finish(&mut walk, open.take());
            let meta = &member.meta;
            let decoded =
                member.decoded_name(None).unwrap_or(std::borrow::Cow::Borrowed(&meta.name));
            let name = String::from_utf8_lossy(&decoded).into_owned();
            if walk.is_over() {
                return Ok(ExtractionDecision::Stop);
            }
            if meta.is_directory {
                return Ok(ExtractionDecision::Skip);
            }
            if meta.is_encrypted
                || meta.is_split_before
                || meta.is_split_after
                || meta.is_redirection
            {
                walk.only_named(&name);
                if meta.is_encrypted {
                    encrypted.push(name);
                } else if !meta.is_redirection {
                    walk.find_in(
                        &name,
                        crate::Class::Opaque,
                        "its other half is in another volume",
                    );
                }
                return Ok(ExtractionDecision::Skip);
            }
            let content = Rc::new(RefCell::new(Content::default()));
            let sink = Sink {
                content: Rc::clone(&content),
                allowance: usize::try_from(walk.budget.allowance(size)).unwrap_or(usize::MAX),
                excess: walk.budget.excess(size),
                deadline: walk.budget.deadline,
            };
            open = Some((name, content));
            Ok(ExtractionDecision::Extract(Box::new(sink)))
        },
        |member, error| {
            let name = member.meta.name_lossy();
            let reason = crate::shown(&error.root_cause().to_string());
            if !reason.ends_with("limit") {
                walk_cell.borrow_mut().find_in(&name, crate::Class::Ambiguous, reason);
            }
            Ok(ExtractionErrorAction::Continue)
        },
    );
    finish(walk, open);
    if let Err(error) = result
        && !walk.is_over()
    {
        failed(walk, &error);
    }
    walk.encrypted(&encrypted);
}

fn finish(walk: &mut Walk<'_>, member: Option<(String, Rc<RefCell<Content>>)>) {
    if let Some((name, content)) = member {
        let content = content.take();
        walk.budget.unpacked = walk.budget.unpacked.saturating_add(content.bytes.len() as u64);
        walk.member(&[&name], &content.bytes, content.stop, Within::Files);
    }
}

fn failed(walk: &mut Walk<'_>, error: &rars::Error) {
    let reason = error.root_cause().to_string();
    // Without the code to decrypt, an encrypted header is a feature that is missing.
    let is_locked =
        matches!(error.root_cause(), rars::Error::FeatureDisabled { feature: "encryption" });
    match error.kind() {
        _ if is_locked => {
            walk.find(crate::Class::EncryptedArchive, "even its list of members needs a password")
        }
        ErrorKind::PasswordRequired | ErrorKind::BadPassword => {
            walk.find(crate::Class::EncryptedArchive, "even its list of members needs a password");
        }
        ErrorKind::ResourceLimit => walk.stopped(Some(Stop::Limit(reason))),
        // The sink said already why it stopped.
        ErrorKind::Io if reason.ends_with("limit") => {}
        _ => walk.stopped(Some(Stop::Unseen(reason))),
    }
}

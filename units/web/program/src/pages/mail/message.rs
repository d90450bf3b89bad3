//! One message, as far as it has to be in memory: whole up to a MiB, beyond it the header and the texts.

use std::sync::Arc;

use mailkiln_servers::imap::{Fetched, Part, Session, Structure};

use crate::mailbox::{Mailbox, problem};
use crate::problem::Problem;

/// A message of fewer bytes is read at once.
const WHOLE: u32 = 1 << 20;
/// Of a larger one, texts up to this many bytes each are read.
const TEXT: u64 = 512 << 10;
/// And no more of them than these.
const TEXTS: usize = 8;

/// An open message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Flags, size, and what a list shows of it.
    pub(super) row: Fetched,
    /// Its bytes; of a large one a message made of its header and texts.
    pub(super) bytes: Arc<Vec<u8>>,
    /// The parts of a large one.
    pub(super) structure: Option<Structure>,
}

/// The message that a session opened last: the pane and its frame ask for the same.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    folder: String,
    uid_validity: u32,
    uid: u32,
    bytes: Arc<Vec<u8>>,
    structure: Option<Structure>,
}

/// Opens a message of a folder.
///
/// # Errors
/// [`Problem::NotFound`] if it is gone.
pub(super) async fn open(
    mailbox: &mut Mailbox,
    folder: &str,
    uid: u32,
) -> Result<Message, Problem> {
    let selected = mailbox.imap()?.select(folder).await.map_err(problem)?;
    let wanted = (folder, selected.uid_validity, uid);
    if let Some(last) = &mailbox.last
        && (last.folder.as_str(), last.uid_validity, last.uid) == wanted
    {
        let (bytes, structure) = (Arc::clone(&last.bytes), last.structure.clone());
        let row = mailbox.imap()?.summary(uid).await.map_err(problem)?;
        return Ok(Message { row, bytes, structure });
    }
    let imap = mailbox.imap()?;
    let (row, start) = imap.start_of(uid, WHOLE).await.map_err(problem)?;
    // What the server says of the size may be a little off; less than was asked for is all there is.
    let (bytes, structure) = if start.len() < WHOLE as usize {
        (start, None)
    } else {
        let structure = imap.structure(uid).await.map_err(problem)?.structure.unwrap_or_default();
        (texts(imap, uid, &structure).await?, Some(structure))
    };
    let bytes = Arc::new(bytes);
    mailbox.last = Some(Last {
        folder: folder.to_owned(),
        uid_validity: selected.uid_validity,
        uid,
        bytes: Arc::clone(&bytes),
        structure: structure.clone(),
    });
    Ok(Message { row, bytes, structure })
}

/// A message of the header and the texts of a large one.
async fn texts(imap: &mut Session, uid: u32, structure: &Structure) -> Result<Vec<u8>, Problem> {
    let header = imap.section(uid, "HEADER").await.map_err(problem)?;
    let shown = |part: &&Part| {
        part.kind.starts_with("text/")
            && part.size <= TEXT
            && part.disposition.as_deref() != Some("attachment")
    };
    let mut parts = Vec::new();
    for part in structure.parts.iter().filter(shown).take(TEXTS) {
        // The only part of a message has no header of its own.
        let own = if structure.parts.len() == 1 {
            "HEADER".to_owned()
        } else {
            format!("{}.MIME", part.path)
        };
        let head = imap.section(uid, &own).await.map_err(problem)?;
        let body = imap.section(uid, &part.path).await.map_err(problem)?;
        parts.push((part.inside == "alternative", content_fields(&head), body));
    }
    Ok(join(&header, &parts))
}

/// Joins texts below a header. The boundary stands in none of them.
fn join(header: &[u8], parts: &[(bool, Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut boundary = "mailkiln".to_owned();
    let holds = |boundary: &str| {
        parts
            .iter()
            .any(|(_, _, body)| body.windows(boundary.len()).any(|it| it == boundary.as_bytes()))
    };
    while holds(&boundary) {
        boundary.push('x');
    }
    let kind =
        if parts.iter().any(|(alternative, ..)| *alternative) { "alternative" } else { "mixed" };
    let mut message = other_fields(header);
    message.extend_from_slice(
        format!("MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary={boundary}\r\n\r\n")
            .as_bytes(),
    );
    for (_, head, body) in parts {
        message.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        message.extend_from_slice(head);
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(body);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    message
}

/// The fields of a header that say how a body is written.
fn content_fields(header: &[u8]) -> Vec<u8> {
    fields(header, |name| name.starts_with("content-"))
}

/// All others.
fn other_fields(header: &[u8]) -> Vec<u8> {
    fields(header, |name| !name.starts_with("content-") && name != "mime-version")
}

fn fields(header: &[u8], wanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let (mut kept, mut keep) = (Vec::new(), false);
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        if line == b"\r\n" || line == b"\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            keep = wanted(&String::from_utf8_lossy(name).trim().to_ascii_lowercase());
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_large_message_make_a_small_one() {
        let header = b"Subject: a\r\nContent-Type: multipart/mixed;\r\n boundary=y\r\nFrom: b\r\nMIME-Version: 1.0\r\n\r\n";
        let head = content_fields(b"Content-Type: text/plain\r\nX-Other: 1\r\n\r\n");
        let joined = join(header, &[(true, head, b"has mailkiln in it".to_vec())]);
        let expected = "Subject: a\r\nFrom: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=mailkilnx\r\n\r\n\
            --mailkilnx\r\nContent-Type: text/plain\r\n\r\nhas mailkiln in it\r\n--mailkilnx--\r\n";
        assert_eq!(String::from_utf8(joined).unwrap(), expected);
    }
}

//! One page of a list: which messages it has, and where the pages around it begin.

use std::sync::Arc;

use mailkiln_servers::imap::{self, Folder, Key, Selected, SpecialUse};

use super::place::Place;
use super::query::{Scope, Search};
use super::row::Row;
use crate::mailbox::{Asked, Mailbox, problem};
use crate::problem::Problem;

/// Rows of a page.
pub(super) const ROWS: u32 = 50;
/// Messages of each folder that a search in all folders shows.
const OF_EACH: usize = 20;
/// Folders that a search in all folders looks into.
const FOLDERS: usize = 200;

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Its rows.
    pub(super) rows: Vec<Row>,
    /// How many there are on all pages.
    pub(super) total: usize,
    /// How many come before the first of this page.
    pub(super) before: usize,
    /// The page after this one begins with this message.
    pub(super) older: Option<u32>,
    /// The page before this one ends before this message; none on the first page.
    pub(super) newer: Option<u32>,
    /// Words of a search that were meant as operators and are none.
    pub(super) doubtful: Vec<String>,
    /// The list has messages of several folders.
    pub(super) everywhere: bool,
    /// More was found than is shown.
    pub(super) cut: bool,
    /// The server can't sort or thread, so the list has the order of arrival.
    pub(super) plain: bool,
}

/// The page at `place`.
pub(super) async fn load(
    mailbox: &mut Mailbox,
    place: &Place,
    folders: &[Folder],
) -> Result<Listing, Problem> {
    let search = Search::read(&place.find);
    if search.scope == Scope::Everywhere {
        return everywhere(mailbox, &search, folders).await;
    }
    let folder = scoped(&search, place, folders);
    let state = mailbox.imap()?.select(&folder).await.map_err(problem)?;
    let sent = is_sent(folders, &folder);
    let mut listing = if place.grouped && mailbox.imap()?.can("THREAD=REFERENCES") {
        grouped(mailbox, place, &folder, &search, &state, sent).await?
    } else if search.keys.is_empty() && place.order.is_none() {
        window(mailbox.imap()?, place, &state, sent).await?
    } else {
        sorted(mailbox, place, &folder, &search, &state, sent).await?
    };
    listing.doubtful = search.doubtful;
    if folder != place.folder {
        listing.rows.iter_mut().for_each(|row| row.folder = Some(folder.clone()));
    }
    Ok(listing)
}

/// The folder that `in:` names, as the server writes it; else the one that is open.
pub(super) fn scoped(search: &Search, place: &Place, folders: &[Folder]) -> String {
    let Scope::Folder(name) = &search.scope else { return place.folder.clone() };
    let by_name = |folder: &&Folder| {
        folder.name.eq_ignore_ascii_case(name) || folder.last().eq_ignore_ascii_case(name)
    };
    let found = folders.iter().find(by_name);
    found.map_or_else(|| imap::folder_to_wire(name), |folder| folder.wire.clone())
}

/// Whether a list of this folder shows recipients.
pub(super) fn is_sent(folders: &[Folder], wire: &str) -> bool {
    let folder = folders.iter().find(|folder| folder.wire == wire);
    matches!(
        folder.and_then(Folder::special_use),
        Some(SpecialUse::Sent | SpecialUse::Drafts)
    )
}

/// The order of arrival: a window by number, for which the server neither sorts nor reads a message.
async fn window(
    imap: &mut imap::Session,
    place: &Place,
    state: &Selected,
    sent: bool,
) -> Result<Listing, Problem> {
    let total = state.exists;
    let last = match (place.from, place.above) {
        (Some(uid), _) => imap.place_of(uid).await.map_err(problem)?,
        (None, Some(uid)) => imap.place_of(uid).await.map_err(problem)?.saturating_add(ROWS),
        (None, None) => total,
    };
    let last = last.min(total);
    // A page that would begin in the middle of the first one is the first one.
    let last = if total - last < ROWS && place.above.is_some() { total } else { last };
    if last == 0 {
        return Ok(Listing { total: total as usize, ..Listing::default() });
    }
    let first = last.saturating_sub(ROWS - 1).max(1);
    // One more says where the next page begins.
    let mut fetched = imap.window(first.saturating_sub(1).max(1), last).await.map_err(problem)?;
    let older = match fetched.first() {
        Some(row) if row.number < first => fetched.remove(0).uid,
        _ => None,
    };
    let rows: Vec<Row> = fetched.iter().rev().map(|fetched| Row::of(fetched, sent)).collect();
    let newer = rows.first().map(|row| row.uid).filter(|_| last < total);
    Ok(Listing { rows, total: total as usize, before: (total - last) as usize, older, newer, ..Listing::default() })
}

/// Another order, or a search: a list of UIDs that is made once.
async fn sorted(
    mailbox: &mut Mailbox,
    place: &Place,
    folder: &str,
    search: &Search,
    state: &Selected,
    sent: bool,
) -> Result<Listing, Problem> {
    let (uids, plain) = found(mailbox, place, folder, search, state).await?;
    let (start, end) = bounds(place, uids.len(), |uid| uids.iter().position(|own| *own == uid));
    let page = &uids[start..end];
    let fetched = mailbox.imap()?.rows(page).await.map_err(problem)?;
    let rows: Vec<Row> = fetched.iter().map(|fetched| Row::of(fetched, sent)).collect();
    Ok(Listing {
        newer: page.first().copied().filter(|_| start > 0),
        older: uids.get(end).copied(),
        rows,
        total: uids.len(),
        before: start,
        plain,
        ..Listing::default()
    })
}

/// The UIDs of a search in an order, from what was found before if the folder has not changed. The second value says
/// that the server can't sort.
pub(super) async fn found(
    mailbox: &mut Mailbox,
    place: &Place,
    folder: &str,
    search: &Search,
    state: &Selected,
) -> Result<(Arc<Vec<u32>>, bool), Problem> {
    let asked = Asked {
        folder: folder.to_owned(),
        find: place.find.clone(),
        order: place.order,
        grouped: false,
    };
    let (imap, results) = mailbox.both()?;
    let plain = place.order.is_some() && !imap.can("SORT");
    if let Some(uids) = results.get(&asked, state) {
        return Ok((uids, plain));
    }
    let uids = match place.order {
        Some((order, newest_first)) if !plain => {
            imap.sort(order, newest_first, &search.keys).await.map_err(problem)?
        }
        _ => {
            let mut uids = imap.search(&search.keys).await.map_err(problem)?;
            uids.reverse();
            uids
        }
    };
    let uids = Arc::new(uids);
    results.put(asked, state.clone(), Arc::clone(&uids), None);
    Ok((uids, plain))
}

/// By conversation: each row is the newest message of one.
async fn grouped(
    mailbox: &mut Mailbox,
    place: &Place,
    folder: &str,
    search: &Search,
    state: &Selected,
    sent: bool,
) -> Result<Listing, Problem> {
    let asked = Asked { folder: folder.to_owned(), find: place.find.clone(), order: None, grouped: true };
    let (imap, results) = mailbox.both()?;
    let threads = match results.conversations(&asked, state) {
        Some(threads) => threads,
        None => {
            let threads = Arc::new(imap.threads(&search.keys).await.map_err(problem)?);
            results.put(asked, state.clone(), Arc::default(), Some(Arc::clone(&threads)));
            threads
        }
    };
    let at = |uid| threads.iter().position(|thread| thread.contains(&uid));
    let (start, end) = bounds(place, threads.len(), at);
    let page = &threads[start..end];
    let newest: Vec<u32> = page.iter().filter_map(|thread| thread.last().copied()).collect();
    let fetched = imap.rows(&newest).await.map_err(problem)?;
    // Whether anything in a conversation is unread; of very long ones the newest messages decide.
    let members: Vec<u32> = page.iter().filter(|it| it.len() > 1).flat_map(|it| it.iter().rev().take(50)).copied().collect();
    let flags = imap.flags(&members).await.map_err(problem)?;
    let unread: std::collections::BTreeSet<u32> =
        flags.iter().filter(|it| !it.has("\\Seen")).filter_map(|it| it.uid).collect();
    let mut rows: Vec<Row> = fetched.iter().map(|fetched| Row::of(fetched, sent)).collect();
    for row in &mut rows {
        let thread = page.iter().find(|thread| thread.last() == Some(&row.uid));
        row.count = thread.map_or(1, Vec::len);
        row.unread |= thread.is_some_and(|thread| thread.iter().any(|uid| unread.contains(uid)));
    }
    Ok(Listing {
        newer: newest.first().copied().filter(|_| start > 0),
        older: threads.get(end).and_then(|thread| thread.last().copied()),
        rows,
        total: threads.len(),
        before: start,
        ..Listing::default()
    })
}

/// The window of a list that was found, as indices.
fn bounds(place: &Place, total: usize, at: impl Fn(u32) -> Option<usize>) -> (usize, usize) {
    let rows = ROWS as usize;
    let start = match (place.from, place.above) {
        (Some(uid), _) => at(uid).unwrap_or(0),
        (None, Some(uid)) => at(uid).unwrap_or(0).saturating_sub(rows),
        (None, None) => 0,
    };
    (start.min(total), (start + rows).min(total))
}

/// A search in all folders: the newest of each, by date.
async fn everywhere(
    mailbox: &mut Mailbox,
    search: &Search,
    folders: &[Folder],
) -> Result<Listing, Problem> {
    let imap = mailbox.imap()?;
    let mut listing = Listing { everywhere: true, doubtful: search.doubtful.clone(), ..Listing::default() };
    listing.cut = folders.len() > FOLDERS;
    for folder in folders.iter().filter(|folder| folder.selectable()).take(FOLDERS) {
        if folder.counters.messages == Some(0) || imap.select(&folder.wire).await.is_err() {
            // One folder that can't be opened does not hide what is in the others.
            if !imap.is_usable() {
                return Err(Problem::ServerAway);
            }
            continue;
        }
        let uids = imap.search(&search.keys).await.map_err(problem)?;
        listing.total += uids.len();
        listing.cut |= uids.len() > OF_EACH;
        let newest: Vec<u32> = uids.iter().rev().take(OF_EACH).copied().collect();
        let sent = matches!(folder.special_use(), Some(SpecialUse::Sent | SpecialUse::Drafts));
        let fetched = imap.rows(&newest).await.map_err(problem)?;
        listing.rows.extend(fetched.iter().map(|fetched| Row {
            folder: Some(folder.wire.clone()),
            ..Row::of(fetched, sent)
        }));
    }
    listing.rows.sort_by_key(|row| std::cmp::Reverse(row.when));
    Ok(listing)
}

/// The UIDs of everything that a list shows on all its pages.
pub(super) async fn all(
    mailbox: &mut Mailbox,
    place: &Place,
    folder: &str,
    search: &Search,
) -> Result<Vec<u32>, Problem> {
    let state = mailbox.imap()?.select(folder).await.map_err(problem)?;
    let keys_only = Place { order: None, ..place.clone() };
    if search.keys.is_empty() {
        return mailbox.imap()?.search(&[Key::All]).await.map_err(problem);
    }
    let (uids, _) = found(mailbox, &keys_only, folder, search, &state).await?;
    Ok(uids.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_windows_by_a_message() {
        let at = |uid: u32| (uid <= 120).then(|| 120 - uid as usize);
        let page = |from, above| bounds(&Place { from, above, ..Place::default() }, 121, at);
        assert_eq!(page(None, None), (0, 50));
        assert_eq!(page(Some(70), None), (50, 100));
        assert_eq!(page(Some(20), None), (100, 121));
        assert_eq!(page(None, Some(70)), (0, 50));
        assert_eq!(page(None, Some(100)), (0, 50));
        assert_eq!(page(Some(999), None), (0, 50), "a message that is gone");
    }
}

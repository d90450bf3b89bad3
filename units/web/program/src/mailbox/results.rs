//! Lists of UIDs that were sorted or searched once, so that turning a page does not sort again.

use std::sync::Arc;

use mailkiln_servers::imap::{Order, Selected};

/// Lists of one session. One of 100,000 messages takes 400 kB.
const MOST: usize = 8;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The folder, as the server writes it.
    pub(crate) folder: String,
    /// What the reader typed.
    pub(crate) find: String,
    /// The order, and whether it begins with the newest or largest.
    pub(crate) order: Option<(Order, bool)>,
    /// By conversation.
    pub(crate) grouped: bool,
}

/// Each row: the UIDs of a conversation, or of one message.
pub(crate) type Rows = Arc<Vec<Vec<u32>>>;

#[derive(Debug)]
struct Entry {
    asked: Asked,
    state: Selected,
    uids: Arc<Vec<u32>>,
    rows: Option<Rows>,
}

/// What was found lately, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Results(Vec<Entry>);

impl Results {
    /// The list for a folder in this state, if it was made already. Flags may have changed since; what is shown of them is
    /// asked for with each page.
    pub(crate) fn get(&mut self, asked: &Asked, state: &Selected) -> Option<Arc<Vec<u32>>> {
        self.touch(asked, state).map(|entry| Arc::clone(&entry.uids))
    }

    /// The conversations for a folder in this state.
    pub(crate) fn conversations(&mut self, asked: &Asked, state: &Selected) -> Option<Rows> {
        self.touch(asked, state)?.rows.clone()
    }

    fn touch(&mut self, asked: &Asked, state: &Selected) -> Option<&Entry> {
        let at = self.0.iter().position(|entry| entry.asked == *asked && entry.state == *state)?;
        let entry = self.0.remove(at);
        self.0.push(entry);
        self.0.last()
    }

    /// Keeps a list. One of the same question goes.
    pub(crate) fn put(&mut self, asked: Asked, state: Selected, uids: Arc<Vec<u32>>, rows: Option<Rows>) {
        self.0.retain(|entry| entry.asked != asked);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Entry { asked, state, uids, rows });
    }

    /// Forgets what was found in a folder: something in it was changed by this session.
    pub(crate) fn forget(&mut self, folder: &str) {
        self.0.retain(|entry| entry.asked.folder != folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(folder: &str) -> Asked {
        Asked { folder: folder.into(), find: String::new(), order: None, grouped: false }
    }

    #[test]
    fn lists_are_found_until_the_folder_changes_and_the_oldest_goes() {
        let mut results = Results::default();
        let state = Selected { exists: 3, ..Selected::default() };
        for folder in ["a", "b"] {
            results.put(asked(folder), state.clone(), Arc::new(vec![1]), None);
        }
        assert!(results.get(&asked("a"), &state).is_some());
        let more = Selected { exists: 4, ..Selected::default() };
        assert!(results.get(&asked("a"), &more).is_none());
        for number in 0..MOST - 1 {
            results.put(asked(&number.to_string()), state.clone(), Arc::default(), None);
        }
        assert!(results.get(&asked("b"), &state).is_none(), "the longest unused went");
        assert!(results.get(&asked("a"), &state).is_some());
        results.forget("a");
        assert!(results.get(&asked("a"), &state).is_none());
    }
}

//! Where every content's blocks will lie in the image.
//!
//! In: the tree's nodes and the packs that hold their contents. Out: what to copy from which
//! pack, in order; for each file where its blocks went; and the fragment table. Blocks that no
//! file refers to are left out; a fragment block comes whole as soon as one file needs it.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::Sha256;
use mailkiln_tree::{Content, Kind};

use crate::block::SizeWord;
use crate::format::SUPERBLOCK_LEN;
use crate::nodes::Node;
use crate::pack::{Entry, Extent, Pack};
use crate::writer::PlanError;

/// Where a file's bytes are in the image.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    /// Offset of the first data block in the image, in bytes; 0 when there is none.
    pub(crate) blocks_start: u64,
    pub(crate) words: &'a [SizeWord],
    /// Fragment block of the image, offset in it.
    pub(crate) fragment: Option<(u32, u32)>,
}

/// A fragment block in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacedFragment {
    pub(crate) start: u64,
    pub(crate) word: SizeWord,
}

/// The data area of an image.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    /// What to copy, in the image's order: number of the pack, extent in it.
    pub(crate) copies: Vec<(usize, Extent)>,
    pub(crate) places: BTreeMap<Sha256, Place<'a>>,
    pub(crate) fragments: Vec<PlacedFragment>,
    /// Where the data area ends in the image.
    pub(crate) end: u64,
}

/// What an extent of a pack is for.
enum Use<'a> {
    Blocks(&'a Entry),
    Fragment(u32),
}

/// Lays out the contents of `nodes`; of two packs that hold the same, the first one gives it.
pub(crate) fn lay_out<'a>(nodes: &[Node<'_>], packs: &[&'a Pack]) -> Result<Layout<'a>, PlanError> {
    let wanted = choose(nodes, packs)?;
    let mut layout = Layout {
        copies: Vec::new(),
        places: BTreeMap::new(),
        fragments: Vec::new(),
        end: SUPERBLOCK_LEN as u64,
    };
    for (number, (pack, entries)) in packs.iter().zip(wanted).enumerate() {
        let mut starts = BTreeMap::new();
        let mut renumbered = BTreeMap::new();
        for (extent, purpose) in in_pack_order(pack, &entries) {
            match purpose {
                Use::Blocks(entry) => {
                    starts.insert(entry.sha256, layout.end);
                }
                Use::Fragment(old) => {
                    renumbered.insert(old, layout.fragments.len() as u32);
                    let word = pack.index().fragments[old as usize].word;
                    layout.fragments.push(PlacedFragment { start: layout.end, word });
                }
            }
            layout.copies.push((number, extent));
            layout.end += extent.length;
        }
        for entry in entries {
            let place = Place {
                blocks_start: starts.get(&entry.sha256).copied().unwrap_or(0),
                words: pack.index().words(entry),
                fragment: entry
                    .fragment
                    .and_then(|slot| Some((*renumbered.get(&slot.number)?, slot.offset))),
            };
            layout.places.insert(entry.sha256, place);
        }
    }
    Ok(layout)
}

/// For each pack, the entries that the tree wants from it, each once.
fn choose<'a>(nodes: &[Node<'_>], packs: &[&'a Pack]) -> Result<Vec<Vec<&'a Entry>>, PlanError> {
    let mut wanted = vec![Vec::new(); packs.len()];
    let mut chosen = BTreeSet::new();
    for node in nodes {
        let Kind::File(content) = &node.entry.kind else { continue };
        let sha256 = digest(content);
        let missing = || PlanError::NoContent { path: node.path.clone(), sha256 };
        let (number, entry) = packs
            .iter()
            .enumerate()
            .find_map(|(number, pack)| Some((number, pack.index().find(&sha256)?)))
            .ok_or_else(missing)?;
        if entry.size != content.size() {
            let (path, packed, expected) = (node.path.clone(), entry.size, content.size());
            return Err(PlanError::Size { path, packed, expected });
        }
        if chosen.insert(sha256) {
            wanted[number].push(entry);
        }
    }
    Ok(wanted)
}

/// The extents that `entries` need, as they follow each other in the pack, so that copying
/// reads the pack from front to back.
fn in_pack_order<'a>(pack: &'a Pack, entries: &[&'a Entry]) -> Vec<(Extent, Use<'a>)> {
    let mut uses: Vec<_> = entries
        .iter()
        .filter(|entry| entry.blocks.length > 0)
        .map(|entry| (entry.blocks, Use::Blocks(entry)))
        .collect();
    let fragments: BTreeSet<u32> =
        entries.iter().filter_map(|entry| Some(entry.fragment?.number)).collect();
    uses.extend(
        fragments
            .into_iter()
            .map(|number| (pack.index().fragments[number as usize].extent, Use::Fragment(number))),
    );
    uses.sort_by_key(|(extent, _)| extent.start);
    uses
}

/// The digest under which packs know a content.
pub(crate) fn digest(content: &Content) -> Sha256 {
    match content {
        Content::Inline(bytes) => Sha256::of(bytes),
        Content::Packed { sha256, .. } => *sha256,
    }
}

//! Reads block maps.
//!
//! A map may come from anywhere, so nothing in it is believed: numbers are bounded, ranges have to
//! ascend and to lie in the image, and the file's own digest has to be right.

use mailkiln_pin::Sha256;
use roxmltree::{Document, Node, ParsingOptions};

use super::{Bmap, Range};

/// Longest file that is read, in bytes: a map of a terabyte of our images is shorter.
const MOST_BYTES: usize = 64 << 20;

/// Most XML nodes that are kept: two for each range and a few more.
const MOST_NODES: u32 = 1 << 20;

/// Largest image, in bytes.
const LARGEST: u64 = 1 << 50;

/// A file is no block map that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBmap {
    /// It is too long to be one.
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLong,
    /// It is not XML.
    #[error("it is not XML: {0}")]
    Xml(String),
    /// Its version is another one.
    #[error("its version is {0}, and only 2.0 can be read: make it anew with a newer bmaptool")]
    Version(String),
    /// Its digests are not SHA-256.
    #[error(
        "its digests are {0}, and only sha256 can be checked: make it anew with bmaptool create"
    )]
    Digests(String),
    /// Something that has to be there is not, or is no number or digest.
    #[error("its {0} is missing or wrong")]
    Field(&'static str),
    /// The file was altered.
    #[error("it was altered: its own SHA-256 is not the one it names")]
    Altered,
    /// The ranges contradict the rest.
    #[error("its range {0} does not come after the one before, or leaves the image")]
    Range(String),
}

impl Bmap {
    /// Reads the text of a `.bmap` file.
    ///
    /// # Errors
    /// [`BadBmap`] when it is not a map of version 2.0 with SHA-256, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, BadBmap> {
        if text.len() > MOST_BYTES {
            return Err(BadBmap::TooLong);
        }
        let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options)
            .map_err(|error| BadBmap::Xml(error.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name("bmap") {
            return Err(BadBmap::Field("element bmap"));
        }
        match root.attribute("version") {
            Some("2.0") => {}
            other => return Err(BadBmap::Version(shown(other.unwrap_or("unknown")))),
        }
        match field(root, "ChecksumType")? {
            "sha256" => {}
            other => return Err(BadBmap::Digests(shown(other))),
        }
        check_own_digest(text, field(root, "BmapFileChecksum")?)?;
        let image_size = number(root, "ImageSize")?;
        let block_size = number(root, "BlockSize")?;
        let sound = image_size <= LARGEST && (512..=1 << 30).contains(&block_size);
        if !sound || !block_size.is_power_of_two() {
            return Err(BadBmap::Field("ImageSize or BlockSize"));
        }
        if number(root, "BlocksCount")? != image_size.div_ceil(block_size) {
            return Err(BadBmap::Field("BlocksCount"));
        }
        let map = element(root, "BlockMap").ok_or(BadBmap::Field("BlockMap"))?;
        let mut bmap = Self { image_size, block_size, ranges: Vec::new() };
        let mut mapped = 0;
        for node in map.children().filter(|node| node.has_tag_name("Range")) {
            mapped += bmap.add(node)?;
        }
        if number(root, "MappedBlocksCount")? != mapped {
            return Err(BadBmap::Field("MappedBlocksCount"));
        }
        Ok(bmap)
    }

    /// Takes one more range; returns how many blocks it has.
    fn add(&mut self, node: Node<'_, '_>) -> Result<u64, BadBmap> {
        let text = node.text().unwrap_or_default().trim();
        let wrong = || BadBmap::Range(shown(text));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let block = |text: &str| decimal(text).ok_or_else(wrong);
        let (first, last) = (block(first)?, block(last)?);
        let blocks = self.image_size.div_ceil(self.block_size);
        let behind = self.ranges.last().map_or(0, |range| range.end.div_ceil(self.block_size));
        if first > last || last >= blocks || first < behind {
            return Err(wrong());
        }
        let sha256 = node
            .attribute("chksum")
            .and_then(|digest| digest.trim().parse().ok())
            .ok_or(BadBmap::Field("chksum of a range"))?;
        let start = first * self.block_size;
        let end = ((last + 1) * self.block_size).min(self.image_size);
        self.ranges.push(Range { start, end, sha256 });
        Ok(last - first + 1)
    }
}

/// The digest is that of the file in which zeros stand in its place.
fn check_own_digest(text: &str, digest: &str) -> Result<(), BadBmap> {
    let named: Sha256 = digest.parse().map_err(|_| BadBmap::Field("BmapFileChecksum"))?;
    let blank = text.replacen(digest, &"0".repeat(digest.len()), 1);
    if Sha256::of(blank.as_bytes()) == named { Ok(()) } else { Err(BadBmap::Altered) }
}

fn element<'a, 'd>(root: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    root.children().find(|node| node.has_tag_name(name))
}

fn field<'a>(root: Node<'a, '_>, name: &'static str) -> Result<&'a str, BadBmap> {
    element(root, name).and_then(|node| node.text()).map(str::trim).ok_or(BadBmap::Field(name))
}

fn number(root: Node<'_, '_>, name: &'static str) -> Result<u64, BadBmap> {
    decimal(field(root, name)?).ok_or(BadBmap::Field(name))
}

fn decimal(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Foreign text for a message: short, and harmless on a terminal.
fn shown(text: &str) -> String {
    text.escape_debug().take(60).collect()
}

//! What is different between two images, file by file, found without mounting anything.
//!
//! In: two open images. Out: differences, grouped by what they are about. What is named after the
//! architecture or the kernel is paired under a neutral name, so that images for different machines
//! can be compared. Contents are read piece by piece; in memory are the names, and one boot file.

mod boot;
mod group;
mod names;
mod packages;
mod table;
mod tree;

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use mailkiln_bytes_at::ReadAt;

use crate::gpt::{Partition, kind};
use crate::inspect::{BadDisk, Inspection, Part, Root, inspect};
use names::Names;

pub use group::Group;

/// One thing that is not the same in both images. Its texts are foreign: escape them for print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub group: Group,
    /// The partition, boot file, file or package, as the image calls it that has it; where both have
    /// it, as the first does.
    pub subject: String,
    /// What is different about it.
    pub change: Change,
}

/// What is different about something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The second image does not have it.
    OnlyFirst,
    /// The first image does not have it.
    OnlySecond,
    /// Both have it; these aspects differ, one at least.
    Differs(Vec<Aspect>),
}

/// An aspect in which something differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspect {
    /// Its name: "mode", "content".
    pub what: &'static str,
    /// Its value in the first and in the second image, where that can be said.
    pub values: Option<(String, String)>,
}

impl Aspect {
    /// An aspect with these values, if they are not the same.
    fn of(what: &'static str, first: impl Display, second: impl Display) -> Option<Self> {
        let values = (first.to_string(), second.to_string());
        (values.0 != values.1).then_some(Self { what, values: Some(values) })
    }

    /// Bytes of these lengths: of other lengths, or other ones.
    fn sized(what: &'static str, lengths: [u64; 2], same_bytes: bool) -> Option<Self> {
        let bytes = |length: u64| format!("{length} bytes");
        Self::of(what, bytes(lengths[0]), bytes(lengths[1]))
            .or_else(|| (!same_bytes).then_some(Self { what, values: None }))
    }
}

/// An image that is compared.
pub struct Image<'a> {
    name: String,
    disk: &'a (dyn ReadAt + Sync),
    inspection: Inspection<'a>,
    names: Names,
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("inspection", &self.inspection).finish_non_exhaustive()
    }
}

/// A part of an image can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{image}: {error}")]
pub struct Unreadable {
    /// What the image was called.
    image: String,
    /// What is wrong.
    error: BadDisk,
}

impl<'a> Image<'a> {
    /// Reads what `disk` holds; errors call it `name`.
    ///
    /// # Errors
    /// [`Unreadable`] when a part that is there can't be read.
    pub fn open(name: &str, disk: &'a (dyn ReadAt + Sync)) -> Result<Self, Unreadable> {
        let inspection =
            inspect(disk).map_err(|error| Unreadable { image: name.to_owned(), error })?;
        let names = Names::of(&inspection);
        Ok(Self { name: name.to_owned(), disk, inspection, names })
    }

    fn unreadable(&self, error: BadDisk) -> Unreadable {
        Unreadable { image: self.name.clone(), error }
    }
}

/// Compares two images. What boots first comes first; within a group, paths are in order.
///
/// # Errors
/// [`Unreadable`] when a part can't be read.
pub fn compare(first: &Image<'_>, second: &Image<'_>) -> Result<Vec<Difference>, Unreadable> {
    let mut differences = table::disk(first, second);
    let partitions = |image: &Image<'_>| {
        let parts = image.inspection.table.partitions.iter().enumerate();
        parts.map(|(place, part)| (part.name.clone(), place)).collect::<Vec<_>>()
    };
    for pair in pair(partitions(first), partitions(second)) {
        match pair {
            Pair::First(place) => differences.push(table::alone(first, place, Change::OnlyFirst)),
            Pair::Second(place) => {
                differences.push(table::alone(second, place, Change::OnlySecond));
            }
            Pair::Both(one, two) => {
                let sides = [Side { image: first, place: one }, Side { image: second, place: two }];
                differences.extend(table::partition(sides));
                differences.extend(contents(sides)?);
            }
        }
    }
    differences.sort_by_key(|difference| difference.group);
    Ok(differences)
}

/// Compares what is in two partitions: files where both are known to hold them, else bytes.
fn contents(sides: [Side<'_, '_>; 2]) -> Result<Vec<Difference>, Unreadable> {
    if sides.iter().all(|side| side.partition().kind == kind::ESP) {
        return boot::compare(sides);
    }
    if let [Some(one), Some(two)] = sides.map(Side::root) {
        let mut differences = packages::compare(sides, [one, two]);
        differences.extend(tree::compare(sides, [one, two])?);
        return Ok(differences);
    }
    Ok(table::bytes(sides)?.into_iter().collect())
}

/// A partition of one of the two images.
#[derive(Clone, Copy)]
struct Side<'i, 'd> {
    image: &'i Image<'d>,
    /// Its place in the table, from 0.
    place: usize,
}

impl<'i, 'd> Side<'i, 'd> {
    fn partition(self) -> &'i Partition {
        &self.image.inspection.table.partitions[self.place]
    }

    /// The root file system in it.
    fn root(self) -> Option<&'i Root<'d>> {
        self.image.inspection.roots.iter().find(|root| root.partition == self.place)
    }

    fn part(self) -> Result<Part<'d>, Unreadable> {
        let image = self.image;
        image
            .inspection
            .part(image.disk, self.place)
            .map_err(|error| image.unreadable(error.into()))
    }

    /// What a `map_err` makes of an error in this partition.
    fn failed<E>(self, kind: impl Fn(String, E) -> BadDisk) -> impl Fn(E) -> Unreadable {
        let name = self.partition().name.escape_debug().to_string();
        move |error| self.image.unreadable(kind(name.clone(), error))
    }
}

/// Brings together what has the same key on both sides; what has a key more than once is paired in
/// order.
fn pair<K: Ord, T>(
    first: impl IntoIterator<Item = (K, T)>,
    second: impl IntoIterator<Item = (K, T)>,
) -> Vec<Pair<T>> {
    let mut sides: BTreeMap<K, [Vec<T>; 2]> = BTreeMap::new();
    for (key, value) in first {
        sides.entry(key).or_default()[0].push(value);
    }
    for (key, value) in second {
        sides.entry(key).or_default()[1].push(value);
    }
    let mut pairs = Vec::new();
    for [first, second] in sides.into_values() {
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        loop {
            pairs.push(match (first.next(), second.next()) {
                (Some(one), Some(two)) => Pair::Both(one, two),
                (Some(one), None) => Pair::First(one),
                (None, Some(two)) => Pair::Second(two),
                (None, None) => break,
            });
        }
    }
    pairs
}

/// What one image has, or both.
enum Pair<T> {
    First(T),
    Second(T),
    Both(T, T),
}

#[cfg(test)]
mod tests;

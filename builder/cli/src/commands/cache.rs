//! `mailkiln cache`: what the cache holds, and what may go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mailkiln_fetch::{Cache, Item, ItemKind, Rules};
use mailkiln_pin::Sha256;
use serde::Serialize;

use crate::arguments::{CacheCommand, CachePruneArguments};
use crate::failure::Failure;
use crate::pins;
use crate::printer::Printer;

/// Lists or prunes.
pub(super) fn run(command: &CacheCommand, printer: &Printer) -> Result<(), Failure> {
    let cache = pins::cache()?;
    match command {
        CacheCommand::List => list(&cache, printer),
        CacheCommand::Prune(arguments) => prune(cache, arguments, printer),
    }
}

fn list(cache: &Cache, printer: &Printer) -> Result<(), Failure> {
    let items = cache.list().map_err(|error| Failure::work(&error))?;
    printer.result(&Contents { folder: cache.root().to_owned(), kinds: by_kind(&items) })
}

fn prune(cache: Cache, arguments: &CachePruneArguments, printer: &Printer) -> Result<(), Failure> {
    let keep: BTreeSet<Sha256> = match arguments.all {
        true => BTreeSet::new(),
        false => pins::lock(arguments.lock.as_deref())?.digests().collect(),
    };
    let days = |days: u64| Duration::from_secs(days.saturating_mul(86_400));
    let rules = Rules {
        younger_than: (!arguments.all).then(|| days(arguments.older_than)),
        at_most: arguments.max_size.map(|megabytes| megabytes.saturating_mul(1_000_000)),
    };
    let pruned = cache.prune(rules, &keep).map_err(|error| Failure::work(&error))?;
    printer.result(&Freed {
        kinds: by_kind(&pruned.removed),
        freed: pruned.freed,
        left: pruned.left,
    })
}

/// Number and bytes of items.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Sum {
    items: usize,
    bytes: u64,
}

fn by_kind(items: &[Item]) -> BTreeMap<String, Sum> {
    let mut kinds = BTreeMap::<String, Sum>::new();
    for item in items {
        let kind = match &item.kind {
            ItemKind::Blob(_) => "downloads",
            ItemKind::Derived { kind, .. } => kind,
            ItemKind::Unfinished => "unfinished",
        };
        let sum = kinds.entry(kind.to_owned()).or_default();
        sum.items += 1;
        sum.bytes = sum.bytes.saturating_add(item.bytes);
    }
    kinds
}

#[derive(Serialize)]
struct Contents {
    folder: PathBuf,
    kinds: BTreeMap<String, Sum>,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_kinds(f, &self.kinds)?;
        let bytes: u64 = self.kinds.values().map(|sum| sum.bytes).sum();
        write!(f, "{} in {}", Megabytes(bytes), self.folder.display())
    }
}

#[derive(Serialize)]
struct Freed {
    kinds: BTreeMap<String, Sum>,
    freed: u64,
    left: u64,
}

impl fmt::Display for Freed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_kinds(f, &self.kinds)?;
        write!(f, "{} freed, {} left", Megabytes(self.freed), Megabytes(self.left))
    }
}

fn write_kinds(f: &mut fmt::Formatter<'_>, kinds: &BTreeMap<String, Sum>) -> fmt::Result {
    kinds.iter().try_for_each(|(kind, sum)| {
        writeln!(f, "{:>8} {kind:<12} {:>12}", sum.items, Megabytes(sum.bytes).to_string())
    })
}

/// Bytes as people read them.
struct Megabytes(u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} MB", self.0 / 1_000_000, self.0 / 100_000 % 10)
    }
}

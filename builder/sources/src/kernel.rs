//! The modules of a kernel package.
//!
//! In: module files with the pruning's verdict, and the lists of the kernel's build, which may
//! come in another package. Out: the modules that stay, which are those that were kept and all that
//! they need, and the indexes that depmod makes of them.

use std::collections::BTreeMap;
use std::io::{self, Read};

use mailkiln_pin::Sha256;
use mailkiln_tree::depmod::{self, Dependencies, DepmodError, KernelLists, Module, ModuleInfo};
use mailkiln_tree::{Contents as _, TreePath};

use crate::Unpacked;
use crate::layer::{LayerEntry, LayerKind};
use crate::prune::{KernelChoice, Verdict};
use crate::unpack::UnpackError;

const FOLDER: &str = "usr/lib/modules/";
/// What a kernel's build says about its modules: their order, those that are built in, and what
/// these say about themselves.
const LISTS: [&str; 3] = ["modules.order", "modules.builtin", "modules.builtin.modinfo"];
/// Most bytes of an uncompressed module; amdgpu, the largest, has 25 MB with its symbols.
pub const LARGEST_MODULE: u64 = 256 << 20;

/// What the builds of kernels say about their modules: the lists of each release by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildLists(BTreeMap<String, BTreeMap<String, Vec<u8>>>);

impl BuildLists {
    /// Those that [`Policy::kernel_data`](crate::Policy::kernel_data) left of a kernel's packages.
    ///
    /// # Errors
    /// When the cache can't be read.
    pub fn read(packages: &Unpacked) -> io::Result<Self> {
        let mut lists = Self::default();
        for entry in packages.layers.iter().flat_map(|layer| &layer.entries) {
            let Some((release, name)) = split(&entry.path) else { continue };
            if let (true, LayerKind::File(sha256, _)) = (LISTS.contains(&name), &entry.kind) {
                let of_release = lists.0.entry(release.to_owned()).or_default();
                of_release.insert(name.to_owned(), packages.read(sha256)?);
            }
        }
        Ok(lists)
    }

    /// What tells these lists from others.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|(release, lists)| {
            let line = move |(name, bytes): (&String, &Vec<u8>)| {
                format!("list {release}/{name} {}\n", Sha256::of(bytes))
            };
            lists.iter().map(line)
        })
    }

    fn bytes(&self, release: &str, name: &str) -> &[u8] {
        self.0.get(release).and_then(|lists| lists.get(name)).map_or(&[], Vec::as_slice)
    }

    /// Those of a kernel that are text.
    fn texts(&self, release: &str) -> Texts {
        let text = |name| String::from_utf8_lossy(self.bytes(release, name)).into_owned();
        Texts { order: text(LISTS[0]), builtin: text(LISTS[1]) }
    }
}

/// Modules by path.
#[derive(Default)]
pub(crate) struct Kernel {
    modules: BTreeMap<TreePath, Candidate>,
}

struct Candidate {
    entry: LayerEntry,
    content: Vec<u8>,
    kept: bool,
}

/// The lists that are text.
struct Texts {
    order: String,
    builtin: String,
}

/// What stays of a kernel's package.
#[derive(Default)]
pub(crate) struct Settled {
    /// Entries of the layer with their contents.
    pub(crate) entries: Vec<(LayerEntry, Vec<u8>)>,
    /// Which modules need which, by release.
    pub(crate) modules: BTreeMap<String, Dependencies>,
}

impl Kernel {
    /// Whether `path` is a module.
    pub(crate) fn wants(&self, path: &TreePath) -> bool {
        split(path).is_some_and(|(_, below)| depmod::module_name(below).is_some())
    }

    /// Whether `path` is a module that was added.
    pub(crate) fn has(&self, path: &TreePath) -> bool {
        self.modules.contains_key(path)
    }

    /// Adds a module.
    pub(crate) fn add(&mut self, entry: LayerEntry, content: Vec<u8>, verdict: Verdict) {
        let kept = verdict == Verdict::Keep;
        self.modules.insert(entry.path.clone(), Candidate { entry, content, kept });
    }

    /// The modules that stay and the indexes. Every release must have what was `chosen`.
    pub(crate) fn settle(self, chosen: Option<&KernelChoice>) -> Result<Settled, UnpackError> {
        let mut releases: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for (path, candidate) in self.modules {
            if let Some((release, _)) = split(&path) {
                releases.entry(release.to_owned()).or_default().push(candidate);
            }
        }
        let nothing = BuildLists::default();
        let known = chosen.map_or(&nothing, |chosen| &chosen.lists);
        let mut settled = Settled::default();
        for (release, candidates) in releases {
            let texts = known.texts(&release);
            let lists = KernelLists {
                order: &texts.order,
                builtin: &texts.builtin,
                builtin_modinfo: known.bytes(&release, LISTS[2]),
            };
            if let Some(chosen) = chosen {
                let loadable = candidates.iter().filter_map(|it| split(&it.entry.path));
                let paths = loadable.map(|(_, below)| below).chain(lists.builtin.lines());
                chosen.check(&release, paths)?;
            }
            settle_release(&release, candidates, lists, &mut settled)?;
        }
        Ok(settled)
    }
}

fn settle_release(
    release: &str,
    candidates: Vec<Candidate>,
    lists: KernelLists<'_>,
    settled: &mut Settled,
) -> Result<(), UnpackError> {
    let infos = needed(&candidates)?;
    let modules: Vec<Module> = infos
        .iter()
        .filter_map(|(index, info)| {
            let (_, below) = split(&candidates.get(*index)?.entry.path)?;
            Some(Module { path: below.to_owned(), info: info.clone() })
        })
        .collect();
    let indexes = depmod::indexes(&modules, lists)?;
    settled.modules.insert(release.to_owned(), indexes.dependencies);
    for (name, bytes) in indexes.files {
        let path = TreePath::parse(&format!("{FOLDER}{release}/{name}"))?;
        let kind = LayerKind::Directory(()); // settled when the content is stored
        settled.entries.push((LayerEntry { path, kind, mode: 0o644, uid: 0, gid: 0 }, bytes));
    }
    let stays = |(index, candidate): (usize, Candidate)| {
        infos.contains_key(&index).then_some((candidate.entry, candidate.content))
    };
    settled.entries.extend(candidates.into_iter().enumerate().filter_map(stays));
    Ok(())
}

/// What the kept modules and those they need say about themselves, by index.
fn needed(candidates: &[Candidate]) -> Result<BTreeMap<usize, ModuleInfo>, UnpackError> {
    let name = |candidate: &Candidate| depmod::module_name(candidate.entry.path.as_str());
    let by_name: BTreeMap<String, usize> = candidates
        .iter()
        .enumerate()
        .filter_map(|(index, candidate)| Some((name(candidate)?, index)))
        .collect();
    let kept = candidates.iter().enumerate().filter(|(_, candidate)| candidate.kept);
    let mut queue: Vec<usize> = kept.map(|(index, _)| index).collect();
    let mut infos = BTreeMap::new();
    while let Some(index) = queue.pop() {
        let Some(candidate) = candidates.get(index) else { continue };
        if infos.contains_key(&index) {
            continue;
        }
        let path = &candidate.entry.path;
        let info = ModuleInfo::parse(&decompress(path, &candidate.content)?)
            .map_err(|source| UnpackError::Module { path: path.clone(), source })?;
        for need in &info.depends {
            queue.push(*by_name.get(need).ok_or_else(|| DepmodError::MissingDependency {
                module: name(candidate).unwrap_or_default(),
                needs: need.clone(),
            })?);
        }
        infos.insert(index, info);
    }
    Ok(infos)
}

/// Modules are compressed one by one, as their name says.
fn decompress(path: &TreePath, content: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let stream: Box<dyn Read + '_> = match path.as_str().rsplit_once('.') {
        Some((_, "xz")) => Box::new(liblzma::bufread::XzDecoder::new(content)),
        Some((_, "gz")) => Box::new(flate2::bufread::GzDecoder::new(content)),
        Some((_, "zst")) => Box::new(zstd::stream::read::Decoder::with_buffer(content)?),
        _ => Box::new(content),
    };
    let mut bytes = Vec::new();
    let refuse = |why: String| UnpackError::Place { path: path.clone(), why };
    // One byte more than allowed, to notice that there is more.
    let read = stream.take(LARGEST_MODULE + 1).read_to_end(&mut bytes);
    match read.map_err(|error| refuse(format!("it can't be decompressed: {error}")))? {
        length if length as u64 > LARGEST_MODULE => {
            Err(refuse(format!("it is larger than {} MiB unpacked", LARGEST_MODULE >> 20)))
        }
        _ => Ok(bytes),
    }
}

/// Splits `usr/lib/modules/RELEASE/REST`.
pub(crate) fn split(path: &TreePath) -> Option<(&str, &str)> {
    path.as_str().strip_prefix(FOLDER)?.split_once('/')
}

//! Why an assembly fails: each variant names the thing and the cure.

/// An image can't be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The lock does not hold what is needed.
    #[error(transparent)]
    Lock(#[from] mailkiln_lock::LockError),
    /// An input could not be fetched.
    #[error(transparent)]
    Fetch(#[from] mailkiln_fetch::FetchError),
    /// The cache fails.
    #[error(transparent)]
    Cache(#[from] mailkiln_fetch::CacheError),
    /// A package can't be unpacked.
    #[error(transparent)]
    Library(#[from] mailkiln_sources::LibraryError),
    /// Packages do not fit into one tree.
    #[error(transparent)]
    Tree(#[from] mailkiln_sources::AssembleError),
    /// Two parts want the same path.
    #[error(transparent)]
    Conflict(#[from] mailkiln_tree::Conflict),
    /// A unit can't be compiled.
    #[error(transparent)]
    Compile(#[from] mailkiln_compile::CompileError),
    /// A component of the lock is not what this program carries.
    #[error("the lock's component `{name}` is not usable: {why}")]
    Component {
        /// Its name.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// A file that maintainer scripts would have written can't be.
    #[error(transparent)]
    Fixup(#[from] mailkiln_tree::FixupError),
    /// The services can't be rendered.
    #[error(transparent)]
    Render(#[from] mailkiln_services::RenderError),
    /// The root file system can't be laid out.
    #[error(transparent)]
    Plan(#[from] mailkiln_squashfs::PlanError),
    /// A path is not possible.
    #[error(transparent)]
    Path(#[from] mailkiln_tree::BadPath),
    /// GRUB's files can't be used.
    #[error(transparent)]
    Grub(#[from] mailkiln_image::grub::GrubError),
    /// The disk can't be written.
    #[error(transparent)]
    Disk(#[from] mailkiln_image::disk::DiskError),
    /// A unit can't be brought into a Nix store.
    #[error(transparent)]
    Store(#[from] crate::StoreError),
    /// A disk can't be made from a NixOS system.
    #[error(transparent)]
    System(#[from] crate::SystemDiskError),
    /// The packages lack something that booting needs.
    #[error("no package of the lock brings {0}; run `mailkiln lock --update`")]
    Lacking(String),
    /// The target names a package that its lock does not have where it belongs.
    #[error(
        "{file} names the package {package}, which is not in the lock's set `{set}`: add it to \
         `wanted.toml` and run `mailkiln lock`, or take it out"
    )]
    NotLocked {
        /// The target's file.
        file: String,
        /// The package.
        package: String,
        /// The set.
        set: String,
    },
    /// The target names a file that no package has.
    #[error(
        "{file}:{line} names {path}, which is in none of the packages it is taken from ({packages}): correct it"
    )]
    NoSuchFile {
        /// The target's file.
        file: String,
        /// The line.
        line: usize,
        /// The path in a package.
        path: String,
        /// The packages that were looked into.
        packages: String,
    },
    /// The target asks for initrd modules that the kernel does not provide.
    #[error(
        "{file} asks for {patterns} in the initrd, which the kernel does not provide: correct \
         `kernel.initrd`"
    )]
    NoSuchModule {
        /// The target's file.
        file: String,
        /// Its patterns.
        patterns: String,
    },
    /// A file can't be read or written.
    #[error("{what}: {source}")]
    File {
        /// The file, and what was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bill of materials can't be encoded.
    #[error("the bill of materials can't be written: {0}")]
    Bill(#[from] serde_json::Error),
}

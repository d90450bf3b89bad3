//! Images to where machines start from them: a folder, a bucket, a cloud.
//!
//! In: an image file and a destination's name and settings. Out: the image's identifier there, and the commands that start a
//! machine from it. Requests are data and signatures pure functions; one client sends them. See `README.md`.

pub mod artifact;
pub mod credentials;
pub mod destination;
pub mod destinations;
pub mod error;
pub mod http;
pub mod journal;
pub mod next;
pub mod parts;
pub mod progress;
pub mod retry;
pub mod settings;
pub mod sign;
pub mod upload;

pub use artifact::Artifact;
pub use destination::{ALL, Destination, Entry, Stored};
pub use error::UploadError;
pub use next::{Next, next};
pub use progress::{Progress, Silent};
pub use settings::Surroundings;
pub use upload::{Outcome, abandon, prune, upload};

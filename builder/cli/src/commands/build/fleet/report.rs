//! What became of each image: a table for people, a document for programs, an exit code.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use mailkiln_pin::Sha256;
use serde::Serialize;
use serde_json::Value;

use super::super::{Artifact, Built};
use crate::failure::Failure;
use crate::report;

/// One image.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// The `mail.toml`.
    pub(super) file: PathBuf,
    /// The target.
    pub(super) target: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Built {
        seconds: f64,
        root_hash: Option<Sha256>,
        files: Vec<Artifact>,
    },
    Failed {
        /// As the failure of a single build is printed.
        error: Value,
        #[serde(skip)]
        said: String,
        /// Whether the input was wrong: exit code 2.
        #[serde(skip)]
        input: bool,
    },
}

impl Row {
    /// An image that is there.
    pub(super) fn built(path: &Path, target: String, built: &Built, took: Duration) -> Self {
        // Milliseconds: more would be noise.
        let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        let (root_hash, files) = (built.root_hash, built.files.clone());
        Self {
            file: path.to_owned(),
            target,
            outcome: Outcome::Built { seconds, root_hash, files },
        }
    }

    /// An image that could not be made.
    pub(super) fn failed(path: &Path, target: String, failure: &Failure) -> Self {
        // The document is made of texts and numbers.
        let document = serde_json::to_value(report::document(failure)).unwrap_or_default();
        let error = document.get("error").cloned().unwrap_or_default();
        let input = matches!(failure, Failure::Spec(_) | Failure::Input { .. });
        let outcome = Outcome::Failed { error, said: failure.to_string(), input };
        Self { file: path.to_owned(), target, outcome }
    }

    /// Every image of a file that can't be used.
    pub(super) fn all_failed(
        path: &Path,
        targets: impl Iterator<Item = String>,
        failure: &Failure,
    ) -> Vec<Self> {
        targets.map(|target| Self::failed(path, target, failure)).collect()
    }
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    images: Vec<Row>,
    built: usize,
    failed: usize,
}

impl Report {
    /// The report of these images, in their order.
    pub(super) fn of(images: Vec<Row>) -> Self {
        let is_built = |row: &&Row| matches!(row.outcome, Outcome::Built { .. });
        let built = images.iter().filter(is_built).count();
        Self { failed: images.len() - built, built, images }
    }

    /// 0 when all were built; 1 when work failed; 2 when nothing but inputs was wrong.
    pub(super) fn exit_code(&self) -> ExitCode {
        let mut wrong = 0;
        for row in &self.images {
            match row.outcome {
                Outcome::Failed { input: false, .. } => return ExitCode::FAILURE,
                Outcome::Failed { .. } => wrong += 1,
                Outcome::Built { .. } => {}
            }
        }
        if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<String> =
            self.images.iter().map(|it| it.file.display().to_string()).collect();
        let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let wide = widest(&mut files.iter().map(|file| file.chars().count()));
        let target_wide = widest(&mut self.images.iter().map(|row| row.target.len()));
        for (file, Row { target, outcome, .. }) in files.iter().zip(&self.images) {
            write!(f, "{file:wide$}  {target:target_wide$}  ")?;
            match outcome {
                Outcome::Built { seconds, files, .. } => {
                    write!(f, "{seconds:>6.1} s")?;
                    for artifact in files {
                        write!(f, "  {}", artifact.path.display())?;
                    }
                    writeln!(f)?;
                }
                Outcome::Failed { said, .. } => writeln!(f, "  FAILED  {said}")?,
            }
        }
        let noun = if self.built == 1 { "image" } else { "images" };
        write!(f, "\n{} {noun} built", self.built)?;
        if self.failed > 0 {
            write!(f, ", {} FAILED", self.failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built() -> Row {
        let path = PathBuf::from("out/mail.a.example-x86_64.img");
        let files = vec![Artifact { path, size: 7, sha256: Sha256::of(b"a") }];
        let built = Built { root_hash: None, system: None, runs: true, secure_boot: None, files };
        let took = Duration::from_micros(412_345);
        Row::built(Path::new("a.toml"), "x86_64".to_owned(), &built, took)
    }

    fn failed(failure: &Failure) -> Row {
        Row::failed(Path::new("longer.toml"), "aws-x86_64".to_owned(), failure)
    }

    fn input() -> Failure {
        Failure::Input {
            message: "longer.toml is wrong".to_owned(),
            causes: Vec::new(),
            hint: None,
        }
    }

    #[test]
    fn people_see_a_table_and_what_failed() {
        insta::assert_snapshot!(Report::of(vec![built(), failed(&input())]).to_string(), @r"
        a.toml       x86_64         0.4 s  out/mail.a.example-x86_64.img
        longer.toml  aws-x86_64    FAILED  longer.toml is wrong

        1 image built, 1 FAILED
        ");
    }

    #[test]
    fn programs_see_the_same_with_each_failure_as_it_is_elsewhere() {
        let json = serde_json::to_value(Report::of(vec![built(), failed(&input())])).unwrap();
        assert_eq!(json["images"][0]["seconds"], 0.412);
        assert_eq!(json["images"][0]["files"][0]["size"], 7);
        assert_eq!(json["images"][1]["error"]["message"], "longer.toml is wrong");
        assert_eq!((&json["built"], &json["failed"]), (&1.into(), &1.into()));
    }

    #[test]
    fn the_exit_code_tells_wrong_input_from_failed_work() {
        let work = Failure::Work { message: "x".to_owned(), causes: Vec::new(), hint: None };
        for (rows, code) in [
            (vec![built()], ExitCode::SUCCESS),
            (vec![built(), failed(&input())], ExitCode::from(2)),
            (vec![failed(&input()), failed(&work)], ExitCode::FAILURE),
        ] {
            assert_eq!(format!("{:?}", Report::of(rows).exit_code()), format!("{code:?}"));
        }
    }
}

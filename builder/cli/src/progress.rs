//! How long work is shown to take: bars on a terminal, lines elsewhere.
//!
//! In: what the layers tell while they work. Out: bars or lines on standard error.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailkiln_assemble::Progress as _;
use mailkiln_compile::Step;
use mailkiln_flash::Phase;

use crate::printer::Printer;

/// Pause between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(15);

/// Bars on a terminal; where there is none, a line every quarter of a minute.
#[derive(Debug)]
pub(crate) struct Bars<'a> {
    printer: &'a Printer,
    bar: Mutex<ProgressBar>,
    said: Mutex<Option<Instant>>,
}

impl<'a> Bars<'a> {
    /// Bars that respect what the command line says about output.
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self { printer, bar: Mutex::new(ProgressBar::hidden()), said: Mutex::new(None) }
    }

    /// Starts a bar of `length` units in place of the one before.
    fn begin(&self, what: &str, length: u64, template: &str) {
        let target = match self.printer.is_talkative() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut current = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        current.finish_and_clear();
        *current = bar;
    }

    fn with(&self, act: impl FnOnce(&ProgressBar)) {
        act(&self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self) {
        self.with(ProgressBar::finish_and_clear);
    }

    /// Says a line where no bar is shown, but not too often.
    fn line(&self, text: impl FnOnce() -> String) {
        if self.printer.is_talkative() {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|last| last.elapsed() >= PAUSE) {
            *said = Some(Instant::now());
            self.printer.message(text());
        }
    }
}

const BYTES: &str = "{prefix:>12} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
const ITEMS: &str = "{prefix:>12} [{bar:30}] {pos}/{len}  {msg}";

impl mailkiln_assemble::Progress for Bars<'_> {
    fn step(&self, what: &str) {
        self.end();
        self.printer.message(what);
    }

    fn warn(&self, what: &str) {
        self.end();
        self.printer.warning(what);
    }

    fn downloads(&self) -> &dyn mailkiln_fetch::Progress {
        self
    }

    fn unpacking(&self) -> &dyn mailkiln_sources::Progress {
        self
    }

    fn compiling(&self) -> &dyn mailkiln_compile::Progress {
        self
    }
}

impl mailkiln_fetch::Progress for Bars<'_> {
    fn begin(&self, files: usize, bytes: u64) {
        self.step(&format!("downloading {files} files, {} MB", bytes / 1_000_000));
        Bars::begin(self, "downloading", bytes, BYTES);
    }

    fn advance(&self, bytes: u64) {
        self.with(|bar| bar.inc(bytes));
        self.line(|| {
            let mut text = String::new();
            self.with(|bar| {
                let (done, all) =
                    (bar.position() / 1_000_000, bar.length().unwrap_or(0) / 1_000_000);
                text = format!("  downloaded {done} of {all} MB");
            });
            text
        });
    }

    fn retract(&self, bytes: u64) {
        self.with(|bar| bar.dec(bytes));
    }

    fn end(&self) {
        Bars::end(self);
    }
}

impl mailkiln_sources::Progress for Bars<'_> {
    fn begin(&self, packages: usize, bytes: u64) {
        self.step(&format!(
            "unpacking and compressing {packages} packages, {} MB",
            bytes / 1_000_000
        ));
        Bars::begin(self, "unpacking", bytes, BYTES);
    }

    fn unpacked(&self, name: &str, bytes: u64) {
        self.with(|bar| {
            bar.inc(bytes);
            bar.set_message(name.to_owned());
        });
        self.line(|| format!("  unpacked {name}"));
    }

    fn end(&self) {
        Bars::end(self);
    }
}

impl mailkiln_compile::Progress for Bars<'_> {
    fn advance(&self, step: Step, done: usize, total: usize, name: &str) {
        let mut changed = false;
        self.with(|bar| {
            changed = bar.prefix() != step.verb() || bar.length() != Some(total as u64)
        });
        if changed {
            self.step(&format!("{}: {total} items", step.verb()));
            Bars::begin(self, step.verb(), total as u64, ITEMS);
        }
        self.with(|bar| {
            bar.set_position(done as u64);
            bar.set_message(name.to_owned());
        });
        self.line(|| format!("  {} {done}/{total} {name}", step.verb()));
    }
}

const UNKNOWN: &str = "{prefix:>12} {bytes}  {bytes_per_sec}";

impl mailkiln_flash::Progress for Bars<'_> {
    fn begin(&self, phase: Phase, bytes: u64) {
        let what = match phase {
            Phase::Checking => "checking",
            Phase::Writing => "writing",
            Phase::Settling => "settling",
            Phase::Verifying => "verifying",
        };
        match bytes {
            0 => self.step(what),
            _ => self.step(&format!("{what} {} MB", bytes / 1_000_000)),
        }
        // The first line is due only after a while: most work has ended by then.
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Bars::begin(self, what, bytes, if bytes == 0 { UNKNOWN } else { BYTES });
    }

    fn advance(&self, bytes: u64) {
        self.with(|bar| bar.inc(bytes));
        self.line(|| {
            let mut text = String::new();
            self.with(|bar| {
                let (done, all) = (bar.position(), bar.length().unwrap_or(0));
                let speed = done as f64 / bar.elapsed().as_secs_f64().max(0.001);
                let left = all.saturating_sub(done) as f64 / speed.max(1.0);
                text = format!(
                    "  {}: {} of {} MB, {:.0} MB/s, {left:.0} s left",
                    bar.prefix(),
                    done / 1_000_000,
                    all / 1_000_000,
                    speed / 1e6
                );
            });
            text
        });
    }

    fn end(&self) {
        Bars::end(self);
    }
}

impl mailkiln_upload::Progress for Bars<'_> {
    fn step(&self, what: &str) {
        mailkiln_assemble::Progress::step(self, what);
    }

    fn begin(&self, bytes: u64) {
        mailkiln_assemble::Progress::step(self, &format!("uploading {} MB", bytes / 1_000_000));
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Bars::begin(self, "uploading", bytes, BYTES);
    }

    fn advance(&self, bytes: u64) {
        mailkiln_flash::Progress::advance(self, bytes);
    }

    fn retract(&self, bytes: u64) {
        self.with(|bar| bar.dec(bytes));
    }

    fn end(&self) {
        Bars::end(self);
    }
}

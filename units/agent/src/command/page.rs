//! `page`: serves the page where people change their password.

use super::CommandError;
use crate::appliance::Appliance;
use crate::layout::Layout;
use crate::page::{self, Page};

/// Runs the command; it ends only with an error.
///
/// # Errors
/// [`CommandError`] when `appliance.json` names no address for the page, or nothing can listen there.
pub(super) fn run(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let address = appliance.page.ok_or(CommandError::NoPage)?;
    Ok(page::serve(layout, Page::new(&appliance), address)?)
}

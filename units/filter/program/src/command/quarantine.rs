//! `quarantine list|show|release|delete`: for people at the appliance. It works on the files, so
//! that it also works while the filter is down.

use super::{CommandError, print};
use crate::clock;
use crate::configuration::Configuration;
use crate::edit::marks::ascii;
use crate::quarantine::{Entry, Id, Quarantine};

pub(super) fn list(settings: &Configuration, json: bool) -> Result<(), CommandError> {
    let entries = settings.quarantine().list()?;
    let text = if json {
        let json = serde_json::json!({ "messages": entries });
        format!("{json}\n")
    } else if entries.is_empty() {
        "the quarantine is empty\n".to_owned()
    } else {
        entries.iter().map(line).collect()
    };
    print(text.as_bytes());
    Ok(())
}

fn line(entry: &Entry) -> String {
    let Entry { id, from, subject, recipients, .. } = entry;
    let class = entry.findings.first().map_or("", |finding| finding.class.as_str());
    let to = recipients.join(" ");
    format!("{id}  {class:<16} {} -> {}  {}\n", ascii(from), ascii(&to), ascii(subject))
}

pub(super) fn show(settings: &Configuration, id: &Id, raw: bool) -> Result<(), CommandError> {
    let quarantine = settings.quarantine();
    if raw {
        print(&quarantine.message(id)?);
        return Ok(());
    }
    print(description(&quarantine, &quarantine.entry(id)?).as_bytes());
    Ok(())
}

fn description(quarantine: &Quarantine, entry: &Entry) -> String {
    let kept = entry.received + quarantine.keep.as_secs();
    let mut text = format!(
        "id        {}\nreceived  {} UTC, deleted {} UTC\nsender    <{}> ({})\nfor       {}\n\
         from      {}\nsubject   {}\nsize      {} bytes\n",
        entry.id,
        clock::readable(entry.received),
        clock::readable(kept),
        ascii(&entry.sender),
        ascii(&entry.client),
        ascii(&entry.recipients.join(" ")),
        ascii(&entry.from),
        ascii(&entry.subject),
        entry.bytes,
    );
    for finding in &entry.findings {
        let place = finding.place.join(" > ");
        text.push_str(&ascii(&format!("found     {}: {} {place}", finding.class, finding.reason)));
        text.push('\n');
    }
    text
}

pub(super) fn release(settings: &Configuration, ids: &[Id]) -> Result<(), CommandError> {
    let quarantine = settings.quarantine();
    for id in ids {
        let outcome = quarantine.release(id, &settings.target())?;
        let mut text = format!("{id} released to {}\n", ascii(&outcome.accepted.join(" ")));
        for (address, why) in outcome.refused {
            text.push_str(&ascii(&format!("{id} stays for {address}: {why}")));
            text.push('\n');
        }
        print(text.as_bytes());
    }
    Ok(())
}

pub(super) fn delete(settings: &Configuration, ids: &[Id]) -> Result<(), CommandError> {
    for id in ids {
        settings.quarantine().delete(id)?;
        print(format!("{id} deleted\n").as_bytes());
    }
    Ok(())
}

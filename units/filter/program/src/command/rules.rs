//! `rules check` and `rules update`.

use super::{CommandError, print};
use crate::configuration::Configuration;
use crate::rules::{self, Folder, update};

pub(super) fn check(settings: &Configuration) -> Result<(), CommandError> {
    let files = Folder::new(&settings.state).read()?;
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let (_, wrong) = rules::sound(files);
    if wrong.is_empty() {
        let all =
            if names.is_empty() { "only the built-in rules".into() } else { names.join(", ") };
        print(format!("the rules compile: {all}\n").as_bytes());
        return Ok(());
    }
    Err(CommandError::Other(wrong.join("\n")))
}

pub(super) fn update(settings: &Configuration) -> Result<(), CommandError> {
    let Some(table) = &settings.rules else {
        let why = "mail.toml names no address for rules: `rules_url` and `rules_key` in [filter]";
        return Err(CommandError::Other(why.to_owned()));
    };
    let folder = Folder::new(&settings.state);
    folder.prepare()?;
    let text = match update::run(table, &folder)? {
        update::Updated::New(serial) => format!("new rules, serial {serial}\n"),
        update::Updated::Same(serial) => format!("no newer rules than serial {serial}\n"),
    };
    print(text.as_bytes());
    Ok(())
}

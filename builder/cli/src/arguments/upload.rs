//! Arguments of `mailkiln upload`; destinations and their settings come from the list of the library.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use mailkiln_upload::settings::{COMMON, Setting};
use mailkiln_upload::{ALL, Entry};

/// The names of destinations, with what each is.
fn destinations() -> impl TypedValueParser<Value = &'static Entry> {
    let values = ALL.iter().map(|entry| PossibleValue::new(entry.name).help(entry.title));
    PossibleValuesParser::new(values).try_map(|name| Entry::named(&name))
}

/// Every destination's settings, for help.
fn settings() -> String {
    let mut text = String::from("Settings, as `--set KEY=VALUE` or as variables:\n");
    let mut list = |name: &str, settings: &[Setting]| {
        let _ = writeln!(text, "\n  {name}");
        for setting in settings {
            let mut more = setting.variables.join(", ");
            if let Some(default) = setting.default.filter(|it| !it.is_empty()) {
                let gap = if more.is_empty() { "" } else { "; " };
                let _ = write!(more, "{gap}default: {default}");
            }
            let more = if more.is_empty() { more } else { format!(" [{more}]") };
            let _ = writeln!(text, "    {:<16} {}{more}", setting.key, setting.what);
        }
    };
    for entry in ALL {
        list(entry.name, entry.settings);
    }
    list("every destination", COMMON);
    text.push_str(
        "\nCredentials come from where each provider's own tool keeps them: see docs/clouds/upload.md. \
         None is taken from the command line.",
    );
    text
}

/// `mailkiln upload`.
#[derive(Debug, Args)]
#[command(after_help = "\
An image is known by its digest: one that is there already is not sent again. An upload that was interrupted goes on when \
the same command is run again; what it needs for that is in a journal beside the image. Everything that a failed upload \
has made is removed. `--help` lists the settings of each destination.", after_long_help = settings())]
pub struct UploadArguments {
    /// Where to
    #[arg(value_name = "DEST", value_parser = destinations())]
    pub destination: &'static Entry,
    /// The image; without one, only --prune works
    #[arg(value_name = "IMAGE", required_unless_present = "prune")]
    pub image: Option<PathBuf>,
    /// The region; the same as --set region=REGION
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The address of a private cloud or another service; the same as --set endpoint=URL
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The bucket; the same as --set bucket=NAME
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// A setting of the destination; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Say what would be done, and send nothing
    #[arg(short = 'n', long, conflicts_with = "abandon")]
    pub dry_run: bool,
    /// Then keep the newest N images with the same name, and remove older ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub prune: Option<u16>,
    /// The name that --prune is about, as mail.example.org-aws-x86_64 [default: the image's]
    #[arg(long, value_name = "NAME", requires = "prune")]
    pub name: Option<String>,
    /// Remove what an interrupted upload of this image has left in the cloud
    #[arg(long, requires = "image", conflicts_with = "prune")]
    pub abandon: bool,
}

impl UploadArguments {
    /// All settings that were given, or the key that was given twice.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, String> {
        let named =
            [("region", &self.region), ("endpoint", &self.endpoint), ("bucket", &self.bucket)];
        let named =
            named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        let mut all = BTreeMap::new();
        for (key, value) in named.chain(self.set.iter().cloned()) {
            if all.insert(key.clone(), value).is_some() {
                return Err(key);
            }
        }
        Ok(all)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    let secret = ["password", "secret", "token", "key"].iter().any(|word| key.contains(word));
    if secret && key != "key-file" {
        return Err("credentials are not taken from the command line, where others see them".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

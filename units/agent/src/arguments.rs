//! The command line of `mailkiln-agent`.
//!
//! In: arguments. Out: a [`Command`]. Secrets never come this way: they are read from standard
//! input, since everybody can see the arguments of a process.

use std::ffi::OsString;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make secrets, keys and a first certificate.
    Prepare,
    /// Take over the seed on the card.
    SeedTake,
    /// Erase the seed on the card.
    SeedErase,
    /// Look for first boot data that is attached.
    CloudLocal,
    /// Print VMware's variables, or overwrite those that may have a secret.
    CloudGuestinfo {
        /// Overwrite.
        redact: bool,
    },
    /// Ask the cloud for first boot data.
    CloudFetch,
    /// Take over first boot data.
    CloudApply,
    /// Forget what the cloud said.
    CloudForget,
    /// Make domains and accounts.
    Provision,
    /// Print what `provision` would change.
    ProvisionPlan {
        /// Another description than the one in use.
        appliance: Option<PathBuf>,
    },
    /// Show the status on the consoles until stopped.
    Console,
    /// Serve the page where people change their password.
    Page,
    /// Say whether mail can be sent and read.
    Health {
        /// As JSON.
        json: bool,
    },
    /// Print the status once.
    Status,
    /// Set a password.
    Password {
        /// Whose: an account, or `admin`.
        address: String,
        /// Read it from standard input instead of making one.
        from_stdin: bool,
    },
    /// Keep a secret from standard input.
    SecretSet {
        /// Its name.
        name: String,
    },
    /// Delete the initial passwords.
    ForgetPasswords,
    /// List the clients that are banned.
    BansList,
    /// Let a client in again.
    BansLift {
        /// Its address.
        address: String,
    },
}

/// A whole command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Do something, below a root directory.
    Run {
        /// What.
        command: Command,
        /// `/` but in tests.
        root: PathBuf,
    },
    /// Print this and end.
    Print(String),
}

/// A command line that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}; `mailkiln-agent --help` lists the commands")]
pub struct ArgumentsError(String);

/// What `--help` prints.
pub const HELP: &str = "\
mailkiln-agent: looks after a Mailkiln mail appliance

Commands for people (as root, or as the user mailkiln; what root writes belongs to mailkiln too):
  status                      addresses, health, ports and missing DNS records
  health [--json]             exit status 0 when mail can be sent and read, else 1 and why
  password ADDRESS [--stdin]  set a new password: a random one, which is printed, or the one on
                              standard input. `admin` is the administrator of the API
  secret set NAME             keep the secret on standard input, for example relay-password
  provision --plan [--appliance FILE]
                              print what the next start of mailkiln-provision changes, and change
                              nothing; FILE is another appliance.json, as of a host not switched to yet
  forget-passwords            delete the passwords of the first boot once they are written down
  bans [list]                 list the clients that are banned, why and for how long
  bans lift ADDRESS           let a client in again
  cloud forget                forget the fragment and all else that the cloud said; the next boot asks again

Commands of the appliance's own services:
  cloud local                 look for first boot data that is attached: volumes, guestinfo, credentials
  cloud guestinfo [redact]    print VMware's variables, or overwrite the user-data among them
  cloud fetch                 ask the metadata service, where the firmware says that this is a cloud
  cloud apply                 make of it what the machine is: keys, identity, the fragment of mail.toml
  seed take                   take over the seed on the boot partition, as far as root is needed for it
  prepare                     make secrets, keys and a first certificate, but for those of the seed
  seed erase                  overwrite the seed on the boot partition with zeros
  provision                   create, change, suspend and delete accounts and domains as mail.toml says
  console                     show the status on the consoles
  page                        serve https://HOST/, where people change their own password

Options:
  --root DIR                  use the files below DIR instead of / (for tests)
  --help, --version
";

impl Arguments {
    /// Reads a command line without the program's name.
    ///
    /// # Errors
    /// [`ArgumentsError`] naming the argument.
    pub fn parse(
        arguments: impl IntoIterator<Item = impl Into<OsString>, IntoIter: 'static>,
    ) -> Result<Self, ArgumentsError> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let (mut words, mut root) = (Vec::new(), PathBuf::from("/"));
        let (mut json, mut from_stdin) = (false, false);
        let (mut plan, mut appliance) = (false, None);
        let wrong = |error: lexopt::Error| ArgumentsError(error.to_string());
        while let Some(argument) = parser.next().map_err(wrong)? {
            match argument {
                lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => {
                    return Ok(Self::Print(HELP.to_owned()));
                }
                lexopt::Arg::Long("version") | lexopt::Arg::Short('V') => {
                    let version = env!("CARGO_PKG_VERSION");
                    return Ok(Self::Print(format!("mailkiln-agent {version}\n")));
                }
                lexopt::Arg::Long("root") => root = parser.value().map_err(wrong)?.into(),
                lexopt::Arg::Long("plan") => plan = true,
                lexopt::Arg::Long("appliance") => {
                    appliance = Some(PathBuf::from(parser.value().map_err(wrong)?));
                }
                lexopt::Arg::Long("json") => json = true,
                lexopt::Arg::Long("stdin") => from_stdin = true,
                lexopt::Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
                other => return Err(wrong(other.unexpected())),
            }
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        if (plan || appliance.is_some()) && !(plan && words == ["provision"]) {
            let text = "`--plan` goes with `provision`, and `--appliance` with `--plan`";
            return Err(ArgumentsError(text.to_owned()));
        }
        let command = match (words.as_slice(), json, from_stdin) {
            (["prepare"], false, false) => Command::Prepare,
            (["seed", "take"], false, false) => Command::SeedTake,
            (["seed", "erase"], false, false) => Command::SeedErase,
            (["cloud", "local"], false, false) => Command::CloudLocal,
            (["cloud", "guestinfo"], false, false) => Command::CloudGuestinfo { redact: false },
            (["cloud", "guestinfo", "redact"], false, false) => {
                Command::CloudGuestinfo { redact: true }
            }
            (["cloud", "fetch"], false, false) => Command::CloudFetch,
            (["cloud", "apply"], false, false) => Command::CloudApply,
            (["cloud", "forget"], false, false) => Command::CloudForget,
            (["provision"], false, false) if plan => Command::ProvisionPlan { appliance },
            (["provision"], false, false) => Command::Provision,
            (["console"], false, false) => Command::Console,
            (["page"], false, false) => Command::Page,
            (["health"], json, false) => Command::Health { json },
            (["status"], false, false) => Command::Status,
            (["password", address], false, from_stdin) => {
                Command::Password { address: (*address).to_owned(), from_stdin }
            }
            (["secret", "set", name], false, false) => {
                Command::SecretSet { name: (*name).to_owned() }
            }
            (["forget-passwords"], false, false) => Command::ForgetPasswords,
            (["bans"] | ["bans", "list"], false, false) => Command::BansList,
            (["bans", "lift", address], false, false) => {
                Command::BansLift { address: (*address).to_owned() }
            }
            ([], ..) => return Err(ArgumentsError("no command is given".to_owned())),
            (words, ..) => {
                let given = words.join(" ");
                return Err(ArgumentsError(format!(
                    "`{given}` is not a command, or is used differently"
                )));
            }
        };
        Ok(Self::Run { command, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn commands() {
        for (line, expected) in [
            ("prepare", Command::Prepare),
            ("seed take", Command::SeedTake),
            ("seed erase", Command::SeedErase),
            ("cloud local", Command::CloudLocal),
            ("cloud guestinfo", Command::CloudGuestinfo { redact: false }),
            ("cloud guestinfo redact", Command::CloudGuestinfo { redact: true }),
            ("cloud fetch", Command::CloudFetch),
            ("cloud apply", Command::CloudApply),
            ("cloud forget", Command::CloudForget),
            ("provision", Command::Provision),
            ("provision --plan", Command::ProvisionPlan { appliance: None }),
            (
                "provision --plan --appliance x.json",
                Command::ProvisionPlan { appliance: Some("x.json".into()) },
            ),
            ("health --json", Command::Health { json: true }),
            ("--root /x health", Command::Health { json: false }),
            (
                "password a@b.org --stdin",
                Command::Password { address: "a@b.org".to_owned(), from_stdin: true },
            ),
            ("bans", Command::BansList),
            ("bans list", Command::BansList),
            ("bans lift 192.0.2.1", Command::BansLift { address: "192.0.2.1".to_owned() }),
            ("secret set relay-password", Command::SecretSet { name: "relay-password".to_owned() }),
        ] {
            match parse(line).unwrap() {
                Arguments::Run { command, .. } => assert_eq!(command, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(parse("--help").unwrap(), Arguments::Print(HELP.to_owned()));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("", "no command"),
            ("dance", "`dance`"),
            ("prepare --json", "`prepare`"),
            ("health --plan", "`--plan` goes with `provision`"),
            ("provision --appliance x", "`--appliance` with `--plan`"),
            ("seed", "`seed`"),
            ("cloud", "`cloud`"),
            ("password", "`password`"),
            ("password a@b.org secret", "`password a@b.org secret`"),
            ("health --yaml", "--yaml"),
            ("bans lift", "`bans lift`"),
            ("--root", "--root"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part) && error.contains("--help"), "{error}");
        }
    }
}

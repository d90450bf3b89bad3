//! Keys for AWS and what speaks S3: the environment, the files of the AWS CLI, a program, single sign-on.
//!
//! Source: "AWS SDKs and Tools Reference Guide", standardized credential providers. Not read: the metadata service
//! of an EC2 machine and web identities (`aws configure export-credentials --format env` gives those).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;

use super::{ini, output_of};
use crate::error::UploadError;
use crate::http::{Http, Request, Response, query};
use crate::parts::hex;
use crate::settings::Surroundings;
use crate::sign::aws::{Keys, Scope, sign};

/// Where keys may be, beyond the files.
#[derive(Debug, Clone)]
pub struct Source {
    /// For errors.
    pub destination: &'static str,
    /// Variables: identifier, secret, session token. The first pair that is set counts.
    pub variables: &'static [[&'static str; 3]],
    /// Whether the files of the AWS CLI are read.
    pub files: bool,
    /// The profile in them.
    pub profile: String,
    /// The environment.
    pub surroundings: Surroundings,
}

/// Keys that can be read again when they have expired.
#[derive(Debug)]
pub struct Credentials {
    source: Source,
    keys: Mutex<Keys>,
}

impl Credentials {
    /// Reads them.
    ///
    /// # Errors
    /// [`UploadError::NoCredentials`], [`UploadError::BadCredentials`], [`UploadError::File`].
    pub fn read(source: Source, http: &Http) -> Result<Self, UploadError> {
        let keys = source.keys(http)?;
        Ok(Self { source, keys: Mutex::new(keys) })
    }

    /// Signs and sends a request; where the keys have expired, reads them again and sends once more.
    ///
    /// # Errors
    /// As [`Http::send`]; [`UploadError::Expired`].
    pub fn send(
        &self,
        http: &Http,
        what: &str,
        scope: &Scope,
        payload: &str,
        request: &Request,
    ) -> Result<Response, UploadError> {
        let mut renewed = false;
        loop {
            let keys = self.current();
            let response = http.send(what, || {
                Ok(sign(request.clone(), payload, &keys, scope, Timestamp::now()))
            })?;
            let expired = matches!(response.status, 400 | 401 | 403)
                && matches!(response.refused(what), UploadError::Expired { .. });
            if !expired {
                return Ok(response);
            }
            if renewed || !self.renew(http, &keys) {
                return Err(UploadError::Expired { what: what.to_owned() });
            }
            renewed = true;
        }
    }

    fn current(&self) -> Keys {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there are other keys by now.
    fn renew(&self, http: &Http, old: &Keys) -> bool {
        let Ok(new) = self.source.keys(http) else { return false };
        let differs = new.id != old.id || new.token != old.token;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = new;
        differs
    }
}

impl Source {
    fn keys(&self, http: &Http) -> Result<Keys, UploadError> {
        let mut tried = Vec::new();
        for [id, secret, token] in self.variables {
            tried.push(format!("{id} and {secret}"));
            let variable = |name| self.surroundings.variable(name).map(str::to_owned);
            if let (Some(id), Some(secret)) = (variable(id), variable(secret)) {
                return Ok(Keys { id, secret, token: variable(token) });
            }
        }
        if self.files
            && let Some(keys) = self.keys_of_files(http, &mut tried)?
        {
            return Ok(keys);
        }
        let [id, secret, _] = self.variables.first().copied().unwrap_or_default();
        Err(UploadError::NoCredentials {
            destination: self.destination,
            tried,
            hint: match self.files {
                true => format!("set {id} and {secret}, or run `aws configure`"),
                false => format!("set {id} and {secret}"),
            },
        })
    }

    /// The path of a file of the AWS CLI.
    fn path(&self, variable: &str, below: &str) -> Option<PathBuf> {
        match self.surroundings.variable(variable) {
            Some(path) => Some(path.into()),
            None => self.surroundings.home(below),
        }
    }

    fn keys_of_files(
        &self,
        http: &Http,
        tried: &mut Vec<String>,
    ) -> Result<Option<Keys>, UploadError> {
        let profile = self.profile.as_str();
        let sections = |variable, below, tried: &mut Vec<String>| {
            let Some(path) = self.path(variable, below) else { return Ok(None) };
            tried.push(format!("profile `{profile}` of {}", path.display()));
            Ok::<_, UploadError>(Surroundings::read(&path)?.map(|text| ini(&text)))
        };
        let shared = sections("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", tried)?;
        let config = sections("AWS_CONFIG_FILE", ".aws/config", tried)?.unwrap_or_default();
        let mut section = match profile {
            "default" => config.get("default").cloned(),
            name => config.get(&format!("profile {name}")).cloned(),
        }
        .unwrap_or_default();
        if let Some(own) = shared.unwrap_or_default().get(profile) {
            section.extend(own.clone());
        }
        let value = |key: &str| section.get(key).cloned();
        if let (Some(id), Some(secret)) =
            (value("aws_access_key_id"), value("aws_secret_access_key"))
        {
            return Ok(Some(Keys { id, secret, token: value("aws_session_token") }));
        }
        if let Some(command) = value("credential_process") {
            return from_program(&command).map(Some);
        }
        let session = value("sso_session");
        let session_section =
            session.as_ref().and_then(|name| config.get(&format!("sso-session {name}")));
        let sso = |key: &str| {
            value(key).or_else(|| session_section.and_then(|section| section.get(key).cloned()))
        };
        match (sso("sso_start_url"), sso("sso_region"), sso("sso_account_id"), sso("sso_role_name"))
        {
            (Some(url), Some(region), Some(account), Some(role)) => {
                let key = session.unwrap_or(url);
                self.keys_of_single_sign_on(http, &key, &region, &account, &role).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// "IAM Identity Center credential provider": a token that `aws sso login` left, for keys of a role.
    fn keys_of_single_sign_on(
        &self,
        http: &Http,
        key: &str,
        region: &str,
        account: &str,
        role: &str,
    ) -> Result<Keys, UploadError> {
        let name = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes()).as_ref());
        let hint = format!("run `aws sso login --profile {}`", self.profile);
        let bad = |reason: &str| UploadError::BadCredentials {
            from: format!("the single sign-on of profile `{}`", self.profile),
            reason: reason.to_owned(),
            hint: hint.clone(),
        };
        let path = self
            .surroundings
            .home(&format!(".aws/sso/cache/{name}.json"))
            .ok_or_else(|| bad("HOME is not set"))?;
        let text = Surroundings::read(&path)?.ok_or_else(|| bad("no one has signed in"))?;
        let cached: Value = serde_json::from_str(&text).map_err(|_| bad("no JSON"))?;
        let token = cached["accessToken"].as_str().ok_or_else(|| bad("it has no accessToken"))?;
        let fields = query(&[("account_id", account), ("role_name", role)]);
        let address = match self.surroundings.variable("AWS_ENDPOINT_URL_SSO") {
            Some(address) => address.trim_end_matches('/').to_owned(),
            None => format!("https://portal.sso.{region}.amazonaws.com"),
        };
        let request = Request::new("GET", format!("{address}/federation/credentials?{fields}"))
            .header("x-amz-sso_bearer_token", token);
        let response = http.send("asking for keys of the role", || Ok(request.clone()))?;
        if !response.is_success() {
            return Err(bad("the token is no longer accepted"));
        }
        let found = response.json("asking for keys of the role")?;
        let keys = &found["roleCredentials"];
        let field = |name: &str| keys[name].as_str().map(str::to_owned);
        match (field("accessKeyId"), field("secretAccessKey")) {
            (Some(id), Some(secret)) => Ok(Keys { id, secret, token: field("sessionToken") }),
            _ => Err(bad("the answer has no keys")),
        }
    }
}

/// "Process credential provider": JSON on standard output. Words are split at blanks; quotes keep them together.
fn from_program(command: &str) -> Result<Keys, UploadError> {
    let words = words(command);
    let (program, arguments) = match words.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("", &[][..]),
    };
    let hint = "run the credential_process of the profile yourself and see what it says";
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = output_of(program, &arguments, hint)?;
    let bad = |reason: &str| UploadError::BadCredentials {
        from: format!("the program `{program}`"),
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    };
    let value: Value = serde_json::from_str(&text).map_err(|_| bad("its output is not JSON"))?;
    let field = |name: &str| value[name].as_str().map(str::to_owned);
    match (field("AccessKeyId"), field("SecretAccessKey")) {
        (Some(id), Some(secret)) => Ok(Keys { id, secret, token: field("SessionToken") }),
        _ => Err(bad("its output has no AccessKeyId and SecretAccessKey")),
    }
}

/// Words with single or double quotes around some.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(char), true),
            (None, ' ' | '\t') => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(char);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::retry::Patience;

    fn source(home: &Path, variables: &[(&str, &str)]) -> Source {
        let mut all: BTreeMap<String, String> =
            variables.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        all.insert("HOME".to_owned(), home.display().to_string());
        Source {
            destination: "s3",
            variables: &[["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]],
            files: true,
            profile: "default".to_owned(),
            surroundings: Surroundings { variables: all },
        }
    }

    fn keys(source: &Source) -> Result<Keys, UploadError> {
        source.keys(&Http::new(None, false, Patience::default()).unwrap())
    }

    #[test]
    fn the_environment_comes_before_files_and_programs() {
        let folder = tempfile::tempdir().unwrap();
        let aws = folder.path().join(".aws");
        std::fs::create_dir(&aws).unwrap();
        let none = keys(&source(folder.path(), &[])).unwrap_err();
        assert!(none.to_string().contains(".aws/credentials"), "{none}");
        let program = r#"credential_process = sh -c 'echo "{\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"x\"}"'"#;
        std::fs::write(aws.join("config"), format!("[default]\n{program}\n")).unwrap();
        assert_eq!(keys(&source(folder.path(), &[])).unwrap().id, "P");
        let text = "[default]\naws_access_key_id = F\naws_secret_access_key = y\n";
        std::fs::write(aws.join("credentials"), text).unwrap();
        assert_eq!(keys(&source(folder.path(), &[])).unwrap().id, "F");
        let set = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "z")];
        assert_eq!(keys(&source(folder.path(), &set)).unwrap().id, "E");
    }

    #[test]
    fn a_program_that_fails_is_named_without_what_it_printed() {
        let error = from_program("sh -c 'echo secret; echo why >&2; exit 3'").unwrap_err();
        assert!(error.to_string().contains("why") && !error.to_string().contains("secret"));
        assert!(from_program("").is_err());
        assert_eq!(words(r#"a "b c" d'e f' """#), ["a", "b c", "de f", ""]);
    }
}

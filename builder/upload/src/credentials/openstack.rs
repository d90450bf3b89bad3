//! Who we are to an OpenStack cloud: `clouds.yaml` with `secure.yaml`, or the variables of an RC file.
//!
//! Source: openstacksdk, "Configuring OpenStack SDK Applications"; keystoneauth's plugins v3password,
//! v3applicationcredential and v3token. Out: the body of a request for a token (Identity API v3).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::yaml::Yaml;
use crate::error::UploadError;
use crate::settings::{Settings, Surroundings};

/// How to sign in.
#[derive(Clone)]
pub struct Identity {
    /// Keystone's address, with `/v3` at its end.
    pub auth_url: String,
    /// The region whose services are used; any where there is none.
    pub region: Option<String>,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// The body of the request for a token.
    pub body: Value,
    /// What the place is called in messages: project or credential.
    pub label: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("auth_url", &self.auth_url).finish_non_exhaustive()
    }
}

/// Reads it: the cloud that was named, else the variables, else the only cloud of the file.
///
/// # Errors
/// [`UploadError::NoCredentials`], [`UploadError::BadCredentials`], [`UploadError::File`].
pub fn read(settings: &Settings) -> Result<Identity, UploadError> {
    let surroundings = &settings.surroundings;
    let named = settings.get("cloud");
    let mut tried = Vec::new();
    if named.is_none() {
        tried.push("OS_AUTH_URL".to_owned());
        if surroundings.variable("OS_AUTH_URL").is_some() {
            let value = |key: &str| {
                let name = format!("OS_{}", key.to_uppercase());
                surroundings.variable(&name).map(str::to_owned)
            };
            return identity(settings, "the variables OS_…", &value);
        }
    }
    let candidates = [
        surroundings.variable("OS_CLIENT_CONFIG_FILE").map(PathBuf::from),
        Some(PathBuf::from("clouds.yaml")),
        surroundings.config("openstack/clouds.yaml"),
        Some(PathBuf::from("/etc/openstack/clouds.yaml")),
    ];
    for path in candidates.into_iter().flatten() {
        tried.push(path.display().to_string());
        let Some(mut tree) = parse(&path)? else { continue };
        if let Some(secure) = parse(&path.with_file_name("secure.yaml"))? {
            tree.merge(secure);
        }
        let bad = |reason: String| UploadError::BadCredentials {
            from: path.display().to_string(),
            reason,
            hint: "name a cloud of it with `--set cloud=NAME` or OS_CLOUD".to_owned(),
        };
        let Some(Yaml::Map(clouds)) = tree.at(&["clouds"]) else {
            return Err(bad("it has no `clouds`".to_owned()));
        };
        let names: Vec<&str> = clouds.keys().map(String::as_str).collect();
        let cloud = match (&named, names.as_slice()) {
            (Some(name), _) => clouds.get_key_value(name.as_str()),
            (None, [_]) => clouds.first_key_value(),
            (None, _) => None,
        };
        let Some((name, cloud)) = cloud else {
            return Err(bad(format!("it has the clouds {}", names.join(", "))));
        };
        let value = |key: &str| {
            let found = cloud.text(&["auth", key]).or_else(|| cloud.text(&[key]));
            found.map(str::to_owned)
        };
        return identity(settings, &format!("cloud `{name}` of {}", path.display()), &value);
    }
    Err(UploadError::NoCredentials {
        destination: "openstack",
        tried,
        hint: "load the RC file of the project, or write clouds.yaml (`openstack application \
               credential create mailkiln` makes a credential for it)"
            .to_owned(),
    })
}

fn parse(path: &Path) -> Result<Option<Yaml>, UploadError> {
    let Some(text) = Surroundings::read(path)? else { return Ok(None) };
    Yaml::parse(&text).map(Some).map_err(|reason| UploadError::BadCredentials {
        from: path.display().to_string(),
        reason,
        hint: "write plain keys and values".to_owned(),
    })
}

fn identity(
    settings: &Settings,
    from: &str,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<Identity, UploadError> {
    let missing = |key: &str| UploadError::BadCredentials {
        from: from.to_owned(),
        reason: format!("it has no `{key}`"),
        hint: "see docs/clouds/openstack.md for what is needed".to_owned(),
    };
    let auth_url = value("auth_url").ok_or_else(|| missing("auth_url"))?;
    let auth_url = auth_url.trim_end_matches('/');
    let auth_url = auth_url.strip_suffix("/v3").unwrap_or(auth_url);
    let (identity, scope, label) = if let Some(id) = value("application_credential_id") {
        let secret = value("application_credential_secret")
            .ok_or_else(|| missing("application_credential_secret"))?;
        let credential = json!({"id": id, "secret": secret});
        let identity =
            json!({"methods": ["application_credential"], "application_credential": credential});
        (identity, None, id)
    } else if let Some(token) = value("token") {
        let scope = scope(value);
        (json!({"methods": ["token"], "token": {"id": token}}), scope, "token".to_owned())
    } else {
        let password = value("password").ok_or_else(|| missing("password"))?;
        let mut user = json!({"password": password});
        match (value("user_id"), value("username")) {
            (Some(id), _) => user["id"] = json!(id),
            (None, Some(name)) => {
                user["name"] = json!(name);
                user["domain"] = domain(value, "user_domain");
            }
            (None, None) => return Err(missing("username")),
        }
        let project = value("project_name").or_else(|| value("project_id"));
        let scope = scope(value).ok_or_else(|| missing("project_name"))?;
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        (identity, Some(scope), project.unwrap_or_default())
    };
    let mut auth = json!({"identity": identity});
    if let Some(scope) = scope {
        auth["scope"] = scope;
    }
    Ok(Identity {
        auth_url: format!("{auth_url}/v3"),
        region: settings.get("region").or_else(|| value("region_name")),
        interface: value("interface").unwrap_or_else(|| "public".to_owned()),
        body: json!({"auth": auth}),
        label,
    })
}

fn domain(value: &dyn Fn(&str) -> Option<String>, kind: &str) -> Value {
    let of = |key: &str| value(key);
    match (of(&format!("{kind}_id")), of(&format!("{kind}_name"))) {
        (Some(id), _) => json!({"id": id}),
        (None, Some(name)) => json!({"name": name}),
        (None, None) => match (of("domain_id"), of("domain_name")) {
            (Some(id), _) => json!({"id": id}),
            (None, Some(name)) => json!({"name": name}),
            (None, None) => json!({"id": "default"}),
        },
    }
}

fn scope(value: &dyn Fn(&str) -> Option<String>) -> Option<Value> {
    if let Some(id) = value("project_id").or_else(|| value("tenant_id")) {
        return Some(json!({"project": {"id": id}}));
    }
    let name = value("project_name").or_else(|| value("tenant_name"))?;
    Some(json!({"project": {"name": name, "domain": domain(value, "project_domain")}}))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::destinations::openstack::ENTRY;

    fn identity_of(variables: &[(&str, &str)], yaml: &str) -> Result<Identity, UploadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clouds.yaml");
        std::fs::write(&path, yaml).unwrap();
        let mut all: BTreeMap<String, String> =
            variables.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        if !yaml.is_empty() {
            all.insert("OS_CLIENT_CONFIG_FILE".to_owned(), path.display().to_string());
        }
        let surroundings = Surroundings { variables: all };
        read(&Settings::new("openstack", ENTRY.settings, BTreeMap::new(), surroundings)?)
    }

    #[test]
    fn variables_of_an_rc_file() {
        let found = identity_of(
            &[
                ("OS_AUTH_URL", "https://id/v3/"),
                ("OS_USERNAME", "u"),
                ("OS_PASSWORD", "p"),
                ("OS_PROJECT_NAME", "mail"),
                ("OS_USER_DOMAIN_NAME", "Default"),
                ("OS_PROJECT_DOMAIN_ID", "d"),
            ],
            "",
        )
        .unwrap();
        assert_eq!(found.auth_url, "https://id/v3");
        assert_eq!(found.body["auth"]["scope"]["project"]["domain"]["id"], "d");
        let user = &found.body["auth"]["identity"]["password"]["user"];
        assert_eq!((&user["name"], &user["domain"]["name"]), (&json!("u"), &json!("Default")));
        let missing = identity_of(&[("OS_AUTH_URL", "https://id"), ("OS_USERNAME", "u")], "");
        assert!(missing.unwrap_err().to_string().contains("password"));
    }

    #[test]
    fn clouds_of_a_file() {
        let one = "clouds:\n  a:\n    auth:\n      auth_url: https://id:5000\n      application_credential_id: i\n      application_credential_secret: s\n    region_name: R\n";
        let found = identity_of(&[], one).unwrap();
        assert_eq!(found.body["auth"]["identity"]["application_credential"]["secret"], "s");
        assert!(found.body["auth"].get("scope").is_none());
        assert_eq!(found.region.as_deref(), Some("R"));
        assert!(!format!("{found:?}").contains('s') || !format!("{found:?}").contains("secret"));
        let two = format!("{one}  b:\n    auth:\n      token: t\n      auth_url: https://b\n");
        assert!(identity_of(&[], &two).unwrap_err().to_string().contains("a, b"));
        assert_eq!(identity_of(&[("OS_CLOUD", "b")], &two).unwrap().auth_url, "https://b/v3");
        assert!(identity_of(&[("OS_CLOUD", "c")], &two).is_err());
    }
}

//! What of a unit depends on the domains, as drop-ins.
//!
//! In: a specification. Out: files for systemd, which the module has built with the configuration. They
//! can't be made by Nix, which does not know how a domain in another script is spelled in ASCII.

use std::collections::BTreeMap;

use mailkiln_spec::Spec;

use crate::model::Model;
use crate::modules::ModulesError;
use crate::source::Source;
use crate::units::DOMAIN;

/// The drop-ins of all services that have something for each domain, by path below the folder.
///
/// # Errors
/// [`ModulesError`], which only a defect of ours causes.
pub fn drop_ins(spec: &Spec) -> Result<Vec<Source>, ModulesError> {
    let model = Model::new()?;
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for service in model.services() {
        for directive in service.directives()? {
            if !directive.value.contains(DOMAIN) {
                continue;
            }
            let text = texts.entry(service.unit()).or_insert_with(|| "[Service]\n".to_owned());
            for domain in &spec.domains {
                let value = directive.value.replace(DOMAIN, domain.name.as_str());
                text.push_str(&format!("{}={value}\n", directive.key));
            }
        }
    }
    let source = |(unit, text)| Source {
        path: format!("lib/systemd/system/{unit}.d/mailkiln-domains.conf"),
        text,
    };
    Ok(texts.into_iter().map(source).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_server_gets_the_keys_of_each_domain_by_its_name_in_ascii() {
        let text = "[host]\nname = 'mail.bücher.example'\n[[domain]]\nname = 'Bücher.example'\n\
                    [[domain]]\nname = 'example.org'\n[[account]]\naddress = 'a@example.org'\n";
        let found = drop_ins(&mailkiln_spec::parse(text).unwrap()).unwrap();
        let [file] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(file.path, "lib/systemd/system/mail-server.service.d/mailkiln-domains.conf");
        let keys: Vec<&str> = file.text.lines().skip(1).collect();
        assert_eq!(keys.len(), 4, "{}", file.text);
        let key = "LoadCredential=dkim-rsa-xn--bcher-kva.example:\
                   /var/lib/mailkiln/secrets/dkim-rsa-xn--bcher-kva.example.pem";
        assert_eq!(keys[0], key);
        assert!(keys.iter().all(|line| line.starts_with("LoadCredential=dkim-")), "{keys:?}");
    }
}

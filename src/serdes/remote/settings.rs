//! How a registry is reached.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, Secret, SubjectStrategy};

/// How a registry is reached, and what it is asked.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Where it is; several lead to the same registry.
    pub urls: Vec<String>,
    /// Who it is told it talks to.
    pub authentication: Authentication,
    /// Certificates (PEM) of the authorities that vouch for it; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate (PEM).
    pub certificate_file: Option<PathBuf>,
    /// The key (PEM) of that certificate.
    pub key_file: Option<PathBuf>,
    /// How long a question may take.
    pub timeout: Duration,
    /// How often a question is put to all URLs, at least 1.
    pub attempts: usize,
    /// For how long an id counts as one that the registry does not have.
    pub miss_ttl: Duration,
    /// Whether a start registers the schemas of the topics that it writes to.
    pub auto_register: bool,
    /// Under which subject a schema stands.
    pub strategy: SubjectStrategy,
}

/// Who the registry is told it talks to.
#[derive(Clone, Debug, Default)]
pub enum Authentication {
    /// Nobody in particular.
    #[default]
    None,
    /// A user with a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// The bearer of a token.
    Bearer(Secret),
}

impl RegistrySettings {
    /// A registry at these URLs, separated by commas, with the defaults of the settings.
    pub fn new(urls: &str) -> RegistrySettings {
        RegistrySettings::of(&Config::default(), urls, Authentication::None)
    }

    /// The registry that a configuration names, if it names one.
    ///
    /// # Errors
    /// When it says in two ways, or in half of one, who talks to the registry.
    pub fn from_config(config: &Config) -> Result<Option<RegistrySettings>, String> {
        let Some(urls) = &config.schema_registry_url else { return Ok(None) };
        let (username, password) = (&config.schema_registry_username, &config.schema_registry_password);
        let authentication = match (username, password, &config.schema_registry_token) {
            (None, None, None) => Authentication::None,
            (Some(username), Some(password), None) => {
                Authentication::Basic { username: username.clone(), password: password.clone() }
            }
            (None, None, Some(token)) => Authentication::Bearer(token.clone()),
            (_, _, Some(_)) => {
                return Err("`schema_registry.token` and a user are both given; leave one out".to_owned());
            }
            _ => {
                return Err("`schema_registry.username` and `schema_registry.password` go together".to_owned());
            }
        };
        if config.schema_registry_certificate.is_some() != config.schema_registry_key.is_some() {
            return Err("`schema_registry.certificate_file` and `schema_registry.key_file` go together".to_owned());
        }
        Ok(Some(RegistrySettings::of(config, urls, authentication)))
    }

    fn of(config: &Config, urls: &str, authentication: Authentication) -> RegistrySettings {
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned);
        RegistrySettings {
            urls: urls.collect(),
            authentication,
            ca_file: config.schema_registry_ca.clone(),
            certificate_file: config.schema_registry_certificate.clone(),
            key_file: config.schema_registry_key.clone(),
            timeout: config.schema_registry_timeout,
            attempts: config.schema_registry_attempts,
            miss_ttl: config.schema_registry_miss_ttl,
            auto_register: config.schema_registry_auto_register,
            strategy: config.schema_registry_strategy,
        }
    }
}

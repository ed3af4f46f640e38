//! What a setting is, and the macro that makes struct, defaults and reference of one definition.

use super::Config;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from 1 to this.
    Count(usize),
    /// A size in bytes: `16MiB`.
    Bytes,
    /// A duration: `100ms`.
    Duration,
    /// On or off.
    Switch,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A directory.
    Directory,
    /// A file.
    File,
    /// Any text.
    Text,
    /// An address and a port.
    Socket,
}

/// One setting: its name, its documentation, and how it is read and written.
pub struct Setting {
    pub(super) name: &'static str,
    pub(super) documentation: &'static [&'static str],
    pub(super) kind: Kind,
    pub(super) optional: bool,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
    pub(super) get: fn(&Config) -> String,
    pub(super) show: fn(&Config) -> String,
}

impl Setting {
    /// The setting's name, with its section: `state.block_cache_bytes`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is for.
    pub fn documentation(&self) -> String {
        self.documentation.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// What values it takes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it can be `none`.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// The variable of the environment that sets it.
    pub fn variable(&self) -> String {
        format!("{}{}", super::environment::PREFIX, self.name.replace('.', "_").to_uppercase())
    }

    /// Its value, as it would be written in a file.
    pub fn value(&self, config: &Config) -> String {
        (self.get)(config)
    }

    /// Its value for people, without what may be secret in it.
    pub(super) fn shown(&self, config: &Config) -> String {
        (self.show)(config)
    }

    /// Reads a value into the settings.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        (self.set)(config, text)
    }

    /// Whether the value could have been read from a file.
    pub(super) fn check(&self, config: &Config) -> Result<(), String> {
        (self.set)(&mut config.clone(), &self.value(config))
    }

    /// The section it stands in, and its name there.
    pub(super) fn place(&self) -> (Option<&'static str>, &'static str) {
        match self.name.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, self.name),
        }
    }

    /// The setting of a name.
    pub fn find(name: &str) -> Option<&'static Setting> {
        super::SETTINGS.iter().find(|setting| setting.name == name)
    }
}

/// Defines the settings: the structure, its defaults and the table of all settings.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $struct:ident {
            $( $(#[doc = $doc:literal])+ [$name:literal] $field:ident: $type:ty as $codec:ty = $default:expr; )+
        }
    ) => {
        $(#[$meta])*
        pub struct $struct {
            $( $(#[doc = $doc])+ pub $field: $type, )+
            /// Properties of the Kafka client, handed to librdkafka as they are, by name; values of secret ones are
            /// never shown.
            pub kafka: Properties,
        }

        impl Default for $struct {
            fn default() -> Self {
                $struct { $( $field: $default, )+ kafka: Properties::default() }
            }
        }

        /// All settings, in the order of the reference.
        pub static SETTINGS: &[Setting] = &[ $( Setting {
            name: $name,
            documentation: &[$($doc),+],
            kind: <$codec as codec::Codec<$type>>::KIND,
            optional: <$codec as codec::Codec<$type>>::OPTIONAL,
            set: |config, text| {
                config.$field = <$codec as codec::Codec<$type>>::read(text)?;
                Ok(())
            },
            get: |config| <$codec as codec::Codec<$type>>::write(&config.$field),
            show: |config| <$codec as codec::Codec<$type>>::show(&config.$field),
        }, )+ ];
    };
}
pub(super) use settings;

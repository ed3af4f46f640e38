//! Settings from a YAML file; every mistake is reported with its place.

use super::load::{Assignment, KAFKA, Origin};
use super::secret::{has_reference, is_secret};
use super::{SETTINGS, Setting};
use crate::yaml::{self, Content, Diagnostic, FileKind, Key, Node, Problems, Span, nearest, suggest};

const CONFIGURATION: FileKind = FileKind {
    what: "configuration",
    start: "write a setting, such as `threads: 2`",
    too_long: "is it the right file?",
};

/// Reads a file and hands each value to `assign`, whose refusals become mistakes of the file.
pub(super) fn read(
    name: &str,
    text: &str,
    problems: &mut Problems,
    assign: impl FnMut(Assignment) -> Result<(), String>,
) {
    let Some(root) = yaml::parse(text, CONFIGURATION, problems) else { return };
    let mut reader = Reader { name, text, problems, assign };
    for (key, node) in reader.entries(&root, "settings") {
        let section = key.text.as_str();
        if section == KAFKA {
            reader.properties(node);
        } else if sections().any(|known| known == section) {
            for (key, node) in reader.entries(node, "settings") {
                reader.setting(Some(section), key, node);
            }
        } else {
            reader.setting(None, key, node);
        }
    }
}

/// The sections of settings, some more than once.
fn sections() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().filter_map(|setting| setting.place().0)
}

struct Reader<'a, F> {
    name: &'a str,
    text: &'a str,
    problems: &'a mut Problems,
    assign: F,
}

impl<F: FnMut(Assignment) -> Result<(), String>> Reader<'_, F> {
    /// The keys and values of a mapping; anything else is reported.
    fn entries<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Key, Node)] {
        match &node.content {
            Content::Mapping(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                let message = format!("expected a mapping of {what}, found {}", node.kind());
                self.problems.report(Diagnostic::new(node.place(), message).help("write `setting: value` pairs"));
                &[]
            }
        }
    }

    fn setting(&mut self, section: Option<&str>, key: &Key, node: &Node) {
        let known = SETTINGS.iter().find(|setting| setting.place() == (section, &key.text));
        let Some(setting) = known else {
            // It may be a password whose setting is misspelled.
            self.problems.hide(&node.span);
            return self.unknown(section, key);
        };
        match node.scalar() {
            Some(_) if node.is_null() && setting.is_optional() => self.assign(setting.name(), "none", &node.span),
            Some(scalar) if !node.is_null() => self.assign(setting.name(), &scalar.text, &node.span),
            _ => {
                let message = format!("`{}` needs a value, found {}", key.text, node.kind());
                self.problems.report(Diagnostic::new(node.place(), message));
            }
        }
    }

    fn properties(&mut self, node: &Node) {
        for (key, node) in self.entries(node, "properties of the Kafka client") {
            match node.scalar() {
                Some(scalar) if !node.is_null() => {
                    self.assign(&format!("{KAFKA}.{}", key.text), &scalar.text, &node.span);
                }
                _ => {
                    let message = format!("the property `{}` needs a value, found {}", key.text, node.kind());
                    let help = "write properties on one line, as librdkafka names them: `sasl.username: ann`";
                    self.problems.report(Diagnostic::new(node.place(), message).help(help));
                }
            }
        }
    }

    fn assign(&mut self, name: &str, text: &str, span: &Span) {
        // What stands on its line is shown with any mistake on that line.
        if !has_reference(text) && (is_secret(name) || name.ends_with(".url") && text.contains(['@', '?'])) {
            self.problems.hide(span);
        }
        let line = self.text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
        let origin = Origin::File { name: self.name.to_owned(), line };
        let assignment = Assignment { name: name.to_owned(), text: text.to_owned(), origin };
        if let Err(problem) = (self.assign)(assignment) {
            self.problems.report(Diagnostic::new(span.clone(), problem));
        }
    }

    fn unknown(&mut self, section: Option<&str>, key: &Key) {
        let inside: Vec<&str> =
            SETTINGS.iter().map(Setting::place).filter(|place| place.0 == section).map(|place| place.1).collect();
        let within = section.map(|section| format!("`{section}` has ")).unwrap_or_else(|| "there is ".to_owned());
        let mut names = inside.clone();
        if section.is_none() {
            names.extend(sections().chain([KAFKA]));
        }
        let help = match nearest(&key.text, names.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            // A setting of another section, or one with its section before it.
            None => match Setting::find(&key.text).map(Setting::place).or_else(|| elsewhere(&key.text)) {
                Some((Some(section), name)) => Some(format!("write `{name}` within `{section}:`")),
                Some((None, name)) => Some(format!("write `{name}` outside of any section")),
                None if key.text.contains('.') => {
                    Some(format!("properties of the Kafka client stand within `{KAFKA}:`"))
                }
                None => suggest(&key.text, names.iter().copied()),
            },
        };
        let message = format!("{within}no setting `{}`", key.text);
        self.problems.report(Diagnostic::new(key.span.clone(), message).help_if(help));
    }
}

fn elsewhere(name: &str) -> Option<(Option<&'static str>, &'static str)> {
    SETTINGS.iter().map(Setting::place).find(|place| place.1 == name)
}

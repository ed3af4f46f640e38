//! The JSON Schema of the language, for editors.

use schemars::generate::SchemaSettings;

use super::spec::TopologySpec;

/// The JSON Schema (draft 2020-12) of topology files, made from the definitions that the parser uses.
pub fn json_schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<TopologySpec>();
    schema.insert("title".to_owned(), "signalstream topology".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_field_of_the_language() {
        fn undocumented(path: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
            if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
                for (name, property) in properties {
                    if property.get("description").is_none() && name != "default" {
                        found.push(format!("{path}.{name}"));
                    }
                }
            }
        }
        let schema = json_schema();
        let mut found = Vec::new();
        undocumented("topology", &schema, &mut found);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            undocumented(name, definition, &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(schema["required"], serde_json::json!(["topology"]));
        assert_eq!(schema["properties"]["sinks"]["items"]["$ref"], "#/$defs/Sink");
    }
}

//! Shapes as JSON Schema (2020-12).

use serde_json::{Map, Value, json};

use super::expression::Shape;
use super::rule::{Need, Record, Rest, Rule, Text};

/// The dialect that [`schema`] writes. Source: <https://json-schema.org/draft/2020-12>.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// `shape` as a JSON Schema.
///
/// It accepts whatever the shape accepts, and refuses what can be said in a schema: types, keys, and texts as far as a
/// regular expression describes them. Doubled keys, the order of two fields and what holds between distant parts are
/// beyond schemas.
pub fn schema(shape: &Shape) -> Value {
    let mut out = Map::new();
    out.insert("$schema".to_owned(), DIALECT.into());
    out.insert("title".to_owned(), shape.name.into());
    out.insert("description".to_owned(), shape.doc.trim().into());
    out.insert(
        "$comment".to_owned(),
        format!("source: {}", shape.source).into(),
    );
    let examples: Vec<Value> = shape
        .fitting
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect();
    out.insert("examples".to_owned(), examples.into());
    if let Value::Object(rule) = of_rule(&shape.rule) {
        for (key, value) in rule {
            // The shape's own description comes first.
            out.entry(key).or_insert(value);
        }
    }
    out.into()
}

fn of_rule(rule: &Rule) -> Value {
    match rule {
        Rule::Anything => json!({}),
        Rule::Bool => json!({ "type": "boolean" }),
        Rule::Exactly(number) => json!({ "const": number }),
        Rule::Text(text) => of_text(text),
        Rule::List(item) => json!({ "type": "array", "items": of_rule(item) }),
        Rule::Nullable(rule) => json!({ "anyOf": [{ "type": "null" }, of_rule(rule)] }),
        Rule::Either(either) => json!({ "anyOf": [
            { "type": "array", "items": of_rule(&either.item) },
            of_record(&either.record),
        ] }),
        Rule::Record(record) => of_record(record),
    }
}

fn of_text(text: &Text) -> Value {
    let mut out = json!({ "type": "string", "description": text.expected });
    if let (Some(pattern), Value::Object(out)) = (&text.pattern, &mut out) {
        out.insert("pattern".to_owned(), pattern.as_ref().into());
    }
    out
}

fn of_record(record: &Record) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in record.fields.iter() {
        let mut rule = of_rule(&field.rule);
        if let Value::Object(rule) = &mut rule
            && !field.doc.is_empty()
        {
            rule.insert("description".to_owned(), field.doc.as_ref().into());
        }
        properties.insert(field.name.clone().into_owned(), rule);
        if field.need == Need::Required {
            required.push(Value::from(field.name.as_ref()));
        }
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), "object".into());
    out.insert("description".to_owned(), record.what.as_ref().into());
    match &record.rest {
        Rest::Refused => {
            out.insert("properties".to_owned(), properties.into());
            out.insert("additionalProperties".to_owned(), false.into());
        }
        Rest::Each { key, rule } => {
            out.insert("propertyNames".to_owned(), names(key, record));
            out.insert("properties".to_owned(), properties.into());
            out.insert("additionalProperties".to_owned(), of_rule(rule));
        }
        Rest::Marked {
            key,
            ending,
            marker,
            present,
            absent,
            ..
        } => {
            // `additionalProperties` looks at its own schema object only, so both branches repeat the fields.
            let marked = format!("{ending}$");
            let branch = |rule: &Rule| {
                json!({
                    "properties": &properties,
                    "patternProperties": { &marked: of_rule(marker) },
                    "additionalProperties": of_rule(rule),
                })
            };
            out.insert("propertyNames".to_owned(), names(key, record));
            out.insert(
                "if".to_owned(),
                // No key with the ending: every key is one without it.
                json!({ "propertyNames": { "not": { "pattern": marked } } }),
            );
            out.insert("then".to_owned(), branch(absent));
            out.insert("else".to_owned(), branch(present));
        }
    }
    if !required.is_empty() {
        out.insert("required".to_owned(), required.into());
    }
    out.into()
}

/// What keys must be: the names of fields, or such a text.
fn names(key: &Text, record: &Record) -> Value {
    let fields: Vec<_> = record.fields.iter().map(|field| &*field.name).collect();
    if fields.is_empty() {
        return of_text(key);
    }
    json!({ "anyOf": [{ "enum": fields }, of_text(key)] })
}

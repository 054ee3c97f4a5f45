//! The command `schema`.

use std::process::ExitCode;

use super::args::SchemaArgs;
use super::stdout::print;
use crate::error::{Error, Kind, Problem};
use crate::manifest::{self, TABLE};
use crate::shape::{near, schema};
use crate::text;

#[derive(Debug, thiserror::Error)]
#[error("expected the name of a shape, found {}", text::quote(.found))]
struct UnknownShape {
    found: String,
}

impl Problem for UnknownShape {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(
            match near(&self.found, TABLE.iter().map(|shape| shape.name)) {
                Some(near) => format!("did you mean {}", text::quote(near)),
                None => "`cuda-redist schema` lists them".to_owned(),
            },
        )
    }
}

/// Prints the JSON Schema of a shape, or the names of all.
pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, Error> {
    let text = match &args.name {
        Some(name) => {
            let unknown = || UnknownShape {
                found: name.clone(),
            };
            let shape = manifest::shape(name).ok_or_else(unknown)?;
            format!("{:#}\n", schema(shape))
        }
        None => {
            let width = TABLE.iter().map(|shape| shape.name.len()).max();
            let line = |shape: &crate::shape::Shape| {
                let (first, _) = shape.doc.split_once(". ").unwrap_or((shape.doc, ""));
                let width = width.unwrap_or(0);
                format!("{:width$}  {}\n", shape.name, first.trim_end_matches('.'))
            };
            TABLE.iter().map(line).collect()
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

//! Reading arguments.

use super::abi::{Host, Stop, Value, ValueKind};
use crate::{shape, text};

/// The attributes of a set whose attributes are all known: every one of `names` is there and no other.
///
/// Forces the set itself, none of its attributes. `what` names the set in messages.
pub(super) fn closed_attrs<const N: usize>(
    host: &Host<'_>,
    set: Value,
    what: &str,
    names: [&'static str; N],
) -> Result<[Value; N], Stop> {
    let kind = host.kind(set)?;
    if kind != ValueKind::Attrs {
        let expected = names.map(|name| format!("{name};")).join(" ");
        return Err(Stop::Argument(format!(
            "expected the set `{{ {expected} }}`, found {}",
            kind.name()
        )));
    }
    let attrs = host.attrs(set)?;
    if let Some((unknown, _)) = attrs
        .iter()
        .find(|(name, _)| !names.contains(&name.as_str()))
    {
        let known = names.map(|name| format!("`{name}`")).join(" and ");
        let near = shape::near(unknown, names.into_iter())
            .map(|near| format!("\nhint: did you mean `{near}`"))
            .unwrap_or_default();
        return Err(Stop::Argument(format!(
            "expected the attributes {known} in {what}, found {}{near}",
            text::quote(unknown)
        )));
    }
    let mut values = [set; N];
    for (value, wanted) in values.iter_mut().zip(names) {
        let Some((_, found)) = attrs.iter().find(|(name, _)| name == wanted) else {
            return Err(Stop::Argument(format!(
                "expected the attribute `{wanted}` in {what}, found none"
            )));
        };
        *value = *found;
    }
    Ok(values)
}

/// The string `value` without string context. `place` names it in messages.
pub(super) fn plain_string<'c>(
    host: &Host<'c>,
    value: Value,
    place: &str,
) -> Result<&'c str, Stop> {
    let kind = host.kind(value)?;
    if kind != ValueKind::String {
        return Err(Stop::Argument(format!(
            "`{place}`: expected a string, found {}",
            kind.name()
        )));
    }
    let string = host.string(value)?;
    match string.context {
        None => Ok(string.text),
        Some(store_path) => Err(Stop::Argument(format!(
            "`{place}`: expected a string that does not refer to a store path, found one that refers to {}",
            text::quote(&store_path)
        ))),
    }
}

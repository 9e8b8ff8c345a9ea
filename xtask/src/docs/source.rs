//! Tables out of the source: the maps and the lists of names, each with its own doc comment.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, GenericArgument, Item, ItemStatic, LitStr, Meta, PathArguments, Type};

use super::read;

const MAPS: &str = "epoll-trace-ebpf/src/maps.rs";
const LAYOUT: &str = "epoll-trace-ebpf/src/lib.rs";
const IDS: &str = "epoll-trace-ebpf/src/ids.rs";
const MODEL: &str = "epoll-trace/src/model/snapshot.rs";

/// What the doc comment of a map must say, in this order; the text before the first of them says what it holds.
const PARTS: [&str; 3] = ["Written by ", "Read by ", "Full: "];

/// Every map and every global variable of the BPF object.
pub(super) fn maps() -> Result<String> {
    let layout = read(LAYOUT)?;
    map_table(&read(MAPS)?, &layout)
}

fn map_table(text: &str, layout: &str) -> Result<String> {
    let file = syn::parse_file(text).with_context(|| format!("cannot parse {MAPS}"))?;
    let layout = syn::parse_file(layout).with_context(|| format!("cannot parse {LAYOUT}"))?;
    let mut table = String::from(
        "| Map | Kind | Key | Value | Entries | Holds | Written by | Read by | When full |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for item in &file.items {
        if let Item::Static(map) = item {
            writeln!(table, "{}", map_row(map, &layout)?)?;
        }
    }
    Ok(table)
}

fn map_row(map: &ItemStatic, layout: &syn::File) -> Result<String> {
    let [holds, written, read, full] = parts(&doc(&map.attrs)).with_context(|| {
        format!(
            "{MAPS}: the doc comment of {} must have `{}`",
            map.ident,
            PARTS.join("`, `")
        )
    })?;
    let (kind, types) = kind_of(&map.ty);
    let is_map = map.attrs.iter().any(|attribute| attribute.path().is_ident("map"));
    let (kind, key, value) = match types.as_slice() {
        [key, value] => (kind.as_str(), key.as_str(), value.as_str()),
        [value] => (kind.as_str(), "", value.as_str()),
        _ if is_map => (kind.as_str(), "", ""),
        _ => ("global variable", "", kind.as_str()),
    };
    let code = |text: &str| match text {
        "" => "-".to_owned(),
        text => format!("`{text}`"),
    };
    Ok(format!(
        "| `{}` | {kind} | {} | {} | {} | {holds} | {written} | {read} | {full} |",
        map.ident,
        code(key),
        code(value),
        entries(&map.expr, layout)
    ))
}

/// Name of a type and its arguments; a plain type has none.
fn kind_of(ty: &Type) -> (String, Vec<String>) {
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
    {
        let types = arguments.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => ty.span().source_text(),
            _ => None,
        });
        return (last.ident.to_string(), types.collect());
    }
    (ty.span().source_text().unwrap_or_default(), Vec::new())
}

/// The first argument of the constructor, or the value of the constant of the layout that it names.
fn entries(constructor: &Expr, layout: &syn::File) -> String {
    let Expr::Call(call) = constructor else {
        return "1".to_owned();
    };
    let size = call
        .args
        .first()
        .and_then(|size| size.span().source_text())
        .unwrap_or_default();
    let value = layout.items.iter().find_map(|item| match item {
        Item::Const(constant) if constant.ident == size => constant.expr.span().source_text(),
        _ => None,
    });
    value
        .unwrap_or_else(|| size.trim_end_matches(" as u32").to_owned())
        .replace('_', " ")
}

fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => literal(&pair.value.span().source_text()?),
        _ => None,
    };
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    // The text of a doc comment's span is the comment itself.
    lines.join(" ")
}

fn literal(text: &str) -> Option<String> {
    match text.strip_prefix("///") {
        Some(comment) => Some(comment.trim().to_owned()),
        None => syn::parse_str::<LitStr>(text)
            .ok()
            .map(|text| text.value().trim().to_owned()),
    }
}

fn parts(doc: &str) -> Option<[String; 4]> {
    let mut rest = doc;
    let mut found = Vec::new();
    for part in PARTS {
        let (before, after) = rest.split_once(part)?;
        found.push(before);
        rest = after;
    }
    found.push(rest);
    let clean = |text: &str| text.trim().trim_end_matches('.').replace(['[', ']'], "");
    let clean: Vec<String> = found.into_iter().map(clean).collect();
    clean.try_into().ok()
}

/// The losses: name and meaning.
pub(super) fn losses() -> Result<String> {
    let pairs = ids(&read(IDS)?, "Loss")?;
    table("Loss", pairs.into_iter().map(|(help, name)| (name, help)))
}

/// A list of the model (`Metric`, `Counter`, ...): name and meaning.
pub(super) fn names(title: &str, list: &str) -> Result<String> {
    table(title, ids(&read(MODEL)?, list)?)
}

fn table(title: &str, rows: impl IntoIterator<Item = (String, String)>) -> Result<String> {
    let mut table = format!("| {title} | Meaning |\n|---|---|\n");
    for (name, help) in rows {
        if !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            bail!("{title}: {name:?} is no name; the list is written in another form than expected");
        }
        writeln!(table, "| `{name}` | {help} |")?;
    }
    Ok(table)
}

/// The string literals of the list called `name` in a call of the macro `ids!`, by twos.
fn ids(text: &str, name: &str) -> Result<Vec<(String, String)>> {
    let file = syn::parse_file(text)?;
    for item in &file.items {
        let Item::Macro(call) = item else { continue };
        let mut tokens = call.mac.tokens.clone().into_iter();
        let found = tokens.any(|token| matches!(&token, TokenTree::Ident(ident) if ident == name));
        if !call.mac.path.is_ident("ids") || !found {
            continue;
        }
        let mut literals = Vec::new();
        strings(tokens.collect(), &mut literals);
        if literals.len() % 2 != 0 {
            bail!("{name}: a name without a meaning, or one of several lines");
        }
        let twos = literals.chunks_exact(2);
        return Ok(twos.map(|two| (two[0].clone(), two[1].clone())).collect());
    }
    bail!("there is no list called {name} any more")
}

fn strings(tokens: TokenStream, found: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => strings(group.stream(), found),
            TokenTree::Literal(text) => found.extend(literal(&text.to_string())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ids, map_table};

    #[test]
    fn a_map_and_its_doc() {
        let maps = "/// Things. Written by\n/// us. Read by [`them`]. Full: `lost`.\n#[map]\n\
                    pub static M: HashMap<u32, Row> = HashMap::with_max_entries(SIZE, 0);";
        let table = map_table(maps, "pub const SIZE: u32 = 4_096;").unwrap();
        let row = "| `M` | HashMap | `u32` | `Row` | 4 096 | Things | us | `them` | `lost` |";
        assert_eq!(table.lines().last(), Some(row));
    }

    #[test]
    fn a_doc_that_leaves_something_out_is_refused() {
        let error = map_table("/// Things. Written by us.\npub static M: u32 = 0;", "").unwrap_err();
        assert!(format!("{error:#}").contains("doc comment of M"), "{error:#}");
    }

    #[test]
    fn lists_of_both_forms() {
        let layout = "ids! { /// All.\n Loss { /// Too many.\n Full = \"full\", } }";
        assert_eq!(
            ids(layout, "Loss").unwrap(),
            [("Too many.".into(), "full".into())]
        );
        let model = "ids! { /// All.\n Counter { Waits = \"waits\", \"Waits\"; } }";
        assert_eq!(ids(model, "Counter").unwrap(), [("waits".into(), "Waits".into())]);
        assert!(ids(model, "Metric").is_err());
    }
}

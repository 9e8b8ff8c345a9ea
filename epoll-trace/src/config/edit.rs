//! Changes one choice in the text of a file and leaves all else as people wrote it.

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::ConfigError;
use super::read::{line_of, syntax};

/// `text`, the content of `file`, with `ids` as the columns of `screen`; comments and everything else stay.
///
/// # Errors
/// The text is no TOML any more, or `columns` in it is no table.
pub fn with_columns(
    text: &str,
    file: &str,
    screen: &str,
    ids: &[impl AsRef<str>],
) -> Result<String, ConfigError> {
    let error = |at: usize, what: String| ConfigError {
        file: file.to_owned(),
        line: line_of(text, at),
        what,
    };
    let mut document: DocumentMut = text.parse().map_err(|wrong: toml_edit::TomlError| {
        error(wrong.span().map_or(0, |span| span.start), syntax(&wrong))
    })?;
    let columns = document
        .entry("columns")
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(columns) = columns.as_table_like_mut() else {
        return Err(error(0, "columns is no table; nothing was saved".to_owned()));
    };
    let list: Array = ids.iter().map(AsRef::as_ref).collect();
    match columns.get_mut(screen).and_then(Item::as_value_mut) {
        Some(old) => {
            // Blanks and comments around a value are its own.
            let around = old.decor().clone();
            *old = list.into();
            *old.decor_mut() = around;
        }
        None => _ = columns.insert(screen, value(list)),
    }
    Ok(document.to_string())
}

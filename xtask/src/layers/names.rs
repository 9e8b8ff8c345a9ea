//! The paths that a source file names, made absolute.

use anyhow::Result;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, Meta, Path, UseTree};

/// A path in the code.
pub(super) struct Name {
    /// `crate::...` for paths within the crate, else as written.
    pub(super) path: String,
    /// Line in the file.
    pub(super) line: usize,
}

/// Every path that the code of `text`, the file of `module`, names outside its tests.
///
/// # Errors
/// It is no valid Rust.
pub(super) fn of(text: &str, module: &str) -> Result<Vec<Name>> {
    let module = module
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let mut visitor = Visitor {
        module,
        names: Vec::new(),
    };
    visitor.visit_file(&syn::parse_file(text)?);
    Ok(visitor.names)
}

struct Visitor {
    module: Vec<String>,
    names: Vec<Name>,
}

impl Visitor {
    fn add(&mut self, parts: &[String], line: usize) {
        let mut base = self.module.clone();
        let mut rest = parts;
        let mut relative = false;
        while let Some((first, tail)) = rest.split_first() {
            match first.as_str() {
                "super" => drop(base.pop()),
                "self" => {}
                "crate" => base.clear(),
                _ => break,
            }
            relative = true;
            rest = tail;
        }
        let absolute = if relative {
            std::iter::once("crate".to_owned())
                .chain(base)
                .chain(rest.iter().cloned())
                .collect()
        } else {
            rest.to_vec()
        };
        self.names.push(Name {
            path: absolute.join("::"),
            line,
        });
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String]) {
        match tree {
            UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.use_tree(&path.tree, &before);
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.use_tree(item, before)),
            UseTree::Name(name) => self.add(&[before, &[name.ident.to_string()]].concat(), line(tree)),
            UseTree::Rename(rename) => self.add(&[before, &[rename.ident.to_string()]].concat(), line(tree)),
            _ => self.add(before, line(tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.add(&parts, line(path));
        visit::visit_path(self, path);
    }
}

fn is_test(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    }
}

fn line(node: &impl Spanned) -> usize {
    node.span().start().line
}

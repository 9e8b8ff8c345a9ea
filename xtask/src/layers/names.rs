//! The paths and texts that a source file names.

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, LitStr, Macro, Meta, Path, UseTree};

/// A path or text in the code.
pub(super) struct Name {
    /// `crate::...` for paths within the crate, else as written.
    pub(super) text: String,
    /// Line in the file.
    pub(super) line: usize,
}

/// What a file names outside its tests.
#[derive(Default)]
pub(super) struct Names {
    /// Paths in the code.
    pub(super) paths: Vec<Name>,
    /// String literals, those in arguments of macros too.
    pub(super) texts: Vec<Name>,
    /// Modules in other files that exist for tests only, as `model::group::tests`.
    pub(super) test_modules: Vec<String>,
}

/// Everything that `text`, the file of `module`, names.
///
/// # Errors
/// It is no valid Rust.
pub(super) fn of(text: &str, module: &str) -> Result<Names> {
    let module = module
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let mut visitor = Visitor {
        module,
        names: Names::default(),
    };
    visitor.visit_file(&syn::parse_file(text)?);
    Ok(visitor.names)
}

struct Visitor {
    module: Vec<String>,
    names: Names,
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
        self.names.paths.push(Name {
            text: absolute.join("::"),
            line,
        });
    }

    fn add_text(&mut self, text: &LitStr) {
        self.names.texts.push(Name {
            text: text.value(),
            line: line(text),
        });
    }

    fn texts_of(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.texts_of(group.stream()),
                TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        self.add_text(&text);
                    }
                }
                _ => {}
            }
        }
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
        } else if let Item::Mod(ItemMod {
            ident, content: None, ..
        }) = item
        {
            let path = [self.module.as_slice(), &[ident.to_string()]].concat();
            self.names.test_modules.push(path.join("::"));
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // Documentation is a text too.
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.texts_of(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.add_text(text);
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

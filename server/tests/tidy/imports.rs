//! Which files of a crate import each other, read from their syntax.
//!
//! The module tree is read from the crate's files. Every path in it (in `use`, code, types, attributes and macro calls)
//! is resolved through imports and re-exports to the file that defines the item. Method calls are not paths: the type
//! comes from elsewhere. Code only for tests is ignored.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Expr, ExprLit, Item, Lit, Meta, Token, UseTree,
    buffer::{Cursor, TokenBuffer},
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// The segments of a path: of a module from the crate's root, or of an item as it is written.
type Segments = Vec<String>;

/// The maximum depth of re-exports; only a circle of them is deeper.
const DEPTH: usize = 16;

#[derive(Default)]
struct Module {
    file: PathBuf,
    /// The names of the items that it defines.
    defines: BTreeSet<String>,
    /// Its imports and re-exports: by name, and `*`.
    imports: BTreeMap<String, Segments>,
    globs: Vec<Segments>,
    /// Every path in it.
    paths: BTreeSet<Segments>,
}

/// The target of a path.
#[derive(Clone, PartialEq)]
enum Found {
    Module(Segments),
    /// An item of this module.
    Item(Segments),
}

/// The imports between the files of a crate, with their paths.
#[derive(Default)]
pub struct Imports {
    edges: BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>,
}

impl Imports {
    /// Reads the crate whose sources are in `src`.
    pub fn of(src: &Path) -> Self {
        let mut imports = Self::default();
        for root in ["lib.rs", "main.rs"].map(|name| src.join(name)).into_iter().filter(|root| root.exists()) {
            let mut tree = Tree::default();
            tree.read(&root, src, Vec::new());
            tree.add_edges(&mut imports);
        }
        imports
    }

    fn reachable<'a>(&'a self, from: &'a Path) -> BTreeSet<&'a Path> {
        let (mut found, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            let imported = self.edges.get(file).into_iter().flat_map(BTreeMap::keys);
            next.extend(imported.map(PathBuf::as_path).filter(|file| found.insert(*file)));
        }
        found
    }

    /// The circles, each as text: its files, and the imports that make it one.
    pub fn circles(&self) -> Vec<String> {
        let reached: BTreeMap<&Path, _> =
            self.edges.keys().map(|file| (file.as_path(), self.reachable(file))).collect();
        let (mut circles, mut seen) = (Vec::new(), BTreeSet::new());
        for file in reached.keys() {
            let circle: BTreeSet<&Path> = reached[file]
                .iter()
                .copied()
                .filter(|other| reached.get(other).is_some_and(|back| back.contains(file)))
                .collect();
            if !circle.is_empty() && seen.insert(circle.clone()) {
                circles.push(self.describe(&circle));
            }
        }
        circles
    }

    fn describe(&self, circle: &BTreeSet<&Path>) -> String {
        let mut text = format!("{} files", circle.len());
        for file in circle {
            for (other, paths) in self.edges[*file].iter().filter(|(other, _)| circle.contains(other.as_path())) {
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                text.push_str(&format!("\n    {} -> {}: {}", file.display(), other.display(), paths.join(", ")));
            }
        }
        text
    }
}

/// The modules of a crate, by their paths.
#[derive(Default)]
struct Tree {
    modules: BTreeMap<Segments, Module>,
}

impl Tree {
    /// Reads a module's file; the files of its submodules are in `folder`.
    fn read(&mut self, file: &Path, folder: &Path, at: Segments) {
        let text = fs::read_to_string(file).unwrap_or_else(|err| panic!("read {}: {err}", file.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|err| panic!("parse {}: {err}", file.display()));
        self.add(&syntax.items, file, folder, at);
    }

    fn add(&mut self, items: &[Item], file: &Path, folder: &Path, at: Segments) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !attributes(item).iter().any(is_for_tests)) {
            let Item::Mod(child) = item else {
                module.defines.extend(name(item));
                module.visit_item(item);
                continue;
            };
            let name = child.ident.to_string();
            // The folder of an inline module, or the file of another.
            let named = path_attribute(&child.attrs).map(|named| folder.join(named));
            let path = [at.as_slice(), std::slice::from_ref(&name)].concat();
            match &child.content {
                Some((_, items)) => self.add(items, file, &named.unwrap_or_else(|| folder.join(&name)), path),
                None => {
                    let below = folder.join(&name);
                    let usual = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                    let files = named.map_or_else(|| usual.to_vec(), |named| vec![named]);
                    let found = files.iter().find(|file| file.exists());
                    let found = found.unwrap_or_else(|| panic!("{} is not there", files[0].display()));
                    self.read(found, &below, path);
                }
            }
        }
        self.modules.insert(at, module);
    }

    /// The target of `path` in the module `at`; `None` if it is not in this crate.
    fn find(&self, at: &[String], path: &[String], depth: usize) -> Option<Found> {
        let (head, rest) = path.split_first()?;
        match head.as_str() {
            "crate" => self.walk(&[], rest, true, depth),
            "self" => self.walk(at, rest, true, depth),
            "super" => {
                let mut parent = at.split_last()?.1;
                let mut rest = rest;
                while let Some(("super", below)) = rest.split_first().map(|(head, below)| (head.as_str(), below)) {
                    (parent, rest) = (parent.split_last()?.1, below);
                }
                self.walk(parent, rest, true, depth)
            }
            _ => self.walk(at, path, false, depth),
        }
    }

    /// Follows `path` down from the module `at`. Items defined by a macro there are only known if `is_ours`.
    fn walk(&self, at: &[String], path: &[String], is_ours: bool, depth: usize) -> Option<Found> {
        if depth > DEPTH {
            return None;
        }
        let Some((name, rest)) = path.split_first() else { return Some(Found::Module(at.to_vec())) };
        let module = self.modules.get(at)?;
        let child = [at, std::slice::from_ref(name)].concat();
        if self.modules.contains_key(&child) && !(rest.is_empty() && module.imports.contains_key(name)) {
            return self.walk(&child, rest, true, depth + 1);
        }
        if module.defines.contains(name) {
            return Some(Found::Item(at.to_vec()));
        }
        if let Some(import) = module.imports.get(name) {
            return match self.find(at, import, depth + 1)? {
                Found::Module(target) => self.walk(&target, rest, true, depth + 1),
                item => Some(item),
            };
        }
        let in_glob = module.globs.iter().find_map(|glob| match self.find(at, glob, depth + 1)? {
            Found::Module(target) if target != at => self.walk(&target, path, false, depth + 1),
            _ => None,
        });
        in_glob.or_else(|| is_ours.then(|| Found::Item(at.to_vec())))
    }

    fn add_edges(&self, imports: &mut Imports) {
        for (at, module) in &self.modules {
            let globs = module.globs.iter().filter_map(|path| match self.find(at, path, 0)? {
                Found::Module(target) | Found::Item(target) => Some((path, target)),
            });
            let paths = module.paths.iter().filter_map(|path| match self.find(at, path, 0)? {
                Found::Item(target) => Some((path, target)),
                // A module alone is only a name; the items that are used from it count.
                Found::Module(_) => None,
            });
            for (path, target) in globs.chain(paths) {
                let file = &self.modules[&target].file;
                if *file != module.file && !self.is_part_of(at, file) {
                    let of_file = imports.edges.entry(module.file.clone()).or_default();
                    of_file.entry(file.clone()).or_default().insert(path.join("::"));
                }
            }
        }
    }

    /// Whether the module `at` is somewhere below the module in `file`.
    fn is_part_of(&self, at: &[String], file: &Path) -> bool {
        (0..at.len()).any(|depth| self.modules[&at[..depth]].file == file)
    }
}

impl Module {
    fn import(&mut self, tree: &UseTree, mut before: Segments) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before.clone())),
            UseTree::Glob(_) => self.globs.push(before),
            UseTree::Name(name) => self.import_as(name.ident.to_string(), &name.ident, before),
            UseTree::Rename(rename) => self.import_as(rename.rename.to_string(), &rename.ident, before),
        }
    }

    fn import_as(&mut self, name: String, item: &syn::Ident, mut path: Segments) {
        let is_module = item == "self";
        if !is_module {
            path.push(item.to_string());
        }
        self.paths.insert(path.clone());
        let name = if is_module && name == "self" { path.last().cloned().unwrap_or_default() } else { name };
        self.imports.insert(name, path);
    }

    /// The paths in the tokens of a macro or an attribute, which are not parsed.
    fn scan(&mut self, mut at: Cursor<'_>) {
        while !at.eof() {
            if let Some((inside, _, _, after)) = at.any_group() {
                self.scan(inside);
                at = after;
                continue;
            }
            let mut path = Vec::new();
            while let Some((word, after)) = at.ident() {
                path.push(word.to_string());
                at = after;
                match after_colon(at).and_then(after_colon) {
                    Some(after) if after.ident().is_some() => at = after,
                    _ => break,
                }
            }
            if path.len() > 1 {
                self.paths.insert(path);
            } else if path.is_empty() {
                let Some((_, after)) = at.token_tree() else { return };
                at = after;
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !function.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    /// A re-export alone is not a use: imports of it are resolved to the file that defines the item.
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let needed = self.paths.clone();
        self.import(&item.tree, Vec::new());
        if !matches!(item.vis, syn::Visibility::Inherited) {
            self.paths = needed;
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.scan(TokenBuffer::new2(call.tokens.clone()).begin());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.scan(TokenBuffer::new2(list.tokens.clone()).begin());
        visit::visit_meta_list(self, list);
    }

    /// The visibility of an item is not an import.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

fn after_colon(at: Cursor<'_>) -> Option<Cursor<'_>> {
    at.punct().filter(|(punct, _)| punct.as_char() == ':').map(|(_, after)| after)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
}

/// Whether this condition holds only in tests.
fn needs_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else { return condition.path().is_ident("test") };
    let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else { return false };
    match list.path.get_ident() {
        Some(word) if word == "all" => parts.iter().any(needs_test),
        Some(word) if word == "any" => parts.iter().all(needs_test),
        _ => false,
    }
}

/// The value of `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

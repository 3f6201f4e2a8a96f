//! What a file of the program declares and names, read with `syn`; what is for tests alone is left out.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A file, and what is in it.
pub struct Source {
    /// From `src` on.
    pub path: String,
    /// The path of its module from the crate's root on.
    pub module: Vec<String>,
    /// The modules that it holds itself, its own the first of them.
    pub inline: Vec<Vec<String>>,
    /// What each name stands for that it brings into scope.
    pub scope: HashMap<String, Vec<String>>,
    /// The whole path of each thing of this crate that it names.
    pub named: Vec<Vec<String>>,
    pub functions: Vec<Function>,
    pub lines: usize,
}

/// A function, and how many lines it has from `fn` to its last brace.
pub struct Function {
    pub name: String,
    pub lines: usize,
}

/// Every file that `src/main.rs` and `src/lib.rs` reach by `mod`.
pub fn all() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    read(&src, "main.rs".into(), vec!["main".into()], &mut found);
    read(&src, "lib.rs".into(), Vec::new(), &mut found);
    found
}

/// Reads a file, and those of its modules.
fn read(src: &Path, path: PathBuf, module: Vec<String>, found: &mut Vec<Source>) {
    let text = fs::read_to_string(src.join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = Reader::new(module.clone());
    reader.visit_file(&file);
    let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main") => PathBuf::new(),
        _ => path.with_extension(""),
    };
    let source = Source {
        path: path.to_str().expect("a name in ASCII").to_owned(),
        scope: reader.scope(),
        named: reader.named(),
        inline: reader.inline,
        functions: reader.functions,
        lines: text.lines().count() - reader.lines_for_tests,
        module: module.clone(),
    };
    found.push(source);
    for child in reader.children {
        let below = [module.clone(), vec![child.clone()]].concat();
        read(src, folder.join(child).with_extension("rs"), below, found);
    }
}

/// Collects from one file.
struct Reader {
    /// The module that is being read, and the first of those in this file.
    module: Vec<String>,
    first: Vec<String>,
    inline: Vec<Vec<String>>,
    /// The modules that have files of their own.
    children: Vec<String>,
    /// The impl or trait whose functions are being read.
    of: Option<String>,
    /// Each name that is brought into scope, with the path by which it is, as written and where.
    uses: Vec<(String, Written)>,
    written: Vec<Written>,
    functions: Vec<Function>,
    lines_for_tests: usize,
}

/// A path as it is written, and the module in which it is.
#[derive(Clone)]
struct Written {
    module: Vec<String>,
    path: Vec<String>,
}

impl Reader {
    fn new(module: Vec<String>) -> Self {
        Self {
            first: module.clone(),
            inline: vec![module.clone()],
            module,
            children: Vec::new(),
            of: None,
            uses: Vec::new(),
            written: Vec::new(),
            functions: Vec::new(),
            lines_for_tests: 0,
        }
    }

    fn write(&mut self, path: Vec<String>) -> Written {
        let module = self.module.clone();
        let written = Written { module, path };
        self.written.push(written.clone());
        written
    }

    /// Takes a `use` apart.
    fn bring(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.bring(&part.tree, path);
            }
            syn::UseTree::Name(name) => self.bring_as(&name.ident, &name.ident, path),
            syn::UseTree::Rename(name) => self.bring_as(&name.ident, &name.rename, path),
            syn::UseTree::Glob(_) => drop(self.write(path)),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.bring(tree, path.clone());
                }
            }
        }
    }

    fn bring_as(&mut self, ident: &syn::Ident, name: &syn::Ident, mut path: Vec<String>) {
        let mut name = name.to_string();
        if ident == "self" {
            if name == "self" {
                name = path.last().expect("a self of something").clone();
            }
        } else {
            path.push(ident.to_string());
        }
        let written = self.write(path);
        self.uses.push((name, written));
    }

    /// Reads the paths in what a macro is given. What it makes of them is not known, but it can name no others.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.end(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.write(path);
        }
    }

    /// Notes a function, whose lines begin below what is written above it.
    fn function(&mut self, signature: &syn::Signature, whole: Span) {
        let name = &signature.ident;
        let name = match &self.of {
            Some(of) => format!("{of}::{name}"),
            None => name.to_string(),
        };
        self.functions.push(Function {
            name,
            lines: whole.end().line - signature.fn_token.span.start().line + 1,
        });
    }

    fn within(&mut self, of: String, read: impl FnOnce(&mut Self)) {
        let outer = self.of.replace(of);
        read(self);
        self.of = outer;
    }

    fn scope(&self) -> HashMap<String, Vec<String>> {
        self.uses
            .iter()
            .filter_map(|(name, written)| Some((name.clone(), self.whole(written)?)))
            .collect()
    }

    fn named(&self) -> Vec<Vec<String>> {
        self.written.iter().filter_map(|written| self.whole(written)).collect()
    }

    /// The path from the crate's root on, if it is in this crate.
    fn whole(&self, written: &Written) -> Option<Vec<String>> {
        let Written { module, path } = written;
        let (first, rest) = path.split_first()?;
        let supers = path.iter().take_while(|part| *part == "super").count();
        let start = match first.as_str() {
            "crate" | "ttguard" => Vec::new(),
            "self" => module.clone(),
            "super" => return Some([&module[..module.len().checked_sub(supers)?], &path[supers..]].concat()),
            name if *module == self.first && self.children.iter().any(|child| child == name) => {
                [module.clone(), vec![first.clone()]].concat()
            }
            // A name of one part is in scope by its `use`, which is counted.
            _ if rest.is_empty() => return None,
            name => {
                let (_, used) = self
                    .uses
                    .iter()
                    .find(|(used, written)| used == name && written.path != *path && written.path[0] != name)?;
                self.whole(used)?
            }
        };
        Some([&start, rest].concat())
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            item if is_for_tests(attributes(item)) => self.lines_for_tests += lines(item.span()),
            syn::Item::Mod(module) => match &module.content {
                None => self.children.push(module.ident.to_string()),
                Some((_, items)) => {
                    self.module.push(module.ident.to_string());
                    self.inline.push(self.module.clone());
                    for item in items {
                        self.visit_item(item);
                    }
                    self.module.pop();
                }
            },
            syn::Item::Use(import) => self.bring(&import.tree, Vec::new()),
            syn::Item::Impl(block) => self.within(name_of(&block.self_ty), |this| visit::visit_item_impl(this, block)),
            syn::Item::Trait(block) => {
                self.within(block.ident.to_string(), |this| visit::visit_item_trait(this, block))
            }
            item => visit::visit_item(self, item),
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, function.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_for_tests(&function.attrs) {
            self.lines_for_tests += lines(function.span());
            return;
        }
        self.function(&function.sig, function.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.function(&function.sig, function.span());
        visit::visit_trait_item_fn(self, function);
    }

    /// Who may see a thing is no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.write(parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }
}

fn lines(span: Span) -> usize {
    span.end().line - span.start().line + 1
}

/// The name of a type, without what it is made of.
fn name_of(kind: &syn::Type) -> String {
    match kind {
        syn::Type::Path(kind) => kind.path.segments.last().expect("a path has parts").ident.to_string(),
        syn::Type::Reference(kind) => name_of(&kind.elem),
        _ => "_".into(),
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

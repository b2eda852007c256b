//! Data flows one way: each module knows only those before it in the order that `lib.rs` lists, and no two files know each
//! other. A submodule may use what its parents hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, ItemMod, ItemUse, UseTree, visit::Visit};

/// The modules in their order, each with its rank, as `lib.rs` lists them.
fn ranks() -> BTreeMap<String, usize> {
    let order = include_str!("../lib.rs").lines().find_map(|line| line.strip_prefix("//! api -> ")).unwrap();
    let mut ranks = BTreeMap::from([("api".to_owned(), 0)]);
    for (rank, names) in order.split(" -> ").enumerate() {
        for name in names.split([',', '|']).map(str::trim) {
            ranks.insert(name.to_owned(), rank + 1);
        }
    }
    ranks
}

/// What a file imports from this crate, as paths from its root; tests aside.
struct Imports {
    module: Vec<String>,
    paths: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.flatten(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let path: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&path);
    }
}

impl Imports {
    fn flatten(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.flatten(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => self.add(&with(&name.ident)),
            UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.flatten(tree, before)),
        }
    }

    fn add(&mut self, path: &[String]) {
        let base = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self") => self.module.clone(),
            Some("super") => self.module[..self.module.len() - 1].to_vec(),
            _ => return,
        };
        let supers = path.iter().skip(1).take_while(|segment| *segment == "super").count();
        let base = base[..base.len() - supers].to_vec();
        self.paths.push([base, path[1 + supers..].to_vec()].concat());
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|of| of.is_ident("test"))
    })
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Each module of a file, without tests, and the modules that it imports from.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = BTreeMap::new();
    for file in files(&root) {
        let name = file.strip_prefix(&root).unwrap().with_extension("");
        let mut module: Vec<_> = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        module.pop_if(|last| last == "mod");
        let is_left_out = ["lib", "main", "testing"].contains(&module[0].as_str()) || module.last().unwrap() == "tests";
        if !is_left_out && !module.contains(&"tests".to_owned()) {
            let mut imports = Imports { module: module.clone(), paths: Vec::new() };
            imports.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
            modules.insert(module.join("::"), imports.paths);
        }
    }
    let module_of = |path: &Vec<String>| {
        (1..=path.len()).rev().map(|length| path[..length].join("::")).find(|name| modules.contains_key(name))
    };
    let of = |paths: &Vec<Vec<String>>| paths.iter().filter_map(module_of).collect();
    modules.iter().map(|(module, paths)| (module.clone(), of(paths))).collect()
}

#[test]
fn imports_point_to_modules_that_come_before() {
    let (ranks, mut up) = (ranks(), BTreeSet::new());
    for (module, imported) in imports() {
        let top = |name: &str| name.split("::").next().unwrap().to_owned();
        for other in imported.iter().map(|other| top(other)).filter(|other| *other != top(&module)) {
            assert!(ranks.contains_key(&other) && ranks.contains_key(&top(&module)), "not listed: {other}, {module}");
            if ranks[&other] >= ranks[&top(&module)] {
                up.insert((module.clone(), other));
            }
        }
    }
    assert_eq!(up, BTreeSet::new(), "imports that point up");
}

#[test]
fn no_two_files_import_each_other() {
    let imports = imports();
    // What each file reaches, but for the way from a submodule to its parents.
    let direct = |module: &str| -> Vec<String> {
        let is_parent = |other: &String| module.starts_with(&format!("{other}::"));
        imports[module].iter().filter(|other| *other != module && !is_parent(other)).cloned().collect()
    };
    let reaches = |module: &str| {
        let (mut reached, mut open) = (BTreeSet::new(), direct(module));
        while let Some(next) = open.pop() {
            if reached.insert(next.clone()) {
                open.extend(direct(&next));
            }
        }
        reached
    };
    let in_a_cycle: Vec<_> = imports.keys().filter(|module| reaches(module).contains(*module)).collect();
    assert_eq!(in_a_cycle, Vec::<&String>::new(), "these reach themselves");
}

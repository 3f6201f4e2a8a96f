//! Which file imports what from which.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::source::{self, Source};

/// That of the program as it is.
pub static GRAPH: LazyLock<Graph> = LazyLock::new(|| Graph::of(source::all()));

/// The files, and the names that each takes from each.
pub struct Graph {
    pub files: Vec<Source>,
    /// By the places of the two files in the list.
    pub imports: BTreeMap<(usize, usize), BTreeSet<String>>,
}

impl Graph {
    fn of(files: Vec<Source>) -> Self {
        let mut modules = HashMap::new();
        for (at, file) in files.iter().enumerate() {
            modules.extend(file.inline.iter().map(|module| (module.as_slice(), at)));
        }
        let mut imports: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (from, file) in files.iter().enumerate() {
            for path in &file.named {
                let mut path = path.as_slice();
                loop {
                    let (to, name) = found(&modules, path);
                    if to != from {
                        imports.entry((from, to)).or_default().insert(name.to_owned());
                    }
                    // Whoever is inside a module takes from its own house what the module shows to others.
                    match files[to].scope.get(name) {
                        Some(shown) if is_below(&file.module, &files[to].module) && shown.as_slice() != path => {
                            path = shown
                        }
                        _ => break,
                    }
                }
            }
        }
        Self { files, imports }
    }

    /// The circles that are no parent with its own children.
    pub fn circles(&self) -> Vec<Vec<usize>> {
        let mut circles = Vec::new();
        let mut left: Vec<Vec<usize>> = vec![(0..self.files.len()).collect()];
        while let Some(among) = left.pop() {
            for circle in self.tied(&among) {
                match self.parent(&circle) {
                    // Without their parent the children are a circle no more.
                    Some(parent) => left.push(circle.into_iter().filter(|file| *file != parent).collect()),
                    None => circles.push(circle),
                }
            }
        }
        circles
    }

    /// The file whose descendants all the others are.
    fn parent(&self, circle: &[usize]) -> Option<usize> {
        circle.iter().copied().find(|parent| {
            let parent = &self.files[*parent].module;
            let holds = |file: &usize| is_below(&self.files[*file].module, parent);
            !parent.is_empty() && circle.iter().all(holds)
        })
    }

    /// The groups of two and more that reach each other by way of these files.
    fn tied(&self, among: &[usize]) -> Vec<Vec<usize>> {
        let among: BTreeSet<usize> = among.iter().copied().collect();
        let reach: BTreeMap<usize, BTreeSet<usize>> =
            among.iter().map(|file| (*file, self.reach(*file, &among))).collect();
        let mut tied: BTreeSet<Vec<usize>> = BTreeSet::new();
        for (file, reached) in &reach {
            let group: Vec<usize> = reached
                .iter()
                .copied()
                .filter(|other| reach[other].contains(file))
                .collect();
            if group.len() > 1 {
                tied.insert(group);
            }
        }
        tied.into_iter().collect()
    }

    fn reach(&self, from: usize, among: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            let imported = self.imports.range((file, 0)..(file + 1, 0)).map(|((_, to), _)| *to);
            next.extend(imported.filter(|to| among.contains(to) && reached.insert(*to)));
        }
        reached
    }

    /// Each import within a circle, and the names that tie it.
    pub fn told(&self, circle: &[usize]) -> String {
        let mut told = String::from("a circle:");
        for ((from, to), names) in &self.imports {
            if circle.contains(from) && circle.contains(to) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let (from, to) = (&self.files[*from].path, &self.files[*to].path);
                told += &format!("\n  {from} -> {to}: {}", names.join(", "));
            }
        }
        told
    }
}

/// Whether a module is this one, or stands below it.
pub fn is_below(module: &[String], above: &[String]) -> bool {
    module.starts_with(above)
}

/// The file that holds what a path names, and the name by which it is taken from there.
fn found<'a>(modules: &HashMap<&[String], usize>, path: &'a [String]) -> (usize, &'a str) {
    for length in (0..=path.len()).rev() {
        if let Some(file) = modules.get(&path[..length]) {
            let name = path.get(length).or(path.last());
            return (*file, name.map_or("", String::as_str));
        }
    }
    unreachable!("the root is a module")
}

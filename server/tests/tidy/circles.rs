//! No file of a crate imports from itself, directly or through others.

use std::{collections::BTreeMap, fs};

use super::{crates, imports::Imports, none, root};

/// Crates with circles, and the reasons.
const NOT_YET: [(&str, &str); 0] = [];

/// To understand one file of a circle, one has to read all of them. Code that both sides need goes into a file below
/// them.
///
/// An import from an enclosing module does not count: a submodule is a part of its parent that is in a separate file
/// because of its length, and the two are read together.
#[test]
fn files_import_in_one_direction() {
    let mut wrong = Vec::new();
    for (name, folder) in crates() {
        let circles = Imports::of(&folder.join("src")).circles();
        match NOT_YET.iter().any(|(not_yet, _)| *not_yet == name) {
            true if circles.is_empty() => wrong.push(format!("{name} has no circles any more: take it off the list")),
            true => {}
            false => wrong.extend(circles.into_iter().map(|circle| format!("{name}: {circle}"))),
        }
    }
    let top = format!("{}/", root().display());
    none("files of a crate import in one direction", wrong.into_iter().map(|text| text.replace(&top, "")).collect());
}

/// The circles of a crate with these files; paths are from its folder.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let top = format!("{}/", folder.path().display());
    Imports::of(folder.path()).circles().into_iter().map(|text| text.replace(&top, "")).collect()
}

#[test]
fn circles_are_found_however_they_are_written() {
    let lib = ("lib.rs", "mod a; mod b; pub use b::B;");
    let a = ("a.rs", "pub struct A; use crate::b; fn f() { b::g() }");
    let ways = BTreeMap::from([
        ("use", "use crate::a::A; pub fn g(_: A) {}"),
        ("group", "use crate::{a::{self, A as Other}}; pub fn g(_: Other) {}"),
        ("super", "pub fn g(_: super::a::A) {}"),
        ("alias", "use crate::a as other; pub fn g(_: other::A) {}"),
        ("glob", "use super::a::*; pub fn g(_: A) {}"),
        ("macro", "pub fn g() { println!(\"{}\", vec![crate::a::A].len()) }"),
        ("attribute", "#[derive(Args)] pub struct B { #[arg(value_parser = crate::a::parse)] c: u8 }"),
        ("generics", "pub fn g(_: Option<crate::a::A>) {}"),
        ("inside a function", "pub fn g() { use crate::a::A; let _ = A; }"),
        ("inline module", "pub fn g() {} mod inner { fn f(_: crate::a::A) {} }"),
        ("macro's item", "pub fn g() { crate::a::made_by_a_macro() }"),
    ]);
    for (way, b) in ways {
        let found = circles_of(&[lib, a, ("b.rs", b)]);
        assert_eq!(found.len(), 1, "{way}: {found:?}");
        assert!(found[0].starts_with("2 files\n    a.rs -> b.rs: b::g\n    b.rs -> a.rs: "), "{way}: {found:?}");
    }
}

#[test]
fn re_exports_lead_to_the_file_that_defines() {
    let files = [
        ("lib.rs", "mod a; mod b; mod facade; pub use facade::B as Exported;"),
        ("a.rs", "use crate::Exported; pub struct A(Exported);"),
        ("facade.rs", "pub use crate::b::*;"),
        ("b.rs", "pub struct B; impl B { fn f(_: crate::a::A) {} }"),
    ];
    let found = circles_of(&files);
    assert_eq!(found, ["2 files\n    a.rs -> b.rs: crate::Exported\n    b.rs -> a.rs: crate::a::A"]);
}

#[test]
fn a_submodule_is_part_of_its_parent_and_tests_are_left_out() {
    let files = [
        ("lib.rs", "mod a; mod b; pub struct Top;"),
        ("a.rs", "mod part; #[cfg(test)] mod tests; pub struct A; fn f() { part::g() } fn h() { crate::b::test_it() }"),
        ("a/part.rs", "use super::A; use crate::Top; pub fn g() {}"),
        ("a/tests.rs", "use crate::b;"),
        (
            "b.rs",
            "pub fn test_it() {} #[cfg(test)] mod tests { use crate::a::A; } #[cfg(all(test, unix))] use crate::a::A;",
        ),
    ];
    assert_eq!(circles_of(&files), [] as [&str; 0]);
    // But other files that the submodule imports may not lead back to the parent.
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod part; pub struct A; fn f() { part::g() }"),
        ("a/part.rs", "pub fn g() { crate::b::h() }"),
        ("b.rs", "pub fn h(_: crate::a::A) {}"),
    ];
    assert!(circles_of(&files)[0].starts_with("3 files\n"));
}

#[test]
fn circles_are_found_in_the_folder_of_an_inline_module() {
    let lib = ("lib.rs", "#[path = \"rows\"] mod of_rows { pub mod a; pub mod b; } pub use of_rows::*;");
    let a = ("rows/a.rs", "pub struct A; use crate::b; fn f() { b::g() }");
    let found = circles_of(&[lib, a, ("rows/b.rs", "pub fn g(_: crate::a::A) {}")]);
    assert_eq!(found.len(), 1, "{found:?}");
}

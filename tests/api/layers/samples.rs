//! Small trees that each break one rule, and the same trees corrected.

use super::{Found, TABLE, project::Tree, told, violations};

const ROOMS: &str = "
| other | table |
|---|---|
| `x/` | – |

| room | holds | may import |
|---|---|---|
| `leaf` `seed` | leaf files, as `this` | – |
| `low/` | the ground | – |
| `high/` | what stands on it | `low` |
| `controller/` | the shell | `low` `high` |
";

/// Returns a tree that breaks no rule, with these files added or replaced.
fn tree(files: &[(&str, &str)]) -> Tree {
    let sound = [
        (TABLE, ROOMS),
        ("src/lib.rs", "pub mod controller; pub mod high; pub mod leaf; pub mod low; mod seed;"),
        ("src/bin/tool.rs", "use test_crate::low; fn main() { low::ground(); }"),
        ("src/leaf.rs", "pub fn leaf() { crate::seed::seed(); }"),
        ("src/seed.rs", "pub fn seed() {}"),
        ("src/low/mod.rs", "mod floor; pub use floor::ground;"),
        ("src/low/floor.rs", "use crate::leaf::leaf; pub fn ground() { leaf(); }"),
        ("src/high/mod.rs", "pub fn tower() { crate::low::ground(); }"),
        ("src/controller/mod.rs", "use crate::high; pub fn run() { high::tower(); }"),
    ];
    let all = sound.iter().chain(files);
    all.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// Asserts that exactly these lines are found.
#[track_caller]
fn finds(files: &[(&str, &str)], lines: &[&str]) {
    let found = violations(&tree(files));
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), lines, "{files:?}");
}

#[test]
fn a_sound_tree_breaks_no_rule() {
    finds(&[], &[]);
}

#[test]
fn a_room_that_is_not_in_the_row_is_found_however_it_is_named() {
    let line = ["import  src/low/floor.rs: high", "room circle  high low"];
    for text in [
        "use crate::high::tower; pub fn ground() {}",
        "use crate::{high as up}; pub fn ground() {}",
        "use crate::high::*; pub fn ground() {}",
        "pub fn ground() { crate::high::tower(); }",
        "pub fn ground() { dbg!(0..crate::high::tower(1)); }",
        "pub fn ground() { fn inner() { use crate::{leaf, high::{self}}; } }",
        "#[serde(with = \"crate::high::tower\")] pub struct Ground; pub fn ground() {}",
        "mod inner { use crate::high; } pub fn ground() {}",
        "pub fn ground(of: Vec<crate::high::Tower>) {}",
        "macro_rules! made { () => { $crate::high::tower() } } pub fn ground() {}",
    ] {
        finds(&[("src/low/floor.rs", text)], &line);
    }
    finds(
        &[("src/seed.rs", "pub fn seed() { crate::low::ground(); }")],
        &["import  src/seed.rs: low", "room circle  leaf low seed"],
    );
}

#[test]
fn what_only_looks_like_another_room_is_none() {
    for text in [
        "/// As [`crate::high`].\npub fn ground() { /* crate::high */ }",
        "pub fn ground() -> &'static str { \"crate::high::tower\" }",
        "#[cfg(test)] use crate::high; pub fn ground() { #[cfg(test)] let a = crate::high::A; }",
        "pub fn ground() {} #[cfg(all(test, unix))] mod tests { use crate::high; }",
        "pub fn ground() { high::tower(); ::high::tower(); }",
        "pub struct A; impl A { #[cfg(test)] fn a() { crate::high::tower() } } pub fn ground() {}",
    ] {
        finds(&[("src/low/floor.rs", text)], &[]);
    }
    let declared = "#[cfg(test)] mod scenes; pub fn ground() {}";
    let test = "use crate::high; use super::super::super::x; pub struct Twice;";
    finds(
        &[
            ("src/low/floor.rs", declared),
            ("src/low/floor/scenes/mod.rs", "mod one; pub struct Twice;"),
            ("src/low/floor/scenes/one.rs", test),
            ("src/low/tests.rs", test),
        ],
        &[],
    );
}

#[test]
fn super_does_not_lead_out_of_a_room() {
    finds(
        &[
            ("src/high/mod.rs", "mod a { fn a() { super::super::low::ground(); } }"),
            ("src/controller/mod.rs", "use super::{super::x, high::*}; mod b { use super::c; }"),
        ],
        &["import  src/controller/mod.rs: x", "super   src/controller/mod.rs: super::high"]
            .into_iter()
            .chain([
                "super   src/controller/mod.rs: super::super::x",
                "super   src/high/mod.rs: super::super::low",
            ])
            .collect::<Vec<_>>(),
    );
}

#[test]
fn rooms_in_a_circle_are_found_in_the_table_too() {
    let rooms = ROOMS.replace("| the ground | – |", "| the ground | `high` |");
    let low = ("src/low/floor.rs", "pub fn ground() { crate::high::tower(); }");
    let tree = tree(&[(TABLE, &rooms), low]);
    let found = violations(&tree);
    let circle = ("room circle  high low".to_owned(), "high → low → high".to_owned());
    assert_eq!(found, Found::from([circle]));
}

#[test]
fn files_in_a_circle_are_found_by_where_an_item_is_defined() {
    let circle = ["circle  src/low/floor.rs", "circle  src/low/wall.rs"];
    let wall = ("src/low/wall.rs", "pub fn wall() { super::ground(); }");
    for floor in [
        "use super::wall::wall; pub fn ground() {}",
        "use super::wall; pub fn ground() { wall::wall(); }",
        "use super::wall; pub fn ground() {}",
        "use super::*; pub fn ground() { wall(); }",
        "use super::*; pub fn ground() { assert!(wall()); }",
        "use super::*; pub fn ground() { let wall = wall(); }",
        "pub fn ground() { crate::low::walls::wall(); }",
    ] {
        let low = "mod floor; mod wall; pub use {floor::*, wall as walls}; \
                   pub(crate) use wall::wall;";
        finds(&[("src/low/mod.rs", low), ("src/low/floor.rs", floor), wall], &circle);
    }
}

#[test]
fn a_module_that_hands_on_is_in_no_circle() {
    let low = "mod floor; mod wall; pub use floor::ground; pub use wall::{wall, Wall};";
    let wall = "pub fn wall() {} pub struct Wall { height: u8 }";
    let floor = "use super::Wall; pub fn ground(wall: Wall) { let low = wall.height; }";
    let files = [("src/low/mod.rs", low), ("src/low/floor.rs", floor), ("src/low/wall.rs", wall)];
    finds(&files, &[]);
}

#[test]
fn the_own_file_of_a_folder_and_folders_are_in_circles() {
    let low = "mod floor; mod wall; pub use floor::ground; pub const HEIGHT: u8 = 1;";
    finds(
        &[
            ("src/low/mod.rs", low),
            ("src/low/floor.rs", "mod tile; pub use tile::Tile; pub fn ground() { made(); }"),
            ("src/low/floor/tile.rs", "pub struct Tile; fn tile() { super::super::wall::wall() }"),
            ("src/low/wall.rs", "use super::floor::Tile; pub fn wall() -> Tile { super::HEIGHT }"),
        ],
        &["circle  src/low/floor/", "circle  src/low/wall.rs"],
    );
    let used = "mod floor; pub use floor::ground; pub const HEIGHT: u8 = 1; fn a() { ground(); }";
    let floor = ("src/low/floor.rs", "pub fn ground() { super::HEIGHT; }");
    finds(
        &[("src/low/mod.rs", used), floor],
        &["circle  src/low/floor.rs", "circle  src/low/mod.rs"],
    );
}

#[test]
fn a_shortest_circle_is_told() {
    let files = [
        ("src/low/mod.rs", "mod a; mod b; mod c; mod floor; pub use floor::ground;"),
        ("src/low/a.rs", "pub use super::b::B; pub struct A;"),
        ("src/low/b.rs", "pub struct B(super::c::C, super::a::A);"),
        ("src/low/c.rs", "pub struct C(super::a::A);"),
    ];
    let found = violations(&tree(&files));
    let told = told(&found).join("\n");
    assert!(told.contains("circle  src/low/a.rs    (a.rs → b.rs → a.rs)"), "{told}");
    assert!(told.contains("circle  src/low/c.rs    (c.rs → a.rs → b.rs → c.rs)"), "{told}");
}

#[test]
fn a_type_has_its_methods_in_its_own_file() {
    let low = ("src/low/mod.rs", "mod floor; mod wall; pub use floor::{ground, Ground};");
    let floor = "pub fn ground() {} pub struct Ground; mod a { impl super::Ground {} }";
    let wall = "use super::Ground; impl Ground { fn wall(&self) {} } impl Copy for Ground {}";
    finds(
        &[low, ("src/low/floor.rs", floor), ("src/low/wall.rs", wall)],
        &["impl    src/low/wall.rs: Ground"],
    );
    let wall = "use super::Ground; impl Copy for Ground {} struct Wall; impl Wall {}";
    finds(&[low, ("src/low/floor.rs", floor), ("src/low/wall.rs", wall)], &[]);
}

#[test]
fn a_name_of_a_type_is_given_once() {
    let floor = "pub fn ground() { struct Local; } enum Ground {}";
    let high = "pub fn tower() { struct Local; } mod inner { type Ground = u8; }";
    finds(
        &[("src/low/floor.rs", floor), ("src/high/mod.rs", high)],
        &["twice   Ground: src/high/mod.rs src/low/floor.rs"],
    );
    let high = "pub fn tower() {} #[cfg(test)] mod tests { struct Ground; }";
    finds(&[("src/low/floor.rs", floor), ("src/high/mod.rs", high)], &[]);
}

#[test]
fn the_controller_lets_others_see_one_thing() {
    let door = "src/controller/mod.rs";
    finds(
        &[(door, "pub mod a; pub(crate) fn b() {} pub use c::{d, e as f}; struct G;")],
        &[
            "public  src/controller/mod.rs: a",
            "public  src/controller/mod.rs: d",
            "public  src/controller/mod.rs: f",
        ],
    );
    finds(&[(door, "mod a; pub(crate) fn b() {} pub use c::d; #[cfg(test)] pub mod e;")], &[]);
}

#[test]
fn long_files_are_found() {
    let lines = |number| "fn a() {}\n".repeat(number);
    let spared = "\n// a\n/* b\nc */\n#[cfg(test)]\nmod tests {\n    fn a() {}\n}\n".repeat(50);
    let just = lines(299) + &spared + "pub fn ground() {}";
    finds(&[("src/low/floor.rs", &just), ("tests/api/a.rs", &lines(300))], &[]);
    finds(
        &[
            ("src/low/floor.rs", &(just + "\nfn b() {}")),
            ("src/low/tests.rs", &lines(301)),
            ("tests/api/a.rs", &lines(301)),
        ],
        &[
            "long file  src/low/floor.rs",
            "long file  src/low/tests.rs",
            "long file  tests/api/a.rs",
        ],
    );
}

#[test]
fn wide_lines_are_found() {
    finds(&[("src/low/tests.rs", &"é".repeat(100))], &[]);
    finds(
        &[("src/low/tests.rs", &"é".repeat(101)), ("tests/a/b.rs", &"a".repeat(101))],
        &["wide    src/low/tests.rs", "wide    tests/a/b.rs"],
    );
}

#[test]
fn crowded_folders_are_found() {
    let mut full = tree(&[("src/high/tests.rs", ""), ("src/high/a/b.rs", "")]);
    full.extend((1..18).map(|number| (format!("src/high/a{number}.rs"), String::new())));
    assert_eq!(violations(&full), Found::new());
    full.insert("src/high/a.rs".to_owned(), String::new());
    assert_eq!(violations(&full).into_keys().collect::<Vec<_>>(), ["crowded src/high/"]);
}

#[test]
fn what_is_in_no_row_and_what_is_not_there_are_found() {
    let rooms = ROOMS.to_owned() + "| `far/` | nothing | – |\n| `near` | nothing | – |\n";
    finds(
        &[(TABLE, &rooms), ("src/odd.rs", ""), ("src/other/a.rs", ""), ("src/other/b.rs", "")],
        &["missing src/far/", "missing src/near.rs", "no room src/odd.rs", "no room src/other/"],
    );
}

#[test]
fn a_part_that_imports_a_row_below_its_own_is_found() {
    let rows = |rows: &str| format!("{ROOMS}\n| in `low/` | holds |\n|---|---|\n{rows}\n");
    let files = [
        ("src/low/mod.rs", "mod floor; mod wall; pub use floor::ground;"),
        ("src/low/wall.rs", "pub struct Wall(super::floor::Ground);"),
        ("src/low/floor.rs", "pub struct Ground; pub fn ground() {}"),
    ];
    let with = |table: &str| {
        let table = rows(table);
        let mut all = vec![(TABLE, table.as_str())];
        all.extend(files);
        violations(&tree(&all)).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(with("| `floor.rs` | the ground |\n| `wall.rs` | walls |"), Vec::<String>::new());
    assert_eq!(
        with("| `wall.rs` | walls |\n| `floor.rs` | the ground |"),
        ["order   src/low/: wall imports floor"]
    );
    assert_eq!(with("| `wall.rs` | walls |"), ["no row  src/low/: floor"]);
}

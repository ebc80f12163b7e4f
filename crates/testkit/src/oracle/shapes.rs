//! Repositories of every shape that the module rules know, each spelled out.
//!
//! A shape is one repository and the module paths that are asked of it. Rules are numbered by what Go's
//! documents call them in our notes: A names, B pseudo-versions, C lists, D queries, E the module in the
//! repository, F the zip, G attributes.

use crate::GitRepository;
use std::path::Path;

/// A repository to be made, and what is asked of it.
pub(super) struct Shape {
    /// Its name: the repository is `https://git.larder.example/NAME`.
    pub(super) name: &'static str,
    /// Module paths below `git.larder.example/NAME.git`; `""` is the repository's root.
    pub(super) modules: &'static [&'static str],
    make: fn(&GitRepository),
    object_format: ObjectFormat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ObjectFormat {
    Sha1,
    Sha256,
}

impl Shape {
    /// Makes the repository in a folder that does not exist yet.
    pub(super) fn make(&self, folder: &Path) -> GitRepository {
        let repository = match self.object_format {
            ObjectFormat::Sha1 => GitRepository::at(folder),
            ObjectFormat::Sha256 => GitRepository::sha256_at(folder),
        };
        (self.make)(&repository);
        repository
    }
}

const fn shape(
    name: &'static str,
    modules: &'static [&'static str],
    make: fn(&GitRepository),
) -> Shape {
    Shape {
        name,
        modules,
        make,
        object_format: ObjectFormat::Sha1,
    }
}

/// All shapes, sorted by what they are about.
pub(super) const SHAPES: &[Shape] = &[
    // C, D: tags, branches, latest.
    shape("plain", &["", "missing"], plain),
    shape("odd-tags", &[""], odd_tags),
    shape("order", &[""], order),
    shape("same-commit", &[""], same_commit),
    shape("branches", &[""], branches),
    shape("trunk", &[""], trunk),
    shape("no-commits", &["", "sub"], |_| {}),
    shape("dangling-head", &[""], dangling_head),
    shape("tagged-objects", &[""], tagged_objects),
    shape("hidden-refs", &[""], hidden_refs),
    shape("UpperCase", &["", "Sub"], upper_case),
    shape("retractions", &[""], retractions),
    shape("retracts-all", &[""], retracts_all),
    shape("retracts-latest", &[""], retracts_latest),
    // B: pseudo-versions.
    shape("merges", &[""], merges),
    shape("pre-releases", &[""], pre_releases),
    shape("metadata-bases", &[""], metadata_bases),
    shape("times", &[""], times),
    Shape {
        object_format: ObjectFormat::Sha256,
        ..shape("sha256", &["", "sub"], sha256)
    },
    // E: the module in the repository.
    shape("nested", &["", "sub", "sub/deep", "none"], nested),
    shape("major-branch", &["", "v2", "v3", "v4"], major_branch),
    shape("major-folder", &["", "v2", "v3"], major_folder),
    shape("major-both", &["", "v2"], major_both),
    shape("major-nested", &["sub", "sub/v2", "sub/v3"], major_nested),
    shape("incompatible", &["", "v4"], incompatible),
    shape(
        "incompatible-after-module",
        &["", "v2"],
        incompatible_after_module,
    ),
    shape("incompatible-folder", &["", "v2"], incompatible_folder),
    shape("go-mod-removed", &["", "v2"], go_mod_removed),
    shape("module-lines", &["", "v2", "sub"], module_lines),
    shape(
        "go-mod-names",
        &["", "upper", "link", "folder"],
        go_mod_names,
    ),
    shape("newer-go", &[""], newer_go),
    // F: the zip.
    shape("vendor-old", &["", "sub"], |r| vendor(r, "\ngo 1.20\n")),
    shape("vendor-new", &["", "sub"], |r| vendor(r, "\ngo 1.24\n")),
    shape("vendor-silent", &["", "sub"], |r| vendor(r, "")),
    shape(
        "licences",
        &["", "none", "own", "lower", "text", "empty", "folder"],
        licences,
    ),
    shape("links", &["", "sub"], links),
    shape("links-with-bad-names", &[""], links_with_bad_names),
    shape("collisions", &[""], collisions),
    shape("bad-names", &[""], bad_names),
    shape("odd-names", &[""], odd_names),
    shape("empty", &[""], empty),
    shape("submodules", &["", "sub"], submodules),
    shape("large", &[""], large),
    // G: attributes.
    shape("attributes", &["", "sub"], attributes),
    shape("attributes-change", &[""], attributes_change),
    shape("large-file-pointers", &[""], large_file_pointers),
];

fn module_line(name: &str, suffix: &str) -> String {
    format!("module git.larder.example/{name}.git{suffix}\n")
}

fn plain(r: &GitRepository) {
    let go_mod = module_line("plain", "");
    let first = r
        .commit("main")
        .file("go.mod", &go_mod)
        .file("a.go", "package a\n")
        .write();
    r.tag("v0.1.0", &first);
    let second = r.commit("main").file("b.go", "package a\n").write();
    r.annotated_tag("v1.0.0", &second);
    let third = r.commit("main").file("pkg/c.go", "package pkg\n").write();
    r.tag("v1.1.0-rc.1", &third);
    r.tag("v1.1.0-rc.2", &third);
    r.commit("main").remove("b.go").write();
    r.commit("dev")
        .parent(&second)
        .file("dev.go", "package a\n")
        .write();
    r.commit("dev")
        .file("dev.go", "package a // more\n")
        .write();
}

fn odd_tags(r: &GitRepository) {
    let go_mod = module_line("odd-tags", "");
    let first = r
        .commit("main")
        .file("go.mod", &go_mod)
        .file("a.go", "package a\n")
        .write();
    for tag in [
        "v1",
        "v1.2",
        "V1.0.0",
        "1.0.0",
        "v01.0.0",
        "v1.2.3.4",
        "release-1",
        "v1.0.0-",
    ] {
        r.tag(tag, &first);
    }
    let second = r.commit("main").file("a.go", "package a // 2\n").write();
    for tag in [
        "v1.2.3+meta",
        "v1.0.0+incompatible",
        "v1.0.0-beta+build",
        "v2.0.0",
        "v1.4.0-01",
    ] {
        r.tag(tag, &second);
    }
    let third = r.commit("main").file("a.go", "package a // 3\n").write();
    r.tag("v1.5.0-20200101000000-abcdefabcdef", &third);
    r.tag("v0.0.0-20200101000000-abcdefabcdef", &third);
    r.tag("v1.5.0-0.20200101000000-abcdefabcdef", &third);
    r.tag("v1.3.0-alpha.beta-1", &third);
    r.tag("other/v1.9.0", &third);
    r.tag("vx", &third);
    r.commit("main").file("a.go", "package a // 4\n").write();
}

fn order(r: &GitRepository) {
    let go_mod = module_line("order", "");
    let mut commit = r.commit("main").file("go.mod", &go_mod).write();
    for tag in [
        "v1.10.0",
        "v1.9.0",
        "v1.2.0",
        "v1.99999999999999999999.0",
        "v1.2.0-rc.10",
        "v1.2.0-rc.9",
        "v1.2.0-rc",
        "v1.2.0-alpha.1",
        "v1.2.0-1",
        "v0.0.0",
    ] {
        r.tag(tag, &commit);
        commit = r
            .commit("main")
            .file("a.go", format!("package a // {tag}\n"))
            .write();
    }
}

fn same_commit(r: &GitRepository) {
    let first = r.commit("main").file("a.go", "package a\n").write();
    for tag in [
        "v1.0.0",
        "v1.0.1-rc.1",
        "v0.9.0",
        "v2.0.0",
        "v3.0.0-pre",
        "v1.0.0+meta",
        "v2.1",
    ] {
        r.tag(tag, &first);
    }
    r.annotated_tag("v1.0.2", &first);
    r.branch("stable", &first);
    r.commit("main").file("b.go", "package a\n").write();
}

fn branches(r: &GitRepository) {
    let go_mod = module_line("branches", "");
    let first = r.commit("main").file("go.mod", &go_mod).write();
    for (number, branch) in [
        "feature/slash",
        "deadbeef",
        "Upper",
        "v5.5.5",
        "v0.3.0",
        "with-dash",
        "with.dot",
        "ünïcode",
        "both",
        "1234567",
        "@at",
    ]
    .into_iter()
    .enumerate()
    {
        r.commit(branch)
            .parent(&first)
            .file("a.go", format!("package a // {number}\n"))
            .write();
    }
    r.tag("both", &first);
    r.tag("v0.2.0", &first);
    r.tag("tag/slash", &first);
    r.annotated_tag("nightly", &first);
}

fn trunk(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("trunk", ""))
        .write();
    r.commit("trunk")
        .parent(&first)
        .file("a.go", "package a\n")
        .write();
    r.default_branch("trunk");
}

fn dangling_head(r: &GitRepository) {
    let first = r
        .commit("other")
        .file("go.mod", module_line("dangling-head", ""))
        .write();
    r.tag("v1.0.0-pre", &first);
}

fn tagged_objects(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("tagged-objects", ""))
        .write();
    r.annotated_tag("v1.0.0", &first);
    let tag = r.git(&["rev-parse", "refs/tags/v1.0.0"]);
    r.annotated_tag("v1.0.1", &tag);
    let tree = r.git(&["rev-parse", &format!("{first}^{{tree}}")]);
    r.tag("v1.0.2", &tree);
    let blob = r.git(&["rev-parse", &format!("{first}:go.mod")]);
    r.tag("v1.0.3", &blob);
    r.tag("notes", &blob);
    r.commit("main").file("a.go", "package a\n").write();
}

fn hidden_refs(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("hidden-refs", ""))
        .write();
    r.tag("v0.1.0", &first);
    let pull = r
        .commit("pull")
        .parent(&first)
        .file("evil.go", "package evil\n")
        .write();
    r.reference("refs/pull/1/head", &pull);
    r.git(&["update-ref", "-d", "refs/heads/pull"]);
    r.commit("main").file("a.go", "package a\n").write();
}

fn upper_case(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("UpperCase", ""))
        .file("Sub/go.mod", module_line("UpperCase", "/Sub"))
        .file("Sub/A.go", "package sub\n")
        .file("Readme.md", "Upper\n")
        .write();
    r.tag("v1.0.0-RC.1", &first);
    r.tag("Sub/v0.1.0", &first);
    r.commit("Main")
        .parent(&first)
        .file("a.go", "package a\n")
        .write();
}

fn retractions(r: &GitRepository) {
    let go_mod = |retract: &str| module_line("retractions", "") + "\ngo 1.20\n" + retract;
    let first = r.commit("main").file("go.mod", go_mod("")).write();
    r.tag("v1.0.0", &first);
    let second = r.commit("main").file("a.go", "package a\n").write();
    r.tag("v1.1.0", &second);
    r.commit("between")
        .parent(&second)
        .file("between.go", "package a\n")
        .write();
    let third = r
        .commit("main")
        .file(
            "go.mod",
            go_mod("retract [v1.1.0, v1.2.0] // broken\nretract v1.4.0-pre\n"),
        )
        .write();
    r.tag("v1.3.0", &third);
    let fourth = r.commit("main").file("b.go", "package a\n").write();
    r.tag("v1.4.0-pre", &fourth);
    r.commit("main").file("c.go", "package a\n").write();
}

fn retracts_all(r: &GitRepository) {
    let go_mod = module_line("retracts-all", "") + "\nretract [v0.0.0, v1.99.0]\n";
    let first = r.commit("main").file("go.mod", go_mod).write();
    r.tag("v1.0.0", &first);
    let second = r.commit("main").file("a.go", "package a\n").write();
    r.tag("v1.1.0", &second);
    r.commit("main").file("b.go", "package a\n").write();
}

fn retracts_latest(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("retracts-latest", ""))
        .write();
    r.tag("v1.0.0", &first);
    r.tag("v1.1.0-beta", &first);
    let go_mod = module_line("retracts-latest", "") + "\nretract (\n\tv1.0.1\n\tv1.0.0-rc\n)\n";
    let second = r.commit("main").file("go.mod", go_mod).write();
    r.tag("v1.0.1", &second);
}

fn merges(r: &GitRepository) {
    let root = r
        .commit("main")
        .file("go.mod", module_line("merges", ""))
        .write();
    r.tag("v1.0.0", &root);
    let side = r
        .commit("side")
        .parent(&root)
        .file("side.go", "package a\n")
        .write();
    r.tag("v1.2.0", &side);
    let main = r.commit("main").file("main.go", "package a\n").write();
    r.tag("v1.1.0", &main);
    r.commit("main")
        .file("side.go", "package a\n")
        .merge(&side)
        .write();
    let apart = r
        .commit("apart")
        .parent(&root)
        .file("apart.go", "package a\n")
        .write();
    r.tag("v1.9.0", &apart);
    let orphan = r
        .commit("orphan")
        .orphan()
        .file("go.mod", module_line("merges", ""))
        .write();
    r.commit("octopus")
        .parent(&main)
        .merge(&side)
        .merge(&orphan)
        .file("o.go", "package a\n")
        .write();
}

fn pre_releases(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("pre-releases", ""))
        .write();
    r.tag("v1.0.0-beta.1", &first);
    let second = r.commit("main").file("a.go", "package a\n").write();
    r.tag("v0.9.9", &second);
    let third = r.commit("main").file("b.go", "package a\n").write();
    r.tag("v1.0.0-beta.1.0", &third);
    r.commit("main").file("c.go", "package a\n").write();
}

fn metadata_bases(r: &GitRepository) {
    let first = r.commit("main").file("a.go", "package a\n").write();
    r.tag("v1.1.0+meta", &first);
    r.commit("middle")
        .parent(&first)
        .file("middle.go", "package a\n")
        .write();
    let second = r.commit("main").file("b.go", "package a\n").write();
    r.tag("v2.3.0+meta", &second);
    r.tag("v2.1.0", &second);
    r.commit("main").file("c.go", "package a\n").write();
}

fn times(r: &GitRepository) {
    let go_mod = module_line("times", "");
    let first = r
        .commit("main")
        .file("go.mod", go_mod)
        .at(4_102_444_799)
        .write();
    r.tag("v0.1.0", &first);
    r.commit("main")
        .file("old.go", "package a\n")
        .at(86_399)
        .write();
    r.commit("main")
        .file("leap.go", "package a\n")
        .at(951_782_400)
        .write();
}

fn sha256(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("sha256", ""))
        .file("sub/go.mod", module_line("sha256", "/sub"))
        .file("sub/a.go", "package sub\n")
        .file("LICENSE", "Do as you like.\n")
        .write();
    r.tag("v1.0.0", &first);
    r.annotated_tag("sub/v0.2.0", &first);
    r.commit("main").file("a.go", "package a\n").write();
}

fn nested(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("nested", ""))
        .file("a.go", "package a\n")
        .file("LICENSE", "Do as you like.\n")
        .file("sub/go.mod", module_line("nested", "/sub"))
        .file("sub/b.go", "package sub\n")
        .file("sub/deep/go.mod", module_line("nested", "/sub/deep"))
        .file("sub/deep/LICENSE", "Do less.\n")
        .file("sub/deep/c.go", "package deep\n")
        .file("none/d.go", "package none\n")
        .write();
    for tag in [
        "v1.0.0",
        "sub/v0.1.0",
        "sub/deep/v1.1.0",
        "sub/v1",
        "sub/v2.0.0",
        "none/v1.0.0",
    ] {
        r.tag(tag, &first);
    }
    let second = r
        .commit("main")
        .file("sub/b.go", "package sub // 2\n")
        .write();
    r.tag("sub/v0.2.0", &second);
    r.tag("subv0.3.0", &second);
    let third = r.commit("main").remove("sub/deep/go.mod").write();
    r.tag("sub/deep/v1.2.0", &third);
    r.tag("sub/v0.4.0-rc.1", &third);
    r.commit("main").file("e.go", "package a\n").write();
}

fn major_branch(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("major-branch", ""))
        .write();
    r.tag("v1.0.0", &first);
    let second = r
        .commit("v2")
        .parent(&first)
        .file("go.mod", module_line("major-branch", "/v2"))
        .write();
    r.tag("v2.0.0", &second);
    r.tag("v2.1.0-beta", &second);
    // Tagged without changing the module line.
    let third = r
        .commit("v3")
        .parent(&first)
        .file("a.go", "package a\n")
        .write();
    r.tag("v3.0.0", &third);
    r.commit("main").file("b.go", "package a\n").write();
    r.commit("v2").file("c.go", "package a\n").write();
}

fn major_folder(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("major-folder", ""))
        .file("a.go", "package a\n")
        .write();
    r.tag("v1.0.0", &first);
    let second = r
        .commit("main")
        .file("v2/go.mod", module_line("major-folder", "/v2"))
        .file("v2/a.go", "package a\n")
        .file("LICENSE", "Do as you like.\n")
        .write();
    r.tag("v2.0.0", &second);
    r.tag("v1.1.0", &second);
    // A folder that claims another major.
    let third = r
        .commit("main")
        .file("v3/go.mod", module_line("major-folder", "/v2"))
        .write();
    r.tag("v3.0.0", &third);
    r.commit("main").file("v2/b.go", "package a\n").write();
}

fn major_both(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("major-both", "/v2"))
        .file("v2/go.mod", module_line("major-both", "/v2"))
        .file("v2/a.go", "package a\n")
        .write();
    r.tag("v2.0.0", &first);
    r.tag("v1.0.0", &first);
    let second = r.commit("main").remove("v2/go.mod").write();
    r.tag("v2.1.0", &second);
}

fn major_nested(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("sub/go.mod", module_line("major-nested", "/sub"))
        .write();
    r.tag("sub/v1.0.0", &first);
    let second = r
        .commit("main")
        .file("sub/v2/go.mod", module_line("major-nested", "/sub/v2"))
        .write();
    r.tag("sub/v2.0.0", &second);
    r.tag("sub/v2/v2.9.0", &second);
    r.tag("sub/v1.1.0", &second);
    let third = r
        .commit("main")
        .file("sub/go.mod", module_line("major-nested", "/sub/v3"))
        .write();
    r.tag("sub/v3.0.0", &third);
    r.commit("main").file("sub/a.go", "package sub\n").write();
}

fn incompatible(r: &GitRepository) {
    let first = r.commit("main").file("a.go", "package a\n").write();
    r.tag("v1.0.0", &first);
    let second = r.commit("main").file("b.go", "package a\n").write();
    r.tag("v2.0.0", &second);
    r.tag("v2.1.0-pre", &second);
    let third = r.commit("main").file("c.go", "package a\n").write();
    r.tag("v3.0.0-pre", &third);
    r.commit("main").file("d.go", "package a\n").write();
    let fourth = r
        .commit("main")
        .file("go.mod", module_line("incompatible", "/v4"))
        .write();
    r.tag("v4.0.0", &fourth);
    r.commit("old")
        .parent(&third)
        .file("old.go", "package a\n")
        .write();
}

fn incompatible_after_module(r: &GitRepository) {
    let go_mod = module_line("incompatible-after-module", "");
    let first = r.commit("main").file("go.mod", go_mod).write();
    r.tag("v1.0.0", &first);
    let second = r
        .commit("main")
        .remove("go.mod")
        .file("a.go", "package a\n")
        .write();
    r.tag("v2.0.0", &second);
    r.tag("v1.1.0-pre", &second);
    r.commit("main").file("b.go", "package a\n").write();
}

fn incompatible_folder(r: &GitRepository) {
    let first = r.commit("main").file("a.go", "package a\n").write();
    r.tag("v0.1.0", &first);
    let second = r
        .commit("main")
        .file("v2/go.mod", module_line("incompatible-folder", "/v2"))
        .write();
    r.tag("v2.0.0", &second);
    r.commit("main").file("v2/a.go", "package a\n").write();
}

fn go_mod_removed(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("go.mod", module_line("go-mod-removed", ""))
        .write();
    r.tag("v1.0.0", &first);
    let second = r
        .commit("main")
        .remove("go.mod")
        .file("a.go", "package a\n")
        .write();
    r.tag("v1.1.0", &second);
    r.tag("v2.0.0", &second);
    let third = r
        .commit("main")
        .file("go.mod", module_line("go-mod-removed", "/v2"))
        .write();
    r.tag("v2.1.0", &third);
}

fn module_lines(r: &GitRepository) {
    let commit = |go_mod: &str, tags: &[&str]| {
        let commit = r
            .commit("main")
            .file("go.mod", go_mod)
            .file("sub/go.mod", go_mod)
            .write();
        for tag in tags {
            r.tag(tag, &commit);
            r.tag(&format!("sub/{tag}"), &commit);
        }
    };
    commit("module example.com/fork\n", &["v1.0.0", "v2.0.0"]);
    commit("module example.com/fork/v2\n", &["v1.1.0", "v2.1.0"]);
    commit(
        "module \"git.larder.example/module-lines.git\"\r\n\r\ngo 1.20\r\n",
        &["v1.2.0"],
    );
    commit("// no module line\n", &["v1.3.0"]);
    commit("module\n", &["v1.4.0"]);
    commit("modul x\n", &["v1.5.0"]);
    commit("module gopkg.in/yaml.v2\n", &["v1.6.0", "v2.6.0"]);
    commit("\u{feff}module example.com/mark\n", &["v1.7.0"]);
    commit(
        "// Deprecated: no more\nmodule example.com/old // comment\n",
        &["v1.8.0"],
    );
    commit("module example.com/fork/v1\n", &["v1.9.0"]);
    commit("", &["v1.10.0"]);
    commit("module x x\n", &["v1.11.0"]);
    commit("module (\n\texample.com/block\n)\n", &["v1.12.0"]);
}

fn go_mod_names(r: &GitRepository) {
    let first = r
        .commit("main")
        .file("GO.MOD", module_line("go-mod-names", ""))
        .file("upper/GO.MOD", module_line("go-mod-names", "/upper"))
        .file("upper/a.go", "package upper\n")
        .symlink("link/go.mod", "../target")
        .file("link/a.go", "package link\n")
        .file("folder/go.mod/a.txt", "go.mod is a folder\n")
        .file("target", module_line("go-mod-names", "/link"))
        .write();
    for tag in ["v1.0.0", "upper/v1.0.0", "link/v1.0.0", "folder/v1.0.0"] {
        r.tag(tag, &first);
    }
    let second = r
        .commit("main")
        .remove("GO.MOD")
        .file("go.mod", module_line("go-mod-names", ""))
        .write();
    r.tag("v1.1.0", &second);
    let third = r
        .commit("main")
        .remove("go.mod")
        .symlink("go.mod", "target")
        .write();
    r.tag("v1.2.0", &third);
}

fn newer_go(r: &GitRepository) {
    let go_mod = module_line("newer-go", "") + "\ngo 1.99\n";
    let first = r.commit("main").file("go.mod", go_mod).write();
    r.tag("v1.0.0", &first);
}

fn vendor(r: &GitRepository, go_line: &str) {
    let module = |suffix: &str| format!("module git.larder.example/vendor.git{suffix}\n{go_line}");
    let mut commit = r
        .commit("main")
        .file("go.mod", module(""))
        .file("sub/go.mod", module("/sub"));
    for prefix in ["", "sub/", "pkg/", "sub/pkg/", "a/very/deep/folder/"] {
        for name in [
            "vendor/modules.txt",
            "vendor/top.go",
            "vendor/example.com/x/x.go",
            "vendor/vendor.go",
            "vendor/vendor/v.go",
            "notvendor/modules.txt",
            "x/vendor/y.go",
        ] {
            commit = commit.file(format!("{prefix}{name}"), format!("// {prefix}{name}\n"));
        }
    }
    // A name that would be fatal elsewhere is harmless where it is left out.
    let commit = commit
        .file("vendor/example.com/x/a:b.go", "package x\n")
        .write();
    r.tag("v1.0.0", &commit);
    r.tag("sub/v1.0.0", &commit);
}

fn licences(r: &GitRepository) {
    let mut commit = r
        .commit("main")
        .file("go.mod", module_line("licences", ""))
        .file("LICENSE", "Do as you like.\r\n")
        .file("LICENSE.md", "# Do as you like\n")
        .file("own/LICENSE", "Do less.\n")
        .file("lower/license", "do less.\n")
        .file("text/LICENSE.txt", "Do less.\n")
        .file("empty/LICENSE", "")
        .file("folder/LICENSE/a.txt", "a folder\n");
    let modules = ["none", "own", "lower", "text", "empty", "folder"];
    for module in modules {
        commit = commit
            .file(
                format!("{module}/go.mod"),
                module_line("licences", &format!("/{module}")),
            )
            .file(format!("{module}/z.go"), format!("package {module}\n"));
    }
    let commit = commit.write();
    r.tag("v1.0.0", &commit);
    let without = r.commit("main").remove("LICENSE").write();
    for module in modules {
        r.tag(&format!("{module}/v1.0.0"), &commit);
        r.tag(&format!("{module}/v1.1.0"), &without);
    }
}

fn links(r: &GitRepository) {
    let commit = r
        .commit("main")
        .file("go.mod", module_line("links", ""))
        .file("a.go", "package a\n")
        .symlink("b.go", "a.go")
        .symlink("folder", "sub")
        .symlink("outside", "/etc/hostname")
        .symlink("LICENSE", "a.go")
        .file("sub/go.mod", module_line("links", "/sub"))
        .symlink("sub/c.go", "../a.go")
        .executable("sub/run.sh", "#!/bin/sh\n")
        .symlink("nested/go.mod", "../go.mod")
        .file("nested/d.go", "package nested\n")
        .write();
    r.tag("v1.0.0", &commit);
    r.tag("sub/v1.0.0", &commit);
    let commit = r
        .commit("main")
        .symlink("sub/LICENSE", "../LICENSE")
        .write();
    r.tag("sub/v1.1.0", &commit);
}

fn links_with_bad_names(r: &GitRepository) {
    let good = r
        .commit("main")
        .file("go.mod", module_line("links-with-bad-names", ""))
        .write();
    r.tag("v1.0.0", &good);
    let bad = r.commit("main").symlink("a:b", "go.mod").write();
    r.tag("v1.1.0", &bad);
    let colliding = r
        .commit("main")
        .remove("a:b")
        .symlink("GO.sum", "x")
        .file("go.sum", "")
        .write();
    r.tag("v1.2.0", &colliding);
}

fn collisions(r: &GitRepository) {
    let commit = |tag: &str, files: &[&str]| {
        let mut commit = r
            .commit("main")
            .remove_all()
            .file("go.mod", module_line("collisions", ""));
        for file in files {
            commit = commit.file(file, format!("// {file}\n"));
        }
        r.tag(tag, &commit.write());
    };
    commit("v1.0.0", &["a.go", "A.go"]);
    commit("v1.1.0", &["folder/a.go", "Folder/b.go"]);
    commit("v1.2.0", &["k.go", "\u{212a}.go"]);
    commit("v1.3.0", &["s.go", "\u{17f}.go"]);
    commit("v1.4.0", &["folder/x", "FOLDER"]);
    commit("v1.5.0", &["Go.Mod"]);
    commit("v1.6.0", &["é.go", "É.go"]);
    commit("v1.7.0", &["vendor/x/a.go", "vendor/x/A.go", "fine.go"]);
    commit("v1.8.0", &["nested/go.mod", "nested/a.go", "nested/A.go"]);
    commit("v1.9.0", &["straße.go", "strasse.go", "STRASSE.txt"]);
}

fn bad_names(r: &GitRepository) {
    let commit = |tag: &str, files: &[&[u8]]| {
        let mut commit = r
            .commit("main")
            .remove_all()
            .file("go.mod", module_line("bad-names", ""));
        for file in files {
            commit = commit.file(file, "content\n");
        }
        r.tag(tag, &commit.write());
    };
    commit("v1.0.0", &[b"a:b.go"]);
    commit("v1.1.0", &[b"con.txt"]);
    commit("v1.2.0", &[b"sub/AUX"]);
    commit("v1.3.0", &[b"ends."]);
    commit("v1.4.0", &[b"\xff.go"]);
    commit("v1.5.0", &[b"back\\slash"]);
    commit("v1.6.0", &[b"quote\"mark", b"star*"]);
    commit("v1.7.0", &[b"line\nbreak"]);
    commit("v1.8.0", &[b"nested/go.mod", b"nested/a:b.go", b"fine.go"]);
    commit("v1.9.0", &[b"vendor/x/a:b.go", b"fine.go"]);
    commit("v1.10.0", &["\u{2603}.txt".as_bytes()]);
    commit("v1.11.0", &[b"..."]);
    commit("v1.12.0", &[b"com1.go", b"lpt9", b"nul"]);
}

fn odd_names(r: &GitRepository) {
    let mut commit = r
        .commit("main")
        .file("go.mod", module_line("odd-names", ""));
    for file in [
        "with space.txt",
        "-dash",
        ".hidden/.file",
        "!#$%&()+,-.=@[]^_{}~",
        "short~1.txt",
        "ünïcode/世界.txt",
        ".hg_archival.txt",
        "sub/.hg_archival.txt",
        "connect.txt",
        ".gitignore",
        "a..b",
        "com10",
    ] {
        commit = commit.file(file, format!("{file}\n"));
    }
    r.tag(
        "v1.0.0",
        &commit.executable("run", "").file("empty", "").write(),
    );
}

fn empty(r: &GitRepository) {
    let first = r.commit("main").write();
    r.tag("v1.0.0", &first);
    let second = r
        .commit("main")
        .file("nested/go.mod", module_line("empty", "/nested"))
        .write();
    r.tag("v1.1.0", &second);
}

fn submodules(r: &GitRepository) {
    let commit = r
        .commit("main")
        .file("go.mod", module_line("submodules", ""))
        .file(
            ".gitmodules",
            "[submodule \"third\"]\n\tpath = third\n\turl = https://git.larder.example/plain\n",
        )
        .submodule("third", &"1".repeat(40))
        .file("sub/go.mod", module_line("submodules", "/sub"))
        .submodule("sub/fourth", &"2".repeat(40))
        .write();
    r.tag("v1.0.0", &commit);
    r.tag("sub/v1.0.0", &commit);
    // A submodule in place of the module's folder.
    let commit = r
        .commit("main")
        .remove("sub")
        .submodule("sub", &"3".repeat(40))
        .write();
    r.tag("sub/v1.1.0", &commit);
}

fn large(r: &GitRepository) {
    let mut commit = r.commit("main").file("go.mod", module_line("large", ""));
    for number in 0..400 {
        let lines: String = (0..60)
            .map(|line| format!("// {number} {line} {}\n", number * 7919 + line * 104_729))
            .collect();
        commit = commit.file(
            format!("package{}/file{number}.go", number % 20),
            format!("package p\n{lines}"),
        );
    }
    // 2 MiB that deflate can do little about.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(2 << 20)
    .collect();
    r.tag("v1.0.0", &commit.file("noise.bin", noise).write());
}

fn attributes(r: &GitRepository) {
    let text = "one\ntwo\r\nthree\n";
    let commit = r
        .commit("main")
        .file(
            ".gitattributes",
            "*.crlf text eol=crlf\n*.lf text eol=lf\n*.auto text=auto\n*.text text\n*.id ident\n\
             *.utf16 text working-tree-encoding=UTF-16LE\n*.subst export-subst\n*.gone export-ignore\n\
             gone/ export-ignore\n*.bin binary\n[attr]ours text eol=crlf\n*.macro ours\ngo.mod text eol=crlf\n\
             LICENSE text eol=crlf\n*.off -text eol=crlf\n*.unset !text\n",
        )
        .file("go.mod", module_line("attributes", ""))
        .file("LICENSE", "Do as\nyou like.\n")
        .file("a.crlf", text)
        .file("a.lf", text)
        .file("a.auto", text)
        .file("a.text", text)
        .file("a.off", text)
        .file("a.unset", text)
        .file("a.macro", text)
        .file("a.bin", text)
        .file("a.id", "$Id$ and $Id: old $\n")
        .file("a.utf16", "ünï\n")
        .file("a.subst", "$Format:%H$\n")
        .file("a.gone", text)
        .file("gone/a.txt", text)
        .file("inner/.gitattributes", "*.crlf -text\n*.id -ident\n*.subst -export-subst\n")
        .file("inner/a.crlf", text)
        .file("inner/a.id", "$Id$\n")
        .file("sub/go.mod", module_line("attributes", "/sub"))
        .file("sub/a.crlf", text)
        .file("sub/a.gone", text)
        .file("sub/a.id", "$Id$\n")
        .write();
    r.tag("v1.0.0", &commit);
    r.tag("sub/v1.0.0", &commit);
}

/// Attributes that are those of each commit, not of the last one; a link and a folder by that name.
fn attributes_change(r: &GitRepository) {
    let text = "one\ntwo\n";
    let first = r
        .commit("main")
        .file("go.mod", module_line("attributes-change", ""))
        .file(".gitattributes", "* text eol=crlf\n")
        .file("a.txt", text)
        .write();
    r.tag("v1.0.0", &first);
    let second = r.commit("main").file(".gitattributes", "* -text\n").write();
    r.tag("v1.1.0", &second);
    let third = r
        .commit("main")
        .remove(".gitattributes")
        .symlink(".gitattributes", "a.txt")
        .write();
    r.tag("v1.2.0", &third);
    let fourth = r
        .commit("main")
        .remove(".gitattributes")
        .file(
            ".gitattributes",
            "\"a.txt\" text eol=crlf\n*.x bad=\n\x01\n[attr]\n** export-ignore\n",
        )
        .write();
    r.tag("v1.3.0", &fourth);
}

fn large_file_pointers(r: &GitRepository) {
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "ab".repeat(32)
    );
    let commit = r
        .commit("main")
        .file("go.mod", module_line("large-file-pointers", ""))
        .file(
            ".gitattributes",
            "*.bin filter=lfs diff=lfs merge=lfs -text\n*.other filter=unknown\n",
        )
        .file("a.bin", pointer)
        .file("b.other", "plain\n")
        .write();
    r.tag("v1.0.0", &commit);
}

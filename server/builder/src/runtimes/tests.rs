//! Runtimes are installed as a whole, and links to anything else are not followed.

use super::*;

#[test]
fn names_are_found_again() {
    for runtime in Runtime::ALL {
        assert_eq!(Runtime::find(runtime.name()), Some(runtime));
        assert_eq!(Runtime::of_id(&format!("{}-1.2.3-rc.1", runtime.name())), Some(runtime));
    }
    for bad in ["node", "node-", "node-x", "deno-1.0.0", "node-1/2", "node-1 2", ""] {
        assert_eq!(Runtime::of_id(bad), None, "{bad}");
    }
    assert!(is_version("22.11.0") && is_version("1.0.0-rc.1+5"));
    assert!(!is_version("..") && !is_version("1/..") && !is_version("1\n2") && !is_version(&"1".repeat(65)));
}

fn installed() -> (tempfile::TempDir, Installed) {
    let dir = tempfile::tempdir().unwrap();
    let installed = Installed::open(&dir.path().join("runtimes")).unwrap();
    let package = dir.path().join("package");
    fs::create_dir_all(package.join("bin")).unwrap();
    fs::create_dir_all(package.join("docs")).unwrap();
    for (name, text) in [("bin/npm-cli.js", "cli"), ("docs/x", "docs"), ("package.json", "{}")] {
        fs::write(package.join(name), text).unwrap();
        fs::set_permissions(package.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    installed.install(Runtime::Npm, "10.9.0", &package).unwrap();
    // Again: it is installed already.
    installed.install(Runtime::Npm, "10.9.0", &package).unwrap();
    (dir, installed)
}

#[test]
fn a_runtime_is_installed_for_everybody_to_read() {
    let (_dir, installed) = installed();
    let folder = installed.folder(Runtime::Npm, "10.9.0");
    assert_eq!(installed.folders().unwrap(), std::slice::from_ref(&folder));
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("bin"), mode("bin/npm-cli.js"), mode("package.json")], [0o755, 0o755, 0o755, 0o644]);
    assert!(!folder.join("docs").exists());
    assert_eq!(fs::read_dir(&installed.aside).unwrap().count(), 0);
    installed.touch(Runtime::Npm, "10.9.0").unwrap();
    assert!(installed.touch(Runtime::Npm, "10.9.1").is_err());

    let aside = installed.uninstall(&folder).unwrap();
    assert!(aside.join("package.json").exists() && installed.folders().unwrap().is_empty());
    assert_eq!(fs::read_dir(installed.shared.join(PARTS)).unwrap().count(), 0);
}

#[test]
fn a_package_without_the_program_is_not_installed() {
    let (dir, installed) = installed();
    let wrong = installed.install(Runtime::Node, "22.0.0", &dir.path().join("package")).unwrap_err();
    assert_eq!(wrong.root_cause().to_string(), format!("the package {} has no bin/node", Runtime::Node.package()));
    assert!(!installed.folder(Runtime::Node, "22.0.0").exists());
}

#[test]
fn only_links_to_runtimes_are_replaced() {
    let (_dir, installed) = installed();
    let finds = |target: &str| installed.linked(OsStr::new(target)).is_some();
    assert!(finds("/tmp/runtimes/files/npm-10.9.0") && finds("/tmp/runtimes/files/npm-10.9.0/bin/npm-cli.js"));
    for other in [
        "/tmp/runtimes/files/npm-10.9.0/../../versions",
        "/tmp/runtimes/files/npm-10.9.0/none",
        "/tmp/runtimes/files/npm-10.9.1",
        "/tmp/runtimes/files/..",
        "/tmp/runtimes/files",
        "/tmp/runtimes/parts/npm-10.9.0.tar.zst",
        "/etc/passwd",
        "files/npm-10.9.0",
    ] {
        assert!(!finds(other), "{other}");
    }
}

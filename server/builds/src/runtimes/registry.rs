//! The npm registry: which versions of a package there are, where they are, and their checksums.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use builder::{Installed, Runtime, is_version};
use digest_io::IoWrapper;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

/// The kind of checksum that every package in the registry has.
const KIND: &str = "sha512-";

/// Where a version is, and its checksum.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Package {
    pub(super) tarball: String,
    /// A kind and a checksum in base64; several are separated by spaces.
    #[serde(default)]
    integrity: String,
}

/// What is read of a package's document.
#[derive(Deserialize)]
struct Document {
    versions: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Package,
}

impl Package {
    /// Whether a file is this package, by its checksum.
    pub(super) fn is(&self, file: &Path) -> io::Result<bool> {
        let mut hash = IoWrapper(Sha512::new());
        io::copy(&mut File::open(file)?, &mut hash)?;
        let found = BASE64_STANDARD.encode(hash.0.finalize());
        Ok(self.checksums().any(|checksum| checksum == found))
    }

    fn checksums(&self) -> impl Iterator<Item = &str> {
        self.integrity.split_whitespace().filter_map(|one| one.strip_prefix(KIND)?.split('?').next())
    }
}

/// The URL of a package's document. The slash in a name is escaped, as npm does.
pub(super) fn list_url(registry: &str, runtime: Runtime) -> String {
    format!("{}/{}", registry.trim_end_matches('/'), runtime.package().replace('/', "%2f"))
}

/// The file with the packages of all versions, which builds do not see.
pub(super) fn sources(installed: &Installed, runtime: Runtime) -> PathBuf {
    installed.private(&format!("{}.json", runtime.name()))
}

/// Replaces the list of versions by those of the document in `file`.
pub(super) fn keep_list(installed: &Installed, runtime: Runtime, file: &Path) -> Result<(), builder::Error> {
    let document = File::open(file).context("open a list of versions")?;
    let document: Document = serde_json::from_reader(BufReader::new(document))
        .map_err(|err| super::failed(format!("the response of the npm registry is invalid ({err})")))?;
    let is_usable = |(name, version): &(String, Version)| is_version(name) && version.dist.checksums().next().is_some();
    let versions: BTreeMap<String, Package> =
        document.versions.into_iter().filter(is_usable).map(|(name, version)| (name, version.dist)).collect();
    if versions.is_empty() {
        return Err(super::failed(format!("the npm registry has no versions of {}", runtime.package())));
    }
    let names: Vec<&String> = versions.keys().collect();
    replace(installed, &installed.versions(runtime), &serde_json::to_vec(&names).context("write a list of versions")?)?;
    let packages = serde_json::to_vec(&versions).context("write a list of versions")?;
    Ok(replace(installed, &sources(installed, runtime), &packages)?)
}

/// Where this version is; `None` if the list does not have it.
pub(super) fn find(installed: &Installed, runtime: Runtime, version: &str) -> anyhow::Result<Option<Package>> {
    let list = File::open(sources(installed, runtime)).context("open a list of versions")?;
    let mut list: BTreeMap<String, Package> =
        serde_json::from_reader(BufReader::new(list)).context("read a list of versions")?;
    Ok(list.remove(version))
}

/// Builds of any user read the list of versions.
fn replace(installed: &Installed, file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let aside = installed.aside();
    let written = fs::write(&aside, content).and_then(|()| fs::set_permissions(&aside, Permissions::from_mode(0o644)));
    written.and_then(|()| fs::rename(&aside, file)).context("write a list of versions")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"name": "npm", "versions": {
        "10.9.0": {"name": "npm", "dist": {"tarball": "https://registry.example/npm.tgz", "shasum": "00",
            "integrity": "sha1-x sha512-9/u6bgY2+JDlb7vzKD5STG+jIErimDgtYkdB0NxmODJuKCxBvl5CVNiCB3LFUYosWowMf37aGVlKfrU5RT4e1w=="}},
        "1.0.0": {"dist": {"tarball": "https://registry.example/old.tgz", "shasum": "00"}},
        "../x": {"dist": {"tarball": "https://registry.example/x.tgz", "integrity": "sha512-x"}}
    }}"#;

    #[test]
    fn a_list_has_what_can_be_verified() {
        let dir = tempfile::tempdir().unwrap();
        let installed = Installed::open(&dir.path().join("runtimes")).unwrap();
        let file = dir.path().join("document");
        fs::write(&file, DOCUMENT).unwrap();
        keep_list(&installed, Runtime::Npm, &file).unwrap();
        assert_eq!(fs::read_to_string(installed.versions(Runtime::Npm)).unwrap(), r#"["10.9.0"]"#);
        assert_eq!(find(&installed, Runtime::Npm, "1.0.0").unwrap(), None);
        let package = find(&installed, Runtime::Npm, "10.9.0").unwrap().unwrap();
        assert_eq!(package.tarball, "https://registry.example/npm.tgz");

        fs::write(&file, "foobar").unwrap();
        assert!(!package.is(&file).unwrap());
        fs::write(&file, "foo").unwrap();
        assert!(package.is(&file).unwrap());
    }

    #[test]
    fn another_document_keeps_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let installed = Installed::open(&dir.path().join("runtimes")).unwrap();
        let file = dir.path().join("document");
        fs::write(&file, DOCUMENT).unwrap();
        keep_list(&installed, Runtime::Npm, &file).unwrap();
        for bad in ["", "<html>", "{}", r#"{"versions": {}}"#, r#"{"versions": {"1.0.0": {"dist": {"tarball": "x"}}}}"#]
        {
            fs::write(&file, bad).unwrap();
            assert!(matches!(keep_list(&installed, Runtime::Npm, &file), Err(builder::Error::Failed { .. })), "{bad}");
        }
        assert!(find(&installed, Runtime::Npm, "10.9.0").unwrap().is_some());
    }

    #[test]
    fn names_with_a_scope_are_one_part_of_a_path() {
        let url = list_url("https://registry.example/npm/", Runtime::YarnBerry);
        assert_eq!(url, "https://registry.example/npm/@yarnpkg%2fcli-dist");
    }
}

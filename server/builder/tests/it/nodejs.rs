//! Node.js apps: workspaces, Heroku's settings, and when packages are installed anew.

use crate::support::{Host, write_files};

const ODD: &str = "const isOdd = require('is-odd');\nexports.say = (n) => (isOdd(n) ? 'odd' : 'even');\n";
const SERVER: &str = "const { say } = require('@crates/words');
    const number = require('is-number')(7);
    const has = (name) => { try { require(name); return true; } catch { return false; } };
    require('http').createServer((_, r) => r.end(`7 is ${say(7)}, ${number}, tools ${has('ms') || has('escape-html')}`)).listen(process.env.PORT);";
const WORDS: &str =
    r#"{"name": "@crates/words", "version": "1.0.0", "main": "index.js", "dependencies": {"is-odd": "3.0.1"}}"#;
const PNPM_LOCK: &str = "lockfileVersion: '9.0'
settings: {autoInstallPeers: true, excludeLinksFromLockfile: false}
importers:
  .:
    devDependencies:
      ms: {specifier: 2.1.3, version: 2.1.3}
  packages/api:
    dependencies:
      '@crates/words': {specifier: 'workspace:*', version: 'link:../words'}
      is-number: {specifier: 7.0.0, version: 7.0.0}
    devDependencies:
      escape-html: {specifier: 1.0.3, version: 1.0.3}
  packages/words:
    dependencies:
      is-odd: {specifier: 3.0.1, version: 3.0.1}
packages:
  escape-html@1.0.3:
    resolution: {integrity: sha512-NiSupZ4OeuGwr68lGIeym/ksIZMJodUGOSCZ/FSnTxcrekbvqrgdUxlJOMpijaKZVjAJrWrGs/6Jy8OMuyj9ow==}
  is-number@6.0.0:
    resolution: {integrity: sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg==}
  is-number@7.0.0:
    resolution: {integrity: sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==}
  is-odd@3.0.1:
    resolution: {integrity: sha512-CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA==}
  ms@2.1.3:
    resolution: {integrity: sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==}
snapshots:
  escape-html@1.0.3: {}
  is-number@6.0.0: {}
  is-number@7.0.0: {}
  is-odd@3.0.1:
    dependencies:
      is-number: 6.0.0
  ms@2.1.3: {}
";

/// A monorepo whose build needs a development dependency of its root.
fn monorepo(manager: &str, workspaces: &str, words: &str) -> Host {
    let root = format!(
        r#"{{"name": "crates", "version": "1.0.0", "private": true, "packageManager": "{manager}", "engines": {{"node": "22.x"}},
            {workspaces} "scripts": {{"build": "node -e \"require('ms')\"", "start": "node packages/api/server.js"}},
            "devDependencies": {{"ms": "2.1.3"}}}}"#
    );
    let api = format!(
        r#"{{"name": "@crates/api", "version": "1.0.0", "dependencies": {{"@crates/words": "{words}", "is-number": "7.0.0"}},
            "devDependencies": {{"escape-html": "1.0.3"}}}}"#
    );
    Host::new(&[
        ("package.json", &root),
        ("packages/api/package.json", &api),
        ("packages/api/server.js", SERVER),
        ("packages/words/package.json", WORDS),
        ("packages/words/index.js", ODD),
    ])
}

#[tokio::test]
async fn pruning_leaves_the_workspaces_their_packages() {
    const YARN: &str = r#""workspaces": ["packages/*"],"#;
    let pnpm = monorepo("pnpm@10.12.1", "", "workspace:*");
    write_files(
        &pnpm.request.source,
        &[("pnpm-workspace.yaml", "packages:\n  - packages/*\n"), ("pnpm-lock.yaml", PNPM_LOCK)],
    );
    let yarn = monorepo("yarn@1.22.22", YARN, "1.0.0");
    for mut host in [pnpm, monorepo("npm@10.9.0", YARN, "1.0.0"), yarn] {
        let built = host.build().await;
        built.says("-----> Pruning devDependencies");
        let slug = built.slug();
        let answer = host.visit(&slug).await;
        assert!(answer.ends_with("7 is odd, true, tools false"), "{answer}");
    }
}

/// Yarn 4, with packages in archives and with node_modules.
#[tokio::test]
async fn yarn_4_with_and_without_node_modules() {
    const YARN: &str = r#""workspaces": ["packages/*"],"#;
    for (settings, start) in [("enableScripts: false\n", "yarn start"), ("nodeLinker: node-modules\n", "npm start")] {
        let mut host = monorepo("yarn@4.5.0", YARN, "workspace:*");
        let lock = include_str!("nodejs/yarn.lock");
        write_files(&host.request.source, &[("yarn.lock", lock), (".yarnrc.yml", settings)]);
        let mut slug = host.build().await.slug();
        assert_eq!(slug.process_types["web"], start);
        // As a Procfile may have it.
        for command in [start, "node packages/api/server.js"] {
            slug.process_types.insert("web".into(), command.into());
            let answer = host.visit(&slug).await;
            assert!(answer.ends_with("7 is odd, true, tools false"), "{command}: {answer}");
        }
    }
}

#[tokio::test]
async fn node_modules_are_reused_until_something_changes() {
    let mut host = monorepo("pnpm@10.12.1", "", "workspace:*");
    let source = host.request.source.clone();
    write_files(&source, &[("pnpm-workspace.yaml", "packages:\n  - packages/*\n"), ("pnpm-lock.yaml", PNPM_LOCK)]);
    let (installs, restores) = ("Installing node modules (pnpm-lock.yaml)", "Restored node_modules from the cache");
    host.build().await.says(installs).slug_made();
    write_files(&source, &[("packages/api/more.js", "1")]);
    let built = host.build().await;
    built.says(restores);
    let slug = built.slug();
    let answer = host.visit(&slug).await;
    assert!(answer.ends_with("7 is odd, true, tools false"), "{answer}");

    let manifest = WORDS.replace("1.0.0", "1.0.1");
    for files in [[(".npmrc", "fund=false\n")], [("packages/words/package.json", manifest.as_str())]] {
        write_files(&source, &files);
        host.build().await.says(installs).slug_made();
    }
    host.build().await.says(restores).slug_made();
    for (name, value) in [("SOMETHING", "else"), ("NODE_MODULES_CACHE", "false"), ("NODE_MODULES_CACHE", "false")] {
        host.request.env.insert(name.into(), value.into());
        host.build().await.says(installs).slug_made();
    }
}

/// npm makes the commands of workspaces executable, which are not in `node_modules`.
#[tokio::test]
async fn commands_of_workspaces_can_be_run_again() {
    let root = r#"{"name": "crates", "version": "1.0.0", "private": true, "engines": {"node": "22.x"},
        "workspaces": ["packages/*"], "scripts": {"build": "stamp", "start": "node -e 1"}}"#;
    let mut host = Host::new(&[
        ("package.json", root),
        ("packages/stamp/package.json", r#"{"name": "stamp", "version": "1.0.0", "bin": {"stamp": "cli.js"}}"#),
        ("packages/stamp/cli.js", "#!/usr/bin/env node\nrequire('fs').writeFileSync('stamped', '1');\n"),
    ]);
    for _ in 0..2 {
        let slug = host.build().await.slug();
        assert!(host.unpack(&slug).await.join("stamped").is_file());
    }
}

#[tokio::test]
async fn config_vars_and_scripts_of_heroku() {
    let manifest = r#"{
        "name": "shop", "version": "1.0.0", "engines": {"node": "22.x"}, "cacheDirectories": ["made"],
        "scripts": {"heroku-prebuild": "echo first", "build": "echo never", "start": "node -v",
                    "heroku-postbuild": "ls made 2>/dev/null; mkdir -p made && echo x >made/kept.txt", "heroku-cleanup": "echo last"},
        "devDependencies": {"ms": "2.1.3"}
    }"#;
    let mut host = Host::new(&[("package.json", manifest), ("Procfile", "web: node -v\n")]);
    let built = host.build().await;
    built.says("       first\n").says("Keeping made for the next build").says("       last\n");
    assert!(!built.output.contains("never\n"), "{}", built.output);
    let files = host.unpack(&built.slug()).await;
    assert!(!files.join("node_modules/ms").exists() && files.join("made/kept.txt").exists());
    host.request.env.insert("NPM_CONFIG_PRODUCTION".into(), "false".into());
    let built = host.build().await;
    built.says("Skipping because NPM_CONFIG_PRODUCTION is 'false'").says("       kept.txt\n");
    assert!(host.unpack(&built.slug()).await.join("node_modules/ms").exists());
    host.request.env.insert("NPM_CONFIG_PRODUCTION".into(), "true".into());
    let files = host.build().await.slug();
    assert!(!host.unpack(&files).await.join("node_modules/ms").exists());
}

#[tokio::test]
async fn a_manifest_in_utf_16_is_converted() {
    let mut host = Host::new(&[("index.html", "x")]);
    let units = "\u{feff}{\"scripts\": {\"start\": \"node -v\"}}".encode_utf16();
    let bytes: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
    std::fs::write(host.request.source.join("package.json"), bytes).unwrap();
    // Half a character, for a test of the app.
    let (fixture, broken) = ("test/requirements.txt", b"\xff\xfei\0d\0\0\xd8");
    std::fs::create_dir(host.request.source.join("test")).unwrap();
    std::fs::write(host.request.source.join(fixture), broken).unwrap();
    let built = host.build().await;
    built.says("package.json is encoded as UTF-16").says("Node.js app detected");
    let slug = built.slug();
    assert_eq!(std::fs::read(host.unpack(&slug).await.join(fixture)).unwrap(), broken);
}

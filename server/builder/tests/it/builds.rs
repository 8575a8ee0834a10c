//! Apps that are built and run.

use std::fs;
use std::process::Command;

use crate::support::{Host, write_files};

#[tokio::test]
async fn a_static_site() {
    let style = "body { color: red }\n".repeat(100);
    let mut host = Host::new(&[
        ("index.html", "<h1>hello</h1>"),
        ("style.css", &style),
        (".git/config", "secret"),
        (".slugignore", "*.psd\n!x\n"),
        ("big.psd", "x"),
    ]);
    let built = host.build().await;
    built
        .says("-----> Building on the heroku-24 stack\n")
        .says("-----> Using buildpack: heroku-community/static\n-----> Static HTML app detected\n")
        .says("-----> Discovering process types\n")
        .says("Default types for buildpack -> web\n")
        .says("unsupported pattern `!x`")
        .says("-----> Compressing...\n       Done: ");
    let slug = built.slug();
    assert_eq!(slug.buildpack_description.as_deref(), Some("Static HTML"));
    let answer = host.visit(&slug).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("<h1>hello</h1>"), "{answer}");
    let files = host.unpack(&slug).await;
    assert!(!files.join(".git").exists() && !files.join("big.psd").exists());
    assert!(files.join(".heroku/static/gz/style.css.gz").exists());
}

#[tokio::test]
async fn a_node_app_with_a_build_step() {
    let manifest = r#"{
        "name": "shop", "version": "1.0.0", "engines": {"node": "22.x"},
        "scripts": {"build": "node -e \"require('mkdirp'); require('fs').writeFileSync('built.txt', process.env.COLOUR)\"",
                    "start": "node server.js"},
        "dependencies": {"ms": "2.1.3"}, "devDependencies": {"mkdirp": "1.0.4"}
    }"#;
    let server = "const built = require('fs').readFileSync('built.txt', 'utf8');
        require('http').createServer((_, r) => r.end([built, require('ms')('2 days'), process.version, process.env.NODE_ENV].join(' ')))
            .listen(process.env.PORT);";
    let mut host = Host::new(&[("package.json", manifest), ("server.js", server)]);
    host.request.env.insert("COLOUR".into(), "it's \"green\"".into());
    let built = host.build().await;
    built
        .says("-----> Node.js app detected")
        .says("Downloading and installing node 22.")
        .says("-----> Build succeeded!");
    let slug = built.slug();
    assert_eq!(slug.process_types["web"], "npm start");
    let answer = host.visit(&slug).await;
    assert!(answer.contains("it's \"green\" 172800000 v22.") && answer.ends_with(" production"), "{answer}");
    let of_built = host.visit_built(&slug).await;
    assert_eq!(of_built.split("\r\n\r\n").nth(1), answer.split("\r\n\r\n").nth(1));
    let files = host.unpack(&slug).await;
    assert!(!files.join("node_modules/mkdirp").exists(), "development dependencies are pruned");
    for program in [".heroku/node/bin/node", ".heroku/node/lib/node_modules/npm/bin/npm-cli.js"] {
        for folder in [&files, &host.request.unpacked] {
            assert!(folder.join(program).symlink_metadata().unwrap().is_file(), "{program} in {}", folder.display());
        }
    }

    let again = host.build().await;
    again.says("from the cache").slug_made();
}

#[tokio::test]
async fn apps_share_runtimes() {
    let server = "require('http').createServer((_, r) => r.end(process.version)).listen(process.env.PORT);";
    let manifest = r#"{"engines": {"node": "22.x"}, "scripts": {"start": "node server.js"}}"#;
    let mut host = Host::new(&[("package.json", manifest), ("server.js", server)]);
    let first = host.build().await;
    first.says("Downloading and installing node 22.").says("package.json names no packages").slug_made();
    // Another app of another user.
    host.request.uid += 1;
    host.request.cache = host.path().join("cache/other");
    let second = host.build().await;
    second.says("from the cache");
    let slug = second.slug();
    let answer = host.visit_built(&slug).await;
    assert!(answer.contains("\r\n\r\nv22."), "{answer}");
}

#[tokio::test]
async fn a_build_cannot_change_runtimes() {
    let compile = r#"
        for place in /tmp/runtimes /tmp/runtimes/files /tmp/runtimes/parts /tmp/runtimes/versions; do
            [ -d "$place" ] && ! touch "$place/x" 2>/dev/null || echo "can write to $place"
        done
        ask() { echo "$*" >/tmp/builder/ask; read -r response </tmp/builder/answer; echo "response: $response"; }
        ask provide npm 10.9.0
        npm=/tmp/runtimes/files/npm-10.9.0
        chmod 777 $npm $npm/package.json 2>/dev/null && echo "can change modes"
        echo x 2>/dev/null >>$npm/package.json && echo "can write to files"
        rm -f $npm/package.json 2>/dev/null && echo "can remove files"
        ask provide npm ../../x
        ln -s $npm/package.json linked.json"#;
    let (_dir, mut host) = crate::support::host_with(compile);
    let built = host.build().await;
    built.says("response: ok\n").says("response: error there is no such runtime\n");
    assert!(!built.output.contains("can "), "{}", built.output);
    let files = host.unpack(&built.slug()).await;
    assert!(fs::read_to_string(files.join("linked.json")).unwrap().contains("\"name\": \"npm\""));
}

#[tokio::test]
async fn a_flask_app() {
    let app = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef home(): return 'flask says hi'\n";
    let mut host = Host::new(&[
        ("requirements.txt", "flask==3.0.3\ngunicorn==22.0.0\n"),
        ("Procfile", "web: gunicorn app:app\nworker python a.py\nrelease: flask --version\n"),
        ("app.py", app),
        (".python-version", "3\n"),
    ]);
    let built = host.build().await;
    built
        .says("-----> Python app detected")
        .says("specified in .python-version")
        .says(" !     Ignoring line 2 of the Procfile, which is not a process: worker python a.py")
        .says("Procfile declares types -> release, web");
    let slug = built.slug();
    let answer = host.visit(&slug).await;
    assert!(answer.ends_with("flask says hi"), "{answer}");
    let again = host.build().await;
    again.says("Restoring the environment from the cache");
    let answer = host.visit(&again.slug()).await;
    assert!(answer.ends_with("flask says hi"), "{answer}");
}

#[tokio::test]
async fn a_rust_server() {
    let main = r#"use std::io::Write;
        fn main() {
            let port = std::env::var("PORT").unwrap();
            let listener = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).unwrap();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::io::Read::read(&mut stream, &mut [0; 1000]).unwrap();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nWORD").unwrap();
            }
        }"#;
    let manifest = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let mut host = Host::new(&[
        ("Cargo.toml", manifest),
        ("src/main.rs", &main.replace("WORD", "one!")),
        ("rust-toolchain", "stable\n"),
    ]);
    let first = host.build().await;
    first.says("-----> Rust app detected").says("Programs in target/release: hello").says("Compiling hello");
    let first = first.slug();
    assert_eq!(first.process_types["web"], "./target/release/hello");
    assert!(host.visit(&first).await.ends_with("one!"));

    write_files(&host.request.source, &[("src/main.rs", &main.replace("WORD", "two!"))]);
    let second = host.build().await.slug();
    assert!(host.visit(&second).await.ends_with("two!"));

    let unchanged = host.build().await;
    assert!(!unchanged.output.contains("Compiling"), "{}", unchanged.output);

    // The first version again, with an old time, as when an older commit is pushed.
    let path = host.request.source.join("src/main.rs");
    fs::write(&path, main.replace("WORD", "one!")).unwrap();
    let status = Command::new("touch").args(["-d", "2001-01-01"]).arg(&path).status().unwrap();
    assert!(status.success());
    let third = host.build().await.slug();
    assert!(host.visit(&third).await.ends_with("one!"));
}

const COMPILE: &str = r#"#!/bin/sh
echo "-----> Compiling $(basename "$1" | cut -c1-6) on $STACK"
echo "       version $SOURCE_VERSION, secret $(cat "$3/SECRET"), not in the environment: ${SECRET:-none}"
echo "       id $(id -u), home $HOME, cached: $(cat "$2/seen" 2>/dev/null || echo never)"
echo once > "$2/seen"
mkdir -p "$1/.profile.d" && echo 'export FROM_PROFILE=yes' > "$1/.profile.d/a.sh"
echo 'export HANDED=on' > "$(dirname "$0")/../export"
"#;

fn buildpack(root: &std::path::Path, compile: &str) {
    write_files(
        root,
        &[
            ("bin/detect", "#!/bin/sh\n[ -f $1/custom.txt ] && echo 'Custom thing'\n"),
            ("bin/compile", compile),
            (
                "bin/release",
                "#!/bin/sh\nprintf -- '---\\ndefault_process_types:\\n  web: python3 -m http.server $PORT\\n'\n",
            ),
        ],
    );
}

fn commit(root: &std::path::Path) {
    let script = "git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@example.com commit -qm one && git branch -q topic";
    let status = Command::new("sh").args(["-c", script]).current_dir(root).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn buildpacks_of_ones_own() {
    let packs = tempfile::tempdir_in("/var/tmp").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(packs.path(), mode).unwrap();
    let (one, two) = (packs.path().join("one"), packs.path().join("two"));
    buildpack(&one, COMPILE);
    buildpack(&two, "#!/bin/sh\necho \"       handed: $HANDED\"\n");
    commit(&one);
    commit(&two);

    let mut host = Host::new(&[("custom.txt", "x"), ("index.html", "custom site")]);
    host.request.env.insert("SECRET".into(), "s3cret\nlines".into());
    host.request.buildpacks = vec![format!("file://{}#topic", one.display()), format!("file://{}", two.display())];
    let built = host.build().await;
    built
        .says("-----> Using buildpacks:\n       1. file://")
        .says("-----> Custom thing app detected\n-----> Compiling app on heroku-24\n")
        .says("version abc123, secret s3cret\nlines, not in the environment: none\n")
        .says("       id 2013331747, home /app, cached: never\n")
        .says("       handed: on\n");
    let slug = built.slug();
    assert_eq!(slug.buildpack_description.as_deref(), Some("Custom thing"));
    assert!(host.visit(&slug).await.ends_with("custom site"));
    host.build().await.says("cached: once");

    host.request.buildpacks = vec![format!("file://{}#nowhere", one.display())];
    let built = host.build().await;
    assert!(built.says("has no branch, tag or commit nowhere").why().starts_with("failed to fetch buildpack file://"));
}

#[test]
fn ranges_of_node_versions() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/buildpacks/nodejs/lib/semver.test.js");
    let output = Command::new("node").arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn versions_of_python_and_what_pip_reads() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/buildpacks/python/lib/python.test.py");
    let output = Command::new("python3").arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

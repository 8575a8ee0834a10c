//! Python apps: what is installed, and when it is installed anew.

use std::fs;

use builder::Slug;

use crate::support::{Host, write_files};

const SERVER: &str = r#"
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
import about

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = about.text().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Names two packages and their versions, if they are installed.
const PACKAGES: &str = r#"
from importlib.metadata import PackageNotFoundError, version

def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"

def text():
    return f"idna {of('idna')}, six {of('six')}"
"#;

const LIBRARY: &str = r#"
[project]
name = "knots"
version = "0.1.0"
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"
[tool.setuptools.packages.find]
where = ["src"]
"#;

async fn body(host: &Host, slug: &Slug) -> String {
    let answer = host.visit(slug).await;
    answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_editable_package_is_found_where_the_app_runs() {
    let tie = |word: &str| format!("def tie(): return '{word}'\n");
    let mut host = Host::new(&[
        ("requirements.txt", "-e ./libs/knots\n"),
        ("libs/knots/pyproject.toml", LIBRARY),
        ("libs/knots/src/knots/__init__.py", &tie("tied")),
        ("about.py", "from knots import tie as text\n"),
        ("server.py", SERVER),
        ("Procfile", "web: python server.py\n"),
    ]);
    let slug = host.build().await.slug();
    assert_eq!(body(&host, &slug).await, "tied");
    // A new module of the package counts as well.
    write_files(
        &host.request.source,
        &[
            ("libs/knots/src/knots/__init__.py", "from knots_again import tie\n"),
            ("libs/knots/src/knots_again/__init__.py", &tie("tied twice")),
        ],
    );
    let slug = host.build().await.slug();
    assert_eq!(body(&host, &slug).await, "tied twice");
    assert!(host.build().await.output.contains("Restoring the environment from the cache"));
}

/// What pip writes into the folder of an editable package is not in the environment.
#[tokio::test]
async fn an_editable_package_has_its_metadata_again() {
    let mut host = Host::new(&[
        ("requirements.txt", "-e ./libs/knots\n"),
        (
            "libs/knots/setup.py",
            "import setuptools\nsetuptools.setup(name='knots', version='2.5', py_modules=['knots'])\n",
        ),
        ("libs/knots/knots.py", "name = 'bowline'\n"),
        ("about.py", "from importlib.metadata import version\n\n\ndef text():\n    return version('knots')\n"),
        ("server.py", SERVER),
        ("Procfile", "web: python server.py\n"),
    ]);
    for _ in 0..2 {
        let slug = host.build().await.slug();
        assert_eq!(body(&host, &slug).await, "2.5");
    }
}

#[tokio::test]
async fn an_included_file_decides_what_is_installed() {
    let mut host = Host::new(&[
        ("requirements.txt", "-r requirements/site.txt\n"),
        ("requirements/site.txt", "-c limits.txt\nidna\nsix==1.16.0\n"),
        ("requirements/limits.txt", "idna==3.6\n"),
        ("about.py", PACKAGES),
        ("server.py", SERVER),
        ("Procfile", "web: python server.py\n"),
    ]);
    let slug = host.build().await.slug();
    assert_eq!(body(&host, &slug).await, "idna 3.6, six 1.16.0");
    write_files(&host.request.source, &[("requirements/limits.txt", "idna==3.7\n")]);
    let slug = host.build().await.slug();
    assert_eq!(body(&host, &slug).await, "idna 3.7, six 1.16.0");
    write_files(&host.request.source, &[("requirements/site.txt", "-c limits.txt\nidna\n")]);
    let slug = host.build().await.slug();
    assert_eq!(body(&host, &slug).await, "idna 3.7, six none");
    host.build().await.says("Restoring the environment from the cache").slug_made();
    host.request.env.insert("CFLAGS".into(), "-O1".into());
    host.build().await.says("Installing requirements with pip").slug_made();
}

#[tokio::test]
async fn files_of_windows_editors_are_read() {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let mut host = Host::new(&[("about.py", PACKAGES), ("server.py", SERVER)]);
    let source = host.request.source.clone();
    fs::write(source.join("requirements.txt"), utf16("idna==3.6\r\n")).unwrap();
    fs::write(source.join("Procfile"), utf16("web: python server.py")).unwrap();
    fs::write(source.join(".python-version"), "\u{feff}3\r\n").unwrap();
    let built = host.build().await;
    built
        .says(" !     requirements.txt is encoded as UTF-16 and was converted for this build. Save it as UTF-8.\n")
        .says(" !     Procfile is encoded as UTF-16")
        .says(" !     .python-version begins with a byte order mark, which was removed for this build.\n")
        .says("specified in .python-version\n");
    let slug = built.slug();
    assert_eq!(body(&host, &slug).await, "idna 3.6, six none");
    // Half a character.
    fs::write(source.join("requirements.txt"), b"\xff\xfei\0d\0n\0a\0\0\xd8").unwrap();
    let built = host.build().await;
    assert_eq!(built.says("requirements.txt looks like UTF-16").why(), "failed to read requirements.txt");
}

#[tokio::test]
async fn package_managers_and_versions_are_named() {
    let project = |python: &str| format!("[project]\nname = \"x\"\nversion = \"1\"\nrequires-python = \"{python}\"\n");
    let lock =
        |python: &str| format!(r#"{{"_meta": {{"requires": {{"python_version": "{python}"}}}}, "default": {{}}}}"#);
    for (files, sentences) in [
        (
            vec![("requirements.txt", String::new()), ("uv.lock", "version = 1\n".into())],
            vec!["more than one package manager", "requirements.txt (pip)\n", "uv.lock (uv)\n"],
        ),
        (vec![("Pipfile", String::new())], vec!["There is a Pipfile but no Pipfile.lock."]),
        (
            vec![("pyproject.toml", project(">=3.90"))],
            vec!["Python >=3.90, which requires-python of pyproject.toml asks for, cannot be had: this stack has"],
        ),
        (
            vec![("Pipfile.lock", lock("3.7"))],
            vec!["Python 3.7, which Pipfile.lock asks for, cannot be had", "run pipenv lock"],
        ),
        (
            vec![("requirements.txt", String::new()), (".python-version", "3.11\n3.12\n".into())],
            vec![".python-version asks for more than one version of Python: 3.11 3.12"],
        ),
        (
            vec![("pyproject.toml", project("<3")), (".python-version", "3\n".into())],
            vec!["which .python-version asks for, does not meet <3, which pyproject.toml requires"],
        ),
        (vec![("pyproject.toml", "[project]\nname = x".into())], vec!["pyproject.toml is not valid TOML"]),
    ] {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let built = Host::new(&files).build().await;
        for sentence in sentences {
            built.says(sentence);
        }
        assert_eq!(built.why(), "failed to compile Python app");
    }
}

#[tokio::test]
async fn hooks_run_as_the_programs_that_they_are() {
    let pre = "#!/usr/bin/env python3\nimport os\nopen('requirements.txt', 'w').write('idna==3.6\\n')\nprint('in', os.environ['BUILD_DIR'])\n";
    let mut host = Host::new(&[
        ("requirements.txt", ""),
        ("Procfile", "web: python server.py\n"),
        ("about.py", PACKAGES),
        ("server.py", SERVER),
        ("bin/pre_compile", pre),
        ("bin/post_compile", "python -c 'import idna; print(idna.__file__)'\n"),
    ]);
    let built = host.build().await;
    built
        .says("-----> Running bin/pre_compile hook\n       in /app\n")
        .says("-----> Running bin/post_compile hook\n       /app/.heroku/python/");
    let slug = built.slug();
    assert_eq!(body(&host, &slug).await, "idna 3.6, six none");
}

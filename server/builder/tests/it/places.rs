//! Where an app is built: in the folder where it will run.

use crate::support::{host_with, write_files};

#[tokio::test]
async fn a_buildpack_that_copies_to_app_finds_it_done() {
    let compile = r#"
        set -e
        mkdir -p $1/.tool/bin
        printf '#!/bin/sh\necho tool in %s\n' $1/.tool >$1/.tool/bin/tool
        chmod +x $1/.tool/bin/tool
        mkdir -p /app/.tool
        cp -R $1/.tool/. /app/.tool/
        cp -a $1/.tool /app/
        ln -sfn $1/.tool /app/.tool
        mv $1/index.html /app/index.html
        /app/.tool/bin/tool
        ! cp /nowhere /app/ || exit 9
        # One folder of a repository becomes the app.
        part=$(mktemp -d)
        cp -R $1/part/. $1/.tool $part
        rm -rf $1
        mkdir -p $1
        cp -R $part/. $1/"#;
    let (_dir, mut host) = host_with(compile);
    write_files(&host.request.source, &[("part/Procfile", "web: .tool/bin/tool\n")]);
    let built = host.build().await;
    built.says("tool in /app/.tool\n").says("cp: cannot stat '/nowhere'").says("Procfile declares types -> web");
    let files = host.unpack(&built.slug()).await;
    assert!(files.join(".tool/bin/tool").is_file() && files.join("Procfile").is_file());
    assert!(!files.join("part").exists() && !files.join("index.html").exists());
}

#[tokio::test]
async fn caches_in_the_home_directory_are_not_part_of_the_slug() {
    let (_dir, mut host) = host_with(
        "mkdir -p ~/.cache/pip ~/.cache/chrome ~/.npm/_logs; touch ~/.cache/pip/x ~/.cache/chrome/x ~/.npm/_logs/x",
    );
    write_files(&host.request.source, &[(".cache/yarn/x", "part of the app")]);
    let slug = host.build().await.slug();
    let files = host.unpack(&slug).await;
    assert!(files.join(".cache/chrome/x").exists() && files.join(".cache/yarn/x").exists());
    assert!(!files.join(".cache/pip").exists() && !files.join(".npm").exists());
}

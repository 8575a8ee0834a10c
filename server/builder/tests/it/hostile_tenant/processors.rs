//! Attempts to use up the machine's CPUs outside the build's dyno.

use crate::support::{host_with, write_files};

#[tokio::test]
async fn no_pattern_of_an_ignore_file_is_tried_in_combinations() {
    let (_dir, mut host) = host_with("true");
    // Read as alternatives, the ten groups have more combinations than can be tried.
    let (groups, name) = (format!(r"\{{{}\}}", ",".repeat(20)).repeat(10), "[]".repeat(10) + "y");
    let ignore = format!("{groups}y\n\\{{*\\}}\n");
    write_files(&host.request.source, &[(".slugignore", &ignore), (&name, ""), ("{left,out}", "")]);
    let built = host.build().await;
    built.says("       1 files and directories excluded").slug_made();
}

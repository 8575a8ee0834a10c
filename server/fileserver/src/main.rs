//! `fileserver`: serves the files of a static app, inside its dyno.
//!
//!   fileserver DIRECTORY            serves the app in DIRECTORY on $PORT
//!   fileserver --check DIRECTORY    reads static.json and prints the directory that would be served
//!
//! A separate program, since slugs have to run without the platform: `builder` embeds it, and the static buildpack
//! copies it into the slug. It uses hyper for HTTP; this crate determines the file of a request (`files.rs`), reads
//! `static.json` (`config.rs`), and creates the response (`respond.rs`).

mod config;
mod files;
mod mime;
mod paths;
mod respond;
mod server;

use std::path::Path;
use std::process::exit;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (check, directory) = match arguments.as_slice() {
        [flag, directory] if flag == "--check" => (true, directory),
        [directory] => (false, directory),
        _ => fail("usage: fileserver [--check] DIRECTORY"),
    };
    let config = config::Config::read(Path::new(directory)).unwrap_or_else(|e| fail(&e));
    if check {
        for key in &config.ignored {
            eprintln!("static.json: \"{key}\" is not supported and is ignored");
        }
        println!("{}", config.root.display());
        return;
    }
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    let Ok(port) = port.parse::<u16>() else {
        fail(&format!("PORT={port} is not a port"));
    };
    if let Err(e) = server::run(config, port) {
        fail(&format!("cannot serve on port {port}: {e}"));
    }
}

fn fail(sentence: &str) -> ! {
    eprintln!("{sentence}");
    exit(1);
}

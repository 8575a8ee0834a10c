//! `serve`: the file server that the static buildpack puts into slugs.
//!
//!   serve DIRECTORY            serves the app in DIRECTORY on $PORT
//!   serve --check DIRECTORY    reads static.json and prints the directory that would be served
//!
//! It needs the standard library and Linux, nothing else, so that it runs in every dyno and takes a
//! few megabytes. Idle connections wait in one epoll; each busy one has a thread.

mod config;
mod files;
mod http;
mod json;
mod mime;
mod poll;
mod respond;
mod server;

use std::path::Path;
use std::process::exit;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (check, directory) = match arguments.as_slice() {
        [flag, directory] if flag == "--check" => (true, directory),
        [directory] => (false, directory),
        _ => fail("usage: serve [--check] DIRECTORY"),
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

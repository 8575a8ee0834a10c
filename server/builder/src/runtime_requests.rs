//! Requests of a running build for runtimes, through two named pipes.
//!
//! A build writes one line (`versions NAME` or `provide NAME VERSION`) to the first pipe, and reads one line from the
//! second: `ok`, `outdated`, or `error` and a sentence. The server holds both ends of both pipes, so that neither side
//! waits for the other to open them. A build is untrusted: it can only name a runtime and a version, and how often it
//! can ask is limited; what is provided is the same for every build.

use std::any::Any;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use nix::sys::stat::Mode;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use crate::error::Error;
use crate::files;
use crate::runtimes::{Installed, Runtime, is_version};

/// The names of the pipes.
const PIPES: [&str; 2] = ["ask", "answer"];
/// Bytes of a request, and of a response, which a pipe takes at once.
const LINE: usize = 1000;
/// Requests of one build.
const MOST: usize = 50;

/// Keeps a runtime installed until it is dropped.
pub type Hold = Box<dyn Any + Send>;

/// Provides runtimes.
#[async_trait]
pub trait Supply: Debug + Send + Sync {
    /// Those of this machine.
    fn installed(&self) -> &Installed;

    /// Brings the list of versions up to date. Returns false if that is impossible and there is an older list.
    ///
    /// # Errors
    /// [`Error::Failed`] with the reason, a clause, if there is no list.
    async fn versions(&self, runtime: Runtime) -> Result<bool, Error>;

    /// Installs this version, unless it is installed.
    ///
    /// # Errors
    /// [`Error::Failed`] with the reason, a clause, if there is no such version, or it cannot be downloaded.
    async fn provide(&self, runtime: Runtime, version: &str) -> Result<Hold, Error>;
}

/// The pipes of a build.
pub(crate) struct Requests {
    paths: [PathBuf; 2],
    ask: Receiver,
    answer: Sender,
    buffer: Vec<u8>,
}

impl Requests {
    /// Creates the pipes in `folder`, which the build sees, for this user.
    pub(crate) fn open(folder: &Path, uid: u32) -> io::Result<Requests> {
        let paths = PIPES.map(|name| folder.join(name));
        for path in &paths {
            nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
            files::own(path, uid)?;
        }
        let mut options = OpenOptions::new();
        options.read_write(true);
        let (ask, answer) = (options.open_receiver(&paths[0])?, options.open_sender(&paths[1])?);
        Ok(Requests { paths, ask, answer, buffer: Vec::new() })
    }

    /// Responds to requests, and adds a hold for each runtime that was provided. Never ends by itself.
    pub(crate) async fn serve(&mut self, supply: Option<&dyn Supply>, holds: &mut Vec<Hold>) -> Infallible {
        for _ in 0..MOST {
            let line = match self.line().await {
                Ok(line) => line,
                Err(e) => {
                    tracing::warn!(path = %self.paths[0].display(), "could not read a request for a runtime: {e}");
                    break;
                }
            };
            let mut response = respond(supply, &line, holds).await.replace(['\n', '\r'], " ");
            response.truncate(response.floor_char_boundary(LINE));
            response.push('\n');
            // If it is full, the build does not read the responses, which only it needs.
            let _ = self.answer.try_write(response.as_bytes());
        }
        pending().await
    }

    /// The next line. One that is too long is empty.
    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.buffer.len() > LINE {
                self.buffer.clear();
            }
            let mut chunk = [0; LINE];
            let n = self.ask.read(&mut chunk).await?;
            self.buffer.extend_from_slice(&chunk[..n]);
        }
    }
}

async fn respond(supply: Option<&dyn Supply>, line: &str, holds: &mut Vec<Hold>) -> String {
    let Some(supply) = supply else { return "error this platform has no runtimes".to_owned() };
    let words: Vec<&str> = line.split(' ').collect();
    let done = match words.as_slice() {
        ["versions", name] => match Runtime::find(name) {
            Some(runtime) => {
                supply.versions(runtime).await.map(|is_current| if is_current { "ok" } else { "outdated" })
            }
            None => Err(Error::failed("there is no such runtime")),
        },
        ["provide", name, version] => match Runtime::find(name).filter(|_| is_version(version)) {
            Some(runtime) => supply.provide(runtime, version).await.map(|hold| {
                holds.push(hold);
                "ok"
            }),
            None => Err(Error::failed("there is no such runtime")),
        },
        _ => Err(Error::failed("the request is invalid")),
    };
    match done {
        Ok(word) => word.to_owned(),
        Err(Error::Failed { why }) => format!("error {why}"),
        Err(Error::Cancelled) => "error the build was cancelled".to_owned(),
        Err(Error::Other(err)) => {
            tracing::error!("could not provide a runtime ({line}): {err:#}");
            "error the platform had an error".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug)]
    struct Shelf {
        installed: Installed,
        provided: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Supply for Shelf {
        fn installed(&self) -> &Installed {
            &self.installed
        }

        async fn versions(&self, runtime: Runtime) -> Result<bool, Error> {
            Ok(runtime == Runtime::Node)
        }

        async fn provide(&self, runtime: Runtime, version: &str) -> Result<Hold, Error> {
            if version == "99.0.0" {
                return Err(Error::failed("there is no\nsuch version"));
            }
            self.provided.lock().unwrap().push(format!("{} {version}", runtime.name()));
            Ok(Box::new(()))
        }
    }

    /// The responses to these requests.
    async fn ask(lines: &[&str]) -> (Vec<String>, Vec<String>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let installed = Installed::open(&dir.path().join("runtimes")).unwrap();
        let shelf = Shelf { installed, provided: Mutex::default() };
        let uid = nix::unistd::geteuid().as_raw();
        let mut requests = Requests::open(dir.path(), uid).unwrap();
        let [to, from] = PIPES.map(|name| dir.path().join(name));
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let build = tokio::task::spawn_blocking(move || {
            let mut responses = Vec::new();
            for line in lines {
                // As a shell would: both are opened for each request.
                let mut to = fs::File::options().write(true).create(true).truncate(true).open(&to).unwrap();
                to.write_all(format!("{line}\n").as_bytes()).unwrap();
                let mut response = String::new();
                BufReader::new(fs::File::open(&from).unwrap()).read_line(&mut response).unwrap();
                responses.push(response.trim_end().to_owned());
            }
            responses
        });
        let mut holds = Vec::new();
        let responses = tokio::select! {
            responses = build => responses.unwrap(),
            never = requests.serve(Some(&shelf), &mut holds) => match never {},
        };
        (responses, shelf.provided.into_inner().unwrap(), holds.len())
    }

    #[tokio::test]
    async fn a_build_gets_what_it_asks_for() {
        let lines =
            ["versions node", "versions npm", "provide node 22.11.0", "provide npm 10.9.0", "provide node 99.0.0"];
        let (responses, provided, holds) = ask(&lines).await;
        assert_eq!(responses, ["ok", "outdated", "ok", "ok", "error there is no such version"]);
        assert_eq!((provided, holds), (vec!["node 22.11.0".to_owned(), "npm 10.9.0".to_owned()], 2));
    }

    #[tokio::test]
    async fn a_build_can_ask_for_nothing_else() {
        let long = "x".repeat(5 * LINE);
        let lines =
            ["provide bash 5.0.0", "provide node ../../etc", "versions", "", "provide node 1 2", &long, "x\0\u{1b}[0m"];
        let (responses, provided, holds) = ask(&lines).await;
        assert!(responses.iter().all(|response| response.starts_with("error ")), "{responses:?}");
        assert_eq!((provided.len(), holds), (0, 0));
    }
}

//! Serving: runs git for a client of its smart protocol. See git's `http-protocol` document.

use std::{fs::File, os::unix::net::UnixStream, time::Duration};

use anyhow::Context as _;
use api::ids::AppId;
use tokio::{net::unix::pipe::Sender, sync::oneshot};
use worker::{Limits, Lines, Order, Program, Work};

use crate::{
    answer::{BodyResult, ClientSlot, Cut, GitProcess, Search, SharedBodyResult},
    body::{Incoming, Refusal},
    handle::{Repositories, Writing},
    hook, limits, plumbing,
};

impl Repositories {
    /// Lists the refs of a repository, before a clone (`upload-pack`) or a push (`receive-pack`). `protocol` is the
    /// header `Git-Protocol`.
    pub async fn advertise(
        &self,
        app: AppId,
        command: &str,
        protocol: Option<&str>,
        slot: ClientSlot,
    ) -> anyhow::Result<GitProcess> {
        let program = plumbing::git(&[command, "--stateless-rpc", "--advertise-refs", plumbing::REPOSITORY]);
        let order = self.order_of_client(app, with_protocol(program, protocol)).await?;
        self.serve(&order, Lines::default(), None, slot)
    }

    /// Serves a clone or a fetch.
    pub async fn upload_pack(
        &self,
        app: AppId,
        incoming: Incoming,
        protocol: Option<&str>,
        slot: ClientSlot,
    ) -> anyhow::Result<GitProcess> {
        let program = plumbing::git(&["upload-pack", "--stateless-rpc", plumbing::REPOSITORY]);
        let order = self.order_of_client(app, with_protocol(program, protocol)).await?;
        let (stdin, input) = worker::to_worker()?;
        let lines = Lines { stdin: Some(stdin), ..Lines::default() };
        let mut process = self.serve(&order, lines, None, slot)?;
        process.rejected = Some(feed(incoming, input, process.body_result.clone()));
        Ok(process)
    }

    /// Receives a push of at most `most` bytes. The caller accepts or rejects it by responding to its hook at the other
    /// end of the socket; without a response, the hook rejects the push.
    pub async fn receive_pack(
        &self,
        app: AppId,
        (incoming, most): (Incoming, u64),
        protocol: Option<&str>,
        slot: ClientSlot,
    ) -> anyhow::Result<(GitProcess, tokio::net::UnixStream)> {
        let most = format!("receive.maxInputSize={most}");
        let program = plumbing::git(&["-c", &most, "receive-pack", "--stateless-rpc", plumbing::REPOSITORY]);
        let exe = format!("/proc/self/fd/{}", hook::EXECUTABLE);
        let program = with_protocol(program, protocol).env("WHARF_EXE", exe);
        let mut order = self.order_of_client(app, program).await?;
        order.limits.time = limits::PUSH;
        let (line, lines, input) = push_lines()?;
        let writing = self.write(app).await?;
        let mut process = self.serve(&order, lines, Some(writing), slot)?;
        process.rejected = Some(feed(incoming, input, process.body_result.clone()));
        Ok((process, line))
    }

    async fn order_of_client(&self, app: AppId, program: Program) -> anyhow::Result<Order> {
        let repository = self.ensure(app).await?;
        let order = self.order(&repository, Work::Program(program));
        let cpu = Duration::from_secs(900);
        let limits = Limits { time: self.limits().time, cpu, ..order.limits };
        Ok(Order { limits, ..order })
    }

    /// Starts git, whose output goes to the client. If the client disconnects, the response is dropped, which kills
    /// git.
    fn serve(
        &self,
        order: &Order,
        lines: Lines,
        writing: Option<Writing>,
        slot: ClientSlot,
    ) -> anyhow::Result<GitProcess> {
        let (output, stdout) = worker::from_worker()?;
        let worker = self.workers().start(order, Lines { stdout: Some(stdout), ..lines })?;
        Ok(GitProcess {
            worker,
            output,
            body_result: SharedBodyResult::default(),
            rejected: None,
            writing,
            slot,
            is_over: false,
            cut: Cut::default(),
            shallow: Search::default(),
        })
    }
}

fn with_protocol(program: Program, value: Option<&str>) -> Program {
    // The value goes into an environment variable of git, which parses it.
    match value.filter(|v| v.len() < 100 && v.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:.-".contains(&b))) {
        Some(value) => program.env("GIT_PROTOCOL", value),
        None => program,
    }
}

/// Our end of the socket to the hook, what the worker gets, and the writing end of git's input.
fn push_lines() -> anyhow::Result<(tokio::net::UnixStream, Lines, Sender)> {
    let (ours, theirs) = UnixStream::pair().context("create a socket for the hook")?;
    ours.set_nonblocking(true).context("create a socket for the hook")?;
    let ours = tokio::net::UnixStream::from_std(ours).context("create a socket for the hook")?;
    // Through the process: an upgrade may have replaced the file since.
    let exe = File::open("/proc/self/exe").context("open our own executable")?;
    let (stdin, input) = worker::to_worker()?;
    let more = vec![theirs.into(), exe.into()];
    debug_assert_eq!((hook::LINE, hook::EXECUTABLE), (3, 4));
    Ok((ours, Lines { stdin: Some(stdin), more, ..Lines::default() }, input))
}

/// Forwards the request's body to git while the response is sent. If the rest of it is rejected, the reason is in
/// `body_result`, and git's input, still open, in what this returns.
fn feed(incoming: Incoming, mut input: Sender, body_result: SharedBodyResult) -> oneshot::Receiver<Sender> {
    let record = move |result| {
        if let Ok(mut stored) = body_result.lock() {
            *stored = result;
        }
    };
    let is_shallow = incoming.is_shallow();
    record(BodyResult { why: None, refs: incoming.refs(), is_shallow });
    let (sender, rejected) = oneshot::channel();
    tokio::spawn(async move {
        if let Err(Refusal { why, refs }) = incoming.feed(&mut input).await {
            record(BodyResult { why: Some(why), refs, is_shallow });
            // If git's output is no longer forwarded, the input is dropped here.
            let _ = sender.send(input);
        }
    });
    rejected
}

//! The supervisor's end of an attached process: its terminal or pipes, and the socket to the server.
//!
//! One loop moves bytes both ways between the process and the first client that connects. What is buffered is bounded:
//! a client that does not read holds up the process, and a process that does not read holds up the client. When the
//! client is gone, or none comes, the process gets SIGHUP, and is killed later if that did not end it.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::descriptors::{receive, send};
use crate::pipe::Pipe;
use crate::sentence::{Sentence, doing};
use crate::terminal::{
    self, END_OF_INPUT, ERRORS, EXIT, INPUT, MOST_CONTENT, OUTPUT, Parser, RESIZE, Terminal, WindowSize, message,
};

/// How long to wait for the first client.
const CONNECT: Duration = Duration::from_secs(60);
/// Between SIGHUP and SIGKILL.
const HANG_UP: Duration = Duration::from_secs(30);
/// How long a client may take to read the last output.
const FLUSH: Duration = Duration::from_secs(60);
/// How often the surroundings are checked.
const LOOK: Duration = Duration::from_secs(5);
/// How long nothing is read after the command has ended until that is all: what it started may still have its output
/// open.
const QUIET: Duration = Duration::from_millis(200);
/// Bytes that are buffered in each direction, before the other side is no longer read.
const BUFFER: usize = 64 << 10;

/// What ends an attached process that its client has left.
const NOT_ENDING: &str = "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external \
                          connection was closed.";
const NOBODY: &str = "Error R13 (Attach error) -> Failed to attach to process";

/// The end of a console that becomes the command's input and output.
pub(crate) enum Inside {
    /// The command opens a terminal inside the dyno, and sends its other end here.
    Window(WindowSize, UnixStream),
    /// The command's input; its output goes to the pipes that every command has.
    Pipe(OwnedFd),
}

/// A console before its command runs.
pub(crate) struct Console {
    client: Client,
    outside: Outside,
}

enum Outside {
    Window(UnixStream),
    Pipe(OwnedFd),
}

enum Client {
    Awaited(UnixListener),
    Here(UnixStream),
    Gone,
}

impl Console {
    /// A console that the server connects to, by the socket in the state directory `dir`.
    pub fn listen(dir: &Path, terminal: Terminal, uid: u32) -> io::Result<(Console, Inside)> {
        let dir = File::open(dir)?;
        let path = terminal::socket_in(&dir);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Console::new(Client::Awaited(listener), terminal, uid)
    }

    /// A console whose client is connected.
    pub fn of_client(client: UnixStream, terminal: Terminal, uid: u32) -> io::Result<(Console, Inside)> {
        client.set_nonblocking(true)?;
        Console::new(Client::Here(client), terminal, uid)
    }

    fn new(client: Client, terminal: Terminal, uid: u32) -> io::Result<(Console, Inside)> {
        let (outside, inside) = match terminal {
            Terminal::Window(size) => {
                let (ours, theirs) = UnixStream::pair()?;
                (Outside::Window(ours), Inside::Window(size, theirs))
            }
            Terminal::Pipes => {
                // Owned by the app's user, so that the app can open /dev/stdin.
                let Pipe { reader, writer } = Pipe::for_output(uid)?;
                (Outside::Pipe(writer), Inside::Pipe(reader))
            }
        };
        Ok((Console { client, outside }, inside))
    }

    /// Starts serving, once the command runs. `stdout` and `stderr` are the pipes of a command without a terminal.
    pub fn open(self, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Session> {
        let (input, window, outputs) = match self.outside {
            Outside::Window(line) => {
                let master = File::from(receive(&line)?);
                (master.try_clone()?, Some(master.try_clone()?), vec![(OUTPUT, master)])
            }
            Outside::Pipe(input) => {
                (File::from(input), None, vec![(OUTPUT, File::from(stdout)), (ERRORS, File::from(stderr))])
            }
        };
        for file in outputs.iter().map(|(_, file)| file).chain([&input]) {
            do_not_block(file)?;
        }
        Ok(Session {
            client: self.client,
            parser: Parser::new(MOST_CONTENT),
            input: Some(input),
            window,
            outputs,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            is_input_over: false,
            has_ended: false,
            has_reported: false,
            deadline: Some(Instant::now() + CONNECT),
            is_hung_up: false,
            read_at: Instant::now(),
        })
    }
}

impl Inside {
    /// Makes this the input and output of this process, which must be a session leader of the app's user.
    pub fn attach(&self) -> Result<(), Sentence> {
        match self {
            Inside::Pipe(input) => duplicate(input, &[0]).map_err(doing("connect the input")),
            Inside::Window(size, line) => open_window(*size, line).map_err(doing("open a terminal")),
        }
    }
}

/// Opens a terminal of the dyno, as the controlling terminal, and sends its other end to the supervisor.
fn open_window(size: WindowSize, line: &UnixStream) -> io::Result<()> {
    let open = |path: &str| File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
    let master = open("/dev/ptmx")?;
    let (unlocked, mut number) = (0 as libc::c_int, 0 as libc::c_uint);
    // SAFETY: the arguments are of the types that these requests expect, and outlive the calls.
    unsafe {
        check(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked))?;
        check(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number))?;
    }
    let terminal = open(&format!("/dev/pts/{number}"))?;
    resize(&terminal, size)?;
    // SAFETY: plain system call on an open descriptor.
    unsafe { check(libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0))? };
    send(line, &master)?;
    duplicate(&terminal, &[0, 1, 2])
}

fn duplicate(from: &impl AsRawFd, to: &[RawFd]) -> io::Result<()> {
    for number in to {
        // SAFETY: plain system call on an open descriptor.
        unsafe { check(libc::dup2(from.as_raw_fd(), *number))? };
    }
    Ok(())
}

fn resize(terminal: &File, size: WindowSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the argument is of the type that the request expects, and outlives the call.
    unsafe { check(libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size)) }
}

fn do_not_block(file: &File) -> io::Result<()> {
    // SAFETY: plain system calls on an open descriptor.
    unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        check(flags)?;
        check(libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))
    }
}

/// What a session needs of its surroundings.
pub(crate) trait Surroundings {
    /// Sends SIGHUP to the processes of the session.
    fn hang_up(&mut self);
    /// Kills them.
    fn kill(&mut self);
    /// The command has ended; what it has started may still run.
    fn has_ended(&mut self);
    /// Writes a message of the supervisor to the log.
    fn say(&mut self, text: &str);
    /// Checks what has to be checked regularly. Returns how long until the next check at the latest.
    fn look(&mut self) -> Option<Duration>;
    /// Waits for the end of the command, which has ended or is about to. How it ended, as JSON.
    fn exit(&mut self) -> Vec<u8>;
}

/// A running console.
pub(crate) struct Session {
    client: Client,
    parser: Parser,
    input: Option<File>,
    /// The terminal, to change its size.
    window: Option<File>,
    /// What is read of the process, and the kind of message that it becomes.
    outputs: Vec<(u8, File)>,
    /// Input that the process has not read yet.
    incoming: Vec<u8>,
    /// Messages that the client has not read yet.
    outgoing: Vec<u8>,
    is_input_over: bool,
    /// The command has ended.
    has_ended: bool,
    /// The client has been told so.
    has_reported: bool,
    /// When something has to have happened: that a client connects, that a process without a client ends, that the
    /// client has read the last output.
    deadline: Option<Instant>,
    is_hung_up: bool,
    /// When output was last read, or the end of the command noticed.
    read_at: Instant,
}

/// The places of the polled descriptors.
const ENDED: usize = 0;
const CLIENT: usize = 1;
const INPUTS: usize = 2;
const OUTPUTS: usize = 3;

impl Session {
    /// Moves bytes until the command has ended and its client has read everything, or is gone. `ended` becomes readable
    /// when the command ends.
    pub fn serve(mut self, around: &mut dyn Surroundings, ended: &OwnedFd) -> io::Result<()> {
        while !self.is_over() {
            let look = around.look();
            let ready = self.poll(ended.as_raw_fd(), look.unwrap_or(LOOK).min(LOOK))?;
            if ready[ENDED] != 0 {
                (self.has_ended, self.read_at) = (true, Instant::now());
                around.has_ended();
            }
            if ready[CLIENT] != 0 {
                self.serve_client(ready[CLIENT], around);
            }
            if ready[INPUTS] != 0 {
                self.write_input();
            }
            self.read_outputs([ready[OUTPUTS], ready[OUTPUTS + 1]]);
            if self.has_ended && self.is_all_read() {
                self.outputs.clear();
            }
            if self.has_ended && self.outputs.is_empty() && !self.has_reported {
                self.outgoing.extend(message(EXIT, &around.exit()));
                self.has_reported = true;
                if matches!(self.client, Client::Here(_)) {
                    self.deadline = Some(Instant::now() + FLUSH);
                }
            }
            if self.deadline.is_some_and(|at| at <= Instant::now()) {
                self.deadline_reached(around);
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.has_reported && (self.outgoing.is_empty() || matches!(self.client, Client::Gone))
    }

    /// Whether nothing more is to be read of a command that has ended. Without a client, what it has left behind does not
    /// keep this process busy.
    fn is_all_read(&self) -> bool {
        let is_quiet = self.outgoing.len() < BUFFER && self.read_at.elapsed() >= QUIET;
        is_quiet || matches!(self.client, Client::Gone)
    }

    fn poll(&self, ended: RawFd, most: Duration) -> io::Result<[i16; 5]> {
        // Negative descriptors are ignored.
        let entry = |fd: RawFd, events| libc::pollfd { fd, events, revents: 0 };
        let none = || entry(-1, 0);
        let mut polled = [none(), none(), none(), none(), none()];
        if !self.has_ended {
            polled[ENDED] = entry(ended, libc::POLLIN);
        }
        polled[CLIENT] = match &self.client {
            Client::Awaited(listener) => entry(listener.as_raw_fd(), libc::POLLIN),
            Client::Here(stream) => {
                let read = if self.incoming.len() < BUFFER { libc::POLLIN } else { 0 };
                let write = if self.outgoing.is_empty() { 0 } else { libc::POLLOUT };
                entry(stream.as_raw_fd(), read | write)
            }
            Client::Gone => none(),
        };
        if let Some(input) = self.input.as_ref().filter(|_| !self.incoming.is_empty()) {
            polled[INPUTS] = entry(input.as_raw_fd(), libc::POLLOUT);
        }
        if self.outgoing.len() < BUFFER {
            for (place, (_, file)) in polled[OUTPUTS..].iter_mut().zip(&self.outputs) {
                *place = entry(file.as_raw_fd(), libc::POLLIN);
            }
        }
        let left = self.deadline.map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let most = if self.has_ended { most.min(QUIET) } else { most };
        let wait = left.map_or(most, |left| left.min(most));
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the count is that of the array.
        if unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, wait) } < 0 {
            match io::Error::last_os_error() {
                e if e.kind() == ErrorKind::Interrupted => return Ok([0; 5]),
                e => return Err(e),
            }
        }
        Ok(polled.map(|entry| entry.revents))
    }

    fn serve_client(&mut self, ready: i16, around: &mut dyn Surroundings) {
        if let Client::Awaited(listener) = &self.client {
            if let Ok((stream, _)) = listener.accept()
                && stream.set_nonblocking(true).is_ok()
            {
                // The first client is the only one: the listener is closed.
                self.client = Client::Here(stream);
                self.deadline = self.has_reported.then(|| Instant::now() + FLUSH);
            }
            return;
        }
        let hung_up = ready & (libc::POLLHUP | libc::POLLERR) != 0 && ready & libc::POLLIN == 0;
        let reads = ready & libc::POLLIN == 0 || self.read_client();
        let writes = ready & libc::POLLOUT == 0 || self.write_client();
        if hung_up || !reads || !writes {
            self.client_gone(around);
        }
    }

    /// Whether the client is still there.
    fn read_client(&mut self) -> bool {
        let Client::Here(stream) = &mut self.client else { return true };
        let mut buffer = [0; 16 << 10];
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(read) => self.parser.push(&buffer[..read]),
            Err(e) => return matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
        loop {
            match self.parser.take() {
                Ok(Some((INPUT, content))) => self.incoming.extend(content),
                Ok(Some((END_OF_INPUT, _))) => self.end_input(),
                Ok(Some((RESIZE, content))) => {
                    if let (Some(window), Some(size)) = (&self.window, WindowSize::from_bytes(&content)) {
                        // The window may have been closed meanwhile.
                        let _ = resize(window, size);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// On a terminal, the end of the input is a character.
    fn end_input(&mut self) {
        match self.window {
            Some(_) => self.incoming.push(4),
            None => self.is_input_over = true,
        }
        self.close_input();
    }

    /// Closes the process's input once everything is written.
    fn close_input(&mut self) {
        if self.is_input_over && self.incoming.is_empty() {
            self.input = None;
        }
    }

    fn write_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        match input.write(&self.incoming) {
            Ok(written) => drop(self.incoming.drain(..written)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // Nobody reads it any more.
            Err(_) => {
                self.incoming.clear();
                self.input = None;
            }
        }
        self.close_input();
    }

    /// Whether the client is still there.
    fn write_client(&mut self) -> bool {
        let Client::Here(stream) = &mut self.client else { return true };
        match stream.write(&self.outgoing) {
            Ok(written) => drop(self.outgoing.drain(..written)),
            Err(e) => return matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
        true
    }

    fn read_outputs(&mut self, ready: [i16; 2]) {
        let is_gone = matches!(self.client, Client::Gone);
        let mut buffer = vec![0; 16 << 10];
        let mut at = 0;
        let (outgoing, read_at) = (&mut self.outgoing, &mut self.read_at);
        self.outputs.retain_mut(|(kind, file)| {
            at += 1;
            if ready[at - 1] == 0 {
                return true;
            }
            match file.read(&mut buffer) {
                Ok(0) => false,
                Ok(read) => {
                    *read_at = Instant::now();
                    if !is_gone {
                        outgoing.extend(message(*kind, &buffer[..read]));
                    }
                    true
                }
                // A terminal that no process has open any more is an error.
                Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
            }
        });
    }

    fn client_gone(&mut self, around: &mut dyn Surroundings) {
        self.client = Client::Gone;
        self.outgoing.clear();
        self.incoming.clear();
        self.input = None;
        self.hang_up(around);
    }

    /// A terminal is closed, which also sends SIGHUP.
    fn hang_up(&mut self, around: &mut dyn Surroundings) {
        if self.has_ended || mem::replace(&mut self.is_hung_up, true) {
            self.deadline = None;
            return;
        }
        around.hang_up();
        if self.window.take().is_some() {
            self.outputs.clear();
        }
        self.deadline = Some(Instant::now() + HANG_UP);
    }

    fn deadline_reached(&mut self, around: &mut dyn Surroundings) {
        match &self.client {
            Client::Awaited(_) => {
                if !self.has_ended {
                    around.say(NOBODY);
                }
                self.client_gone(around);
            }
            // It does not read the last output.
            Client::Here(_) => self.client_gone(around),
            Client::Gone => {
                self.deadline = None;
                if !self.has_ended {
                    around.say(NOT_ENDING);
                    around.kill();
                }
            }
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

// Starts `wharfd up` for the tests on a free port with a separate data directory, and stops it.
//
// Its settings are passed to the tests in environment variables, which world.ts reads.
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The time limit of the first start, which creates a Postgres cluster. */
const START_MS = 120_000;
/** The time limit of stopping: dynos have 30 s to exit. */
const STOP_MS = 60_000;

const wharfd = process.env.WHARFD ?? resolve(__dirname, "../target/debug/wharfd");
const log = join(__dirname, "test-results", "wharfd.log");

/** A port that nothing listens on. */
function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** Resolves to the one-time sign-in link, which the server prints once it serves. */
function signInLink(server: ChildProcess, origin: string): Promise<string> {
  const output = createWriteStream(log);
  return new Promise((done, fail) => {
    let printed = "";
    const late = setTimeout(() => fail(new Error(`No sign-in link after ${START_MS / 1000} s: see ${log}`)), START_MS);
    const read = (chunk: Buffer) => {
      output.write(chunk);
      printed = (printed + chunk.toString()).slice(-100_000);
      // The link is the only URL with a path.
      const link = new RegExp(`${origin.replaceAll(".", "\\.")}/[^\\s\\u001b"']+(?=\\s)`).exec(printed);
      if (link) {
        clearTimeout(late);
        done(link[0]);
      }
    };
    server.stdout?.on("data", read);
    server.stderr?.on("data", read);
    server.once("error", (error) => fail(new Error(`Cannot start ${wharfd}: ${error.message}. Run make end2end.`)));
    server.once("exit", (code, signal) => {
      clearTimeout(late);
      fail(new Error(`wharfd ended (${signal ?? `exit status ${code}`}) before it was ready:\n${printed}`));
    });
  });
}

function stop(server: ChildProcess): Promise<void> {
  return new Promise((done) => {
    if (server.exitCode !== null || server.signalCode !== null) return done();
    const kill = setTimeout(() => server.kill("SIGKILL"), STOP_MS);
    server.once("exit", () => {
      clearTimeout(kill);
      done();
    });
    server.kill("SIGTERM");
  });
}

export default async function start(): Promise<() => Promise<void>> {
  mkdirSync(join(__dirname, "test-results"), { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), "wharf-end2end-"));
  // Postgres and the apps run as separate users, which have to traverse it.
  chmodSync(scratch, 0o711);
  const data = join(scratch, "data");
  const port = await freePort();
  const origin = `http://localhost:${port}`;

  const server = spawn(wharfd, ["up"], {
    env: {
      ...process.env,
      WHARF_DATA: data,
      WHARF_LISTEN: `127.0.0.1:${port}`,
      WHARF_DOMAIN: "localhost",
      // The identity provider of login.spec.ts has this address.
      WHARF_OUTBOUND_NETWORKS: "127.0.0.1",
      // Package registries may be mirrored in a documentation network where tests run.
      WHARF_DYNO_NETWORKS: "203.0.113.0/24",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const cleanUp = async () => {
    await stop(server);
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    process.env.WHARF_SIGNIN_LINK = await signInLink(server, origin);
    process.env.WHARF_URL = origin;
    process.env.WHARF_API_KEY = readFileSync(join(data, "admin-token"), "utf8").trim();
    process.env.WHARF_SESSION = join(scratch, "session.json");
    process.env.WHARF_DATA = data;
  } catch (error) {
    await cleanUp();
    throw error;
  }
  return cleanUp;
}

// Apps for specs: created through the API, deployed with git, destroyed afterwards.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import AxeBuilder from "@axe-core/playwright";
import { type Locator, type Page } from "@playwright/test";

import { expect, test, wharf } from "./world";

const run = promisify(execFile);

/** Sends a request to the API as the first account. Fails unless the status is 2xx. */
export async function api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(wharf.url + path, {
    method,
    headers: {
      accept: "application/vnd.heroku+json; version=3",
      authorization: `Bearer ${wharf.token}`,
      "content-type": "application/json",
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Runs SQL in the platform's database: for what would take too many requests, or what no page offers. */
export async function sql(statement: string): Promise<string> {
  const sockets = readFileSync(join(wharf.data, "postgres/postmaster.pid"), "utf8").split("\n")[4];
  const args = ["-u", "postgres", "--", "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", sockets, "-d", "wharf", "-c", statement];
  return (await run("runuser", args, { cwd: "/" })).stdout.trim();
}

/** Opens a one-time link and clicks its button. */
export async function signInBy(page: Page, link: string) {
  await page.goto(link);
  await page.getByRole("button", { name: /^Sign in as / }).click();
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
}

/** A name that no other spec uses. */
export function freshName(what: string): string {
  return `${what}-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`.slice(0, 30);
}

export type Files = Record<string, string>;

/** A site of one page. */
export const site: Files = {
  "static.json": JSON.stringify({ root: "public" }),
  "public/index.html": "<!doctype html><title>Harbour</title><h1>Hello from the harbour</h1>",
};

/** A Python program without dependencies that serves requests and logs them. */
export const program: Files = {
  "requirements.txt": "",
  Procfile: "web: python3 -u serve.py\n",
  "serve.py": `
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for " + self.path, flush=True)
        if self.path == "/error":
            print("error: something broke", file=sys.stderr, flush=True)
        if self.path.startswith("/flood/"):
            sys.stdout.write("".join("drop %d\\n" % n for n in range(int(self.path[7:]))))
            sys.stdout.flush()
        if self.path == "/exit":
            os._exit(3)
        body = ("greeting=" + os.environ.get("GREETING", "none")).encode()
        self.send_response(500 if self.path == "/error" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
print("ready", flush=True)
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
`,
};

/** A git repository with a remote, ready to push. */
export class Repository {
  readonly folder = mkdtempSync(join(tmpdir(), "wharf-repo-"));

  private git(...args: string[]) {
    const quiet = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"];
    return run("git", [...quiet, ...args], { cwd: this.folder, env: { ...process.env, GIT_TERMINAL_PROMPT: "0" }, maxBuffer: 64 << 20 });
  }

  /** Writes files and commits them. */
  async commit(files: Files, message: string) {
    const { mkdirSync } = await import("node:fs");
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(this.folder, name, ".."), { recursive: true });
      writeFileSync(join(this.folder, name), content);
    }
    await this.git("init", "-q");
    await this.git("add", "-A");
    await this.git("commit", "-q", "--allow-empty", "-m", message);
  }

  /** Pushes main to `app`; resolves to git's output, and rejects if the push is rejected. */
  async push(app: string): Promise<string> {
    const to = new URL(`/${app}.git`, wharf.url);
    to.username = "x";
    to.password = wharf.token;
    const { stderr } = await this.git("push", "-q", to.href, "HEAD:main");
    return stderr;
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Creates an app and pushes `files` to it. */
export async function deployed(name: string, files: Files): Promise<Repository> {
  await api("POST", "/apps", { name });
  // Tests of the watch period set a longer one.
  await api("PATCH", `/apps/${name}`, { watch_seconds: 1 });
  const repository = new Repository();
  await repository.commit(files, "First version");
  await repository.push(name);
  await serving(name);
  return repository;
}

/** An app with `files` for the tests of one spec: deployed before them, destroyed after them. */
export function appOfSpec(what: string, files: Files) {
  const name = freshName(what);
  let repository: Repository | undefined;
  test.beforeAll(async () => {
    test.setTimeout(180_000);
    repository = await deployed(name, files);
  });
  test.afterAll(async () => {
    repository?.remove();
    await destroyed(name);
  });
  return {
    name,
    /** Set once the tests run. */
    get repository(): Repository {
      if (!repository) throw new Error(`${name} is not deployed yet`);
      return repository;
    },
  };
}

/** Waits until the app responds. */
export async function serving(name: string) {
  await expect.poll(() => visit(name).then((r) => r.status, () => 0), { timeout: 60_000 }).toBe(200);
}

/** Sends a request to the app itself, by its host name. */
export async function visit(name: string, path = "/"): Promise<{ status: number; body: string }> {
  const { request } = await import("node:http");
  const to = new URL(wharf.url);
  return new Promise((done, fail) => {
    const asked = request({ host: "127.0.0.1", port: to.port, path, headers: { host: `${name}.${to.host}` } }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk) => (body += chunk));
      answer.on("end", () => done({ status: answer.statusCode ?? 0, body }));
    });
    asked.once("error", fail);
    asked.end();
  });
}

/** Destroys an app, if it still exists. */
export async function destroyed(name: string) {
  await api("DELETE", `/apps/${name}`).catch(() => undefined);
}

/** Opens a page and waits until it is live: its websocket is open. */
export async function open(page: Page, path: string) {
  await page.goto(path);
  await alive(page);
}

/** Tabs until the focus is on `target`, like a keyboard user. */
export async function tabTo(page: Page, target: Locator) {
  const has = () => target.evaluate((e) => e === document.activeElement, undefined, { timeout: 5_000 }).catch(() => false);
  for (let i = 0; i < 120; i++) {
    if (await has()) return;
    await page.keyboard.press("Tab");
  }
  throw new Error("Tab did not lead there.");
}

/** Tabs to `target` and presses it. */
export async function press(page: Page, target: Locator) {
  await tabTo(page, target);
  await page.keyboard.press("Enter");
}

/** Waits until the page is hydrated. */
export async function alive(page: Page) {
  // A development build is large, and the machine may be busy.
  await expect(page.locator("html[data-alive]")).toBeAttached({ timeout: 60_000 });
}

/** Fails on all errors that the browser reports; for other hosts, only where `isOurs`. Call it first. */
export function complaints(page: Page, isOurs: (url: string) => boolean = () => true): string[] {
  const all: string[] = [];
  page.on("console", (message) => {
    const isBad = message.type() === "error" || message.type() === "warning";
    if (isBad && isOurs(message.location().url)) all.push(message.text());
  });
  page.on("pageerror", (error) => all.push(String(error)));
  return all;
}

/** Fails when axe finds something, in light and in dark. */
export async function accessible(page: Page) {
  // A colour in transition belongs to neither theme.
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const theme of ["light", "dark"]) {
    await page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
    const { violations } = await new AxeBuilder({ page }).analyze();
    const said = violations.map((v) => `${theme}: ${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
    expect(said).toEqual([]);
  }
}

/** Kills the control plane's server, as a crash would; `wharfd up` restarts it. */
export function killServer() {
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => {
      try {
        return readFileSync(join("/proc", entry, file), "utf8").split("\0");
      } catch {
        return [];
      }
    };
    if (read("cmdline")[1] === "server" && read("environ").includes(`WHARF_DATA=${wharf.data}`)) {
      process.kill(Number(entry), "SIGKILL");
      return;
    }
  }
  throw new Error("The server's process was not found.");
}

// Piku, a platform of one script: nginx in front, uWSGI as supervisor, and a git hook that deploys.
import { execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, watch, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { accepts } from "./proxy.mjs";
import { sleep } from "./world.mjs";

/** Where its nginx listens: Piku has fixed ports. */
export const HOST = "127.0.0.2";
const SOURCE = "https://github.com/piku/piku.git";
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Starts Piku in `folder`; undefined if it cannot run here, and stderr says why. */
export async function piku(folder) {
  const script = source();
  const missing = script && whatIsMissing();
  if (!script || missing) {
    console.error(`Piku is left out: ${missing ?? "neither is PIKU_DIR set, nor can it be cloned from GitHub"}.`);
    return undefined;
  }
  const home = join(folder, "piku");
  const state = join(home, ".piku");
  mkdirSync(state, { recursive: true });
  copyFileSync(script, join(home, "piku.py"));
  const env = { ...process.env, HOME: home, PIKU_ROOT: state, USER: "root" };
  execFileSync("python3", [join(home, "piku.py"), "setup"], { env, stdio: "ignore" });
  // What sshd does after the connection is set up, which is in Piku's favour.
  const ssh = join(home, "ssh");
  writeFileSync(ssh, `#!/bin/sh\nHOME=${home} PIKU_ROOT=${state} USER=root\nexport HOME PIKU_ROOT USER\neval "exec ${join(home, "piku.py")} $2"\n`);
  chmodSync(ssh, 0o755);
  const conf = join(home, "nginx.conf");
  const certificate = (name) => join(home, `default.${name}`);
  execFileSync("openssl", ["req", "-new", "-newkey", "rsa:2048", "-days", "2", "-nodes", "-x509", "-subj", "/CN=bench", "-keyout", certificate("key"), "-out", certificate("crt")], { stdio: "ignore" });
  writeFileSync(
    conf,
    `pid ${home}/nginx.pid; error_log ${home}/error.log; daemon off; worker_processes auto;
events { worker_connections 1024; }
http { access_log ${home}/access.log; proxy_temp_path ${home}/temp; server_names_hash_bucket_size 128;
  server { listen ${HOST}:80 default_server; return 404; }
  include ${state}/nginx/*.conf; }
`,
  );
  const nginx = spawn("nginx", ["-c", conf], { stdio: ["ignore", "ignore", "inherit"] });
  const uwsgi = spawn("uwsgi", ["--ini", join(state, "uwsgi/uwsgi.ini")], { env, stdio: "ignore" });
  // As its systemd units do.
  let reload;
  const watcher = watch(join(state, "nginx"), (_, file) => {
    if (!file?.endsWith(".conf")) return;
    clearTimeout(reload);
    reload = setTimeout(() => execFile("nginx", ["-c", conf, "-s", "reload"]), 1);
  });
  while (!(await accepts(80, HOST))) await sleep(20);
  return {
    ssh,
    /** Has a certificate for the app, as one from Let's Encrypt would be there. */
    certify: (app) => ["key", "crt"].forEach((name) => copyFileSync(certificate(name), join(state, `nginx/${app}.${name}`))),
    /** The settings of an app, which are in its repository. */
    settings: (app) => `NGINX_SERVER_NAME=${app}.piku.test\nNGINX_IPV4_ADDRESS=${HOST}\nDISABLE_IPV6=true\n`,
    destroy: (app) => execFileSync(join(home, "piku.py"), ["destroy", app], { env, stdio: "ignore" }),
    stop: async () => {
      watcher.close();
      clearTimeout(reload);
      const ended = [nginx, uwsgi].map((one) => new Promise((done) => one.once("exit", done)));
      nginx.kill("SIGTERM");
      uwsgi.kill("SIGINT");
      await Promise.all(ended);
    },
  };
}

/** Its script: from PIKU_DIR, or from a clone. */
function source() {
  const folder = process.env.PIKU_DIR ?? join(root, "target/bench/piku");
  const script = join(folder, "piku.py");
  if (existsSync(script) || process.env.PIKU_DIR) return script;
  try {
    execFileSync("git", ["clone", "-q", "--depth", "1", SOURCE, folder], { stdio: "ignore", timeout: 60_000, env: { ...process.env, GIT_TERMINAL_PROMPT: "0" } });
    return script;
  } catch {
    return undefined;
  }
}

/** A sentence about what Piku needs and this machine lacks. */
function whatIsMissing() {
  const works = (program, ...args) => {
    try {
      execFileSync(program, args, { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };
  if (!works("nginx", "-v") || !works("uwsgi", "--version") || !works("openssl", "version"))
    return "nginx, uwsgi or openssl is missing (Debian: apt-get install nginx-light uwsgi-core openssl)";
  if (!works("python3", "-c", "import click")) return "python3's click is missing (Debian: apt-get install python3-click)";
  return undefined;
}

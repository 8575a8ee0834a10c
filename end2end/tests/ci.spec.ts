// Deploying from CI: the scripts of the README, run as they are written there.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { api, freshName } from "../apps";
import { expect, test, wharf } from "../world";

const run = promisify(execFile);

/** The shell scripts of the section, and the commands in the steps of its YAML, for an app called `app`. */
function scripts(app: string) {
  const readme = readFileSync(join(__dirname, "../../README.md"), "utf8");
  const section = readme.split("## Deploying from CI")[1].split("\n## ")[0];
  const blocks = [...section.matchAll(/```(sh|yaml)\n([^]*?)```/g)].map(([, kind, text]) => ({ kind, text }));
  const named = (text: string) => text.replaceAll("shop.git", `${app}.git`).replace("WHARF_APP=shop", `WHARF_APP=${app}`);
  const found = blocks.filter((b) => b.kind === "sh" && b.text.startsWith("set -eu")).map((b) => named(b.text));
  const steps = blocks.filter((b) => b.kind === "yaml").map((b) => named(b.text.slice(b.text.indexOf("git -c"))));
  expect(found).toHaveLength(2);
  expect(steps).toHaveLength(2);
  // Folded by YAML in the one, continued by the shell in the other.
  return { deploy: found[0], push: found[1], github: steps[0], gitlab: steps[1].replaceAll(/\n\s+push/g, " push") };
}

test("the scripts of the README deploy with a deploy token, and fail when the deploy does", async () => {
  test.setTimeout(300_000);
  const app = freshName("ci");
  await api("POST", "/apps", { name: app });
  const folder = mkdtempSync(join(tmpdir(), "wharf-ci-"));
  const command = process.env.WHARFD!.replace(/wharfd$/, "wharf");
  const { WHARF_API_KEY: _, ...clean } = process.env;
  const base = { ...clean, HOME: folder, PATH: `${dirname(command)}:${process.env.PATH}`, WHARF_URL: wharf.url };
  const admin = { ...base, WHARF_API_KEY: wharf.token };
  const create = ["authorizations:create", "--description", `CI of ${app}`, "--app", app, "--short"];
  const token = (await run(command, create, { env: admin })).stdout.trim();
  const env = { ...base, WHARF_API_KEY: token };
  const shell = (script: string) => run("bash", ["-c", script], { cwd: folder, env });
  try {
    const all = scripts(app);
    const commit = async (text: string) => {
      writeFileSync(join(folder, "index.html"), `<h1>${text}</h1>`);
      writeFileSync(join(folder, ".gitignore"), ".config\n");
      await shell(`git init -q; git add .; git -c user.name=A -c user.email=a@b.c commit -q -m '${text}'`);
    };
    const versions = async () => (await api<{ version: number; status: string }[]>("GET", `/apps/${app}/releases`)).length;
    let releases = await versions();
    for (const [name, script] of Object.entries(all)) {
      await commit(`Deployed by ${name}`);
      await shell(script);
      expect(await versions(), name).toBe(++releases);
      const page = await run("curl", ["-s", "-H", `Host: ${app}.localhost`, wharf.url.replace("localhost", "127.0.0.1")]);
      expect(page.stdout, name).toContain(`Deployed by ${name}`);
    }
    // A failure is one for the CI, too.
    writeFileSync(join(folder, "Procfile"), "web: exit 1\nrelease: exit 3\n");
    await expect(shell(all.deploy)).rejects.toMatchObject({ code: 1 });
    // The token is for nothing else.
    await expect(run(command, ["config", "--app", app], { env })).rejects.toMatchObject({ code: 2 });
    await expect(run(command, ["destroy", "--app", app, "--confirm", app], { env })).rejects.toMatchObject({ code: 2 });
    const audit = await run(command, ["audit", "--app", app], { env: admin });
    expect(audit.stdout).toContain(`with the token "CI of ${app}"`);
    await run(command, ["authorizations:revoke", `CI of ${app}`], { env: admin });
    await expect(shell(all.deploy)).rejects.toMatchObject({ code: 2 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await api("DELETE", `/apps/${app}`);
  }
});

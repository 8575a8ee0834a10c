// A terminal in the console: a command in a new dyno, and one inside a running dyno.
import { accessible, api, appOfSpec, open, program } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("terminal", program);

type Dyno = { name: string; type: string; state: string; last_exit: string | null; exit_status?: number };

const oneOffs = async () => (await api<Dyno[]>("GET", `/apps/${name}/dynos`)).filter((dyno) => dyno.type === "run");

test("a shell runs in a new dyno, with the config vars, and its end is shown", async ({ page }) => {
  await api("PATCH", `/apps/${name}/config-vars`, { GREETING: "ahoy" });
  await open(page, `/apps/${name}/terminal`);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const terminal = page.getByRole("group", { name: "Terminal" });
  await expect(terminal).toHaveAttribute("data-state", "attached", { timeout: 60_000 });
  await expect.poll(async () => (await oneOffs()).map((dyno) => dyno.state)).toEqual(["up"]);
  await page.keyboard.type("echo $GREETING-$((40 + 2)); tty\n");
  await expect(terminal).toContainText("ahoy-42");
  await expect(terminal).toContainText("/dev/pts/0");
  // Ctrl-C ends the command, and not the shell.
  await page.keyboard.type("sleep 1000\n");
  await page.keyboard.press("Control+C");
  await page.keyboard.type("echo after-$?\n");
  await expect(terminal).toContainText("after-130");
  await page.keyboard.type("exit 3\n");
  await expect(terminal).toContainText("Process exited with status 3");
  await expect(terminal).toHaveAttribute("data-state", "ended");
  await expect.poll(oneOffs).toEqual([]);
});

test("a command runs inside a dyno that is up", async ({ page }) => {
  await open(page, `/apps/${name}/terminal`);
  await page.getByLabel("Run in").selectOption("web.1");
  await page.getByRole("textbox", { name: "Command" }).fill("echo inside $DYNO; ls serve.py");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const terminal = page.getByRole("group", { name: "Terminal" });
  await expect(terminal).toContainText("inside web.1", { timeout: 60_000 });
  await expect(terminal).toContainText("serve.py");
  await expect(terminal).toContainText("Process exited with status 0");
});

test("a one-off dyno is listed beside the others, and can be stopped", async ({ page }) => {
  const { name: dyno } = await api<Dyno>("POST", `/apps/${name}/dynos`, { command: "sleep 1000" });
  await open(page, `/apps/${name}/resources`);
  await expect(page.getByRole("row", { name: new RegExp(`^${dyno.replace(".", "\\.")} Up`) })).toContainText("sleep 1000");
  await page.getByRole("button", { name: `Stop ${dyno}` }).click();
  await expect(page.getByRole("heading", { name: "One-off dynos" })).toBeHidden({ timeout: 60_000 });
});

test("leaving the page ends the command", async ({ page }) => {
  await open(page, `/apps/${name}/terminal`);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const terminal = page.getByRole("group", { name: "Terminal" });
  await expect(terminal).toHaveAttribute("data-state", "attached", { timeout: 60_000 });
  await page.getByRole("navigation", { name: "App" }).getByRole("link", { name: "Overview" }).click();
  await expect.poll(oneOffs, { timeout: 60_000 }).toEqual([]);
});

test("a detached command leaves its output and its status", async () => {
  const dyno = await api<Dyno>("POST", `/apps/${name}/dynos`, { command: "echo done; exit 4" });
  const ended = async () => (await api<Dyno>("GET", `/apps/${name}/dynos/${dyno.name}`)).exit_status;
  await expect.poll(ended, { timeout: 60_000 }).toBe(4);
  const lines = await api<{ dyno: string; text: string }[]>("GET", `/apps/${name}/log-lines?dyno=${dyno.name}`);
  expect(lines.map((line) => line.text)).toContain("done");
});

test("axe finds nothing, and the content security policy holds", async ({ page }) => {
  const violations: string[] = [];
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) violations.push(message.text());
  });
  await open(page, `/apps/${name}/terminal`);
  await accessible(page);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const terminal = page.getByRole("group", { name: "Terminal" });
  await expect(terminal).toHaveAttribute("data-state", "attached", { timeout: 60_000 });
  await page.keyboard.type("echo $((40 + 2))\n");
  await expect(terminal).toContainText("42");
  expect(violations).toEqual([]);
});

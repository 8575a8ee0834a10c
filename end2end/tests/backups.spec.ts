// Backups: set on the page Platform, made, verified, and restored into an empty directory.
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { accessible, api, complaints, open, press } from "../apps";
import { expect, test, wharf } from "../world";

const run = promisify(execFile);
const passphrase = "correct horse battery staple";
const folder = mkdtempSync(join(tmpdir(), "wharf-backups-"));
const file = join(folder, "passphrase");
writeFileSync(file, `${passphrase}\n`);
// The system user of Postgres has to reach what is restored.
chmodSync(folder, 0o711);
const target = join(folder, "target");

type Backup = { name: string; state: string };

// Each goes on where the one before it ended.
test.describe.configure({ mode: "serial" });
test.afterAll(async () => {
  await api("PATCH", "/backup-policy", { target: "" });
  rmSync(folder, { recursive: true, force: true });
});

test("an administrator sets a target, and a backup is made and verified", async ({ page }) => {
  const odd = complaints(page);
  await open(page, "/platform");
  const section = page.getByRole("region", { name: "Backups" });
  await expect(section).toContainText("No backups are scheduled.");
  await section.getByLabel("Target").fill(target);
  await section.getByLabel("Passphrase", { exact: true }).fill(passphrase);
  await section.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Settings saved")).toBeVisible();
  await expect(section).toContainText("The next backup is due");
  await press(page, section.getByRole("button", { name: "Back up now" }));
  await expect(section.locator("tbody tr").first()).toContainText("Verified", { timeout: 120_000 });
  const backups = (await api("GET", "/backups")) as Backup[];
  expect(backups.map((backup) => backup.state)).toEqual(["verified"]);
  await accessible(page);
  expect(odd).toEqual([]);
});

test("the command line shows backups", async () => {
  const command = process.env.WHARFD!.replace(/wharfd$/, "wharf");
  const env = { ...process.env, WHARF_URL: wharf.url, WHARF_API_KEY: wharf.token };
  const { stdout } = await run(command, ["platform:backups"], { env });
  expect(stdout).toContain(target);
  expect(stdout).toMatch(/\d{8}T\d{6}Z-[0-9a-f]{8}\s+verified/);
});

test("a backup is restored into an empty directory, with its passphrase only", async () => {
  const data = join(folder, "data");
  const restore = (key: string) => run(process.env.WHARFD!, ["restore", target, "--data", data, "--passphrase-file", key]);
  const wrong = join(folder, "wrong");
  writeFileSync(wrong, "incorrect horse battery");
  await expect(restore(wrong)).rejects.toThrow("The passphrase is wrong.");
  expect(readdirSync(data)).toEqual([]);
  const { stdout } = await restore(file);
  expect(stdout).toContain("Start it: wharfd up --data");
  for (const name of ["master.key", "admin-token", "postgres/PG_VERSION"]) expect(existsSync(join(data, name))).toBe(true);
  expect(existsSync(join(data, "restoring"))).toBe(false);
  await expect(restore(file)).rejects.toThrow("is not empty");
});

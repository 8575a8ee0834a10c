// Quotas: usage, limits, and setting them.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { accessible, api, complaints, destroyed, freshName, open, press } from "../apps";
import { expect, test, wharf } from "../world";

const run = promisify(execFile);
const team = freshName("quotateam");
const app = freshName("quotaapp");
type Quota = { name: string; most: number | null; used: number; is_own: boolean };
const quota = async (path: string, name: string) => (await api<Quota[]>("GET", path)).find((q) => q.name === name)!;

// Each test continues from the state of the previous one.
test.describe.configure({ mode: "serial" });

test.beforeAll(async () => {
  await api("POST", "/teams", { name: team });
  await api("POST", "/teams/apps", { name: app, team });
});
test.afterAll(async () => {
  await api("PATCH", "/quotas", { apps: null });
  await destroyed(app);
});

test("the account page shows the user's own usage, the team's page that of a team, without scripts", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto("/account");
  // Administrators have no quotas on their own resources.
  await expect(page.getByRole("region", { name: "Quotas" }).getByRole("row", { name: /^Apps/ })).toContainText("no limit");
  await page.goto(`/teams/${team}`);
  const row = page.getByRole("region", { name: "Quotas" }).getByRole("row", { name: /^Apps/ });
  await expect(row).toContainText("1 of 100");
  await expect(row.getByRole("meter", { name: "Apps used" })).toHaveAttribute("aria-valuenow", "1");
  // All resources that have quotas.
  const all = await api<Quota[]>("GET", `/teams/${team}/quotas`);
  await expect(page.getByRole("region", { name: "Quotas" }).locator("tbody tr")).toHaveCount(all.length);
  await context.close();
});

test("an administrator sets a team's own quotas, and resets them", async ({ page }) => {
  const odd = complaints(page);
  await open(page, `/teams/${team}`);
  await page.getByRole("link", { name: "Change quotas of the team" }).click();
  const form = page.getByRole("form", { name: `Quotas of the team ${team}` });
  await expect(form.getByRole("row", { name: /^Apps/ })).toContainText("1 of 100");
  await expect(form.getByRole("button", { name: "Reset" })).toHaveCount(0);
  await form.getByLabel("Memory, limit").fill("lots");
  await form.getByRole("button", { name: "Save quotas" }).click();
  await expect(form.getByText("Enter a size like 512 MB or 20 GB.")).toBeVisible();
  await expect(form.getByLabel("Memory, limit")).toBeFocused();
  await accessible(page);
  await form.getByLabel("Memory, limit").fill("2 GB");
  await form.getByLabel("Apps, limit").fill("1");
  await press(page, form.getByRole("button", { name: "Save quotas" }));
  await expect(form.getByRole("row", { name: /^Apps/ })).toContainText("1 of 1");
  await expect(form.getByRole("row", { name: /^Apps/ })).toContainText("custom");
  expect(await quota(`/teams/${team}/quotas`, "memory_mb")).toMatchObject({ most: 2048, is_own: true });
  await form.getByRole("button", { name: "Reset Memory" }).click();
  await expect(form.getByLabel("Memory, limit")).toHaveValue("100 GB");
  expect(await quota(`/teams/${team}/quotas`, "memory_mb")).toMatchObject({ is_own: false });
  await accessible(page);
  expect(odd).toEqual([]);
});

test("an app beyond the quota is rejected with a message and a link to the quotas", async ({ page, browser }) => {
  const odd = complaints(page);
  await open(page, `/apps/new?team=${team}`);
  await page.getByLabel("Name").fill(freshName("toomany"));
  await page.getByRole("button", { name: "Create app" }).click();
  const said = page.getByRole("alert").filter({ hasText: "Could not create the app." });
  await expect(said).toContainText("may have at most 1 apps");
  await expect(said).toBeFocused();
  await expect(page.getByLabel("Name")).not.toHaveAttribute("aria-invalid", "true");
  await accessible(page);
  await said.getByRole("link", { name: `Quotas of ${team}` }).click();
  await expect(page.getByRole("region", { name: "Quotas" }).getByRole("row", { name: /^Apps/ })).toContainText("1 of 1");
  // The browser itself logs every rejected request.
  expect(odd.filter((text) => !text.includes("422"))).toEqual([]);
  const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session, javaScriptEnabled: false });
  const bare = await context.newPage();
  await bare.goto(`/apps/new?team=${team}`);
  await bare.getByLabel("Name").fill(freshName("toomany"));
  await bare.getByRole("button", { name: "Create app" }).click();
  await expect(bare.getByRole("alert")).toContainText("may have at most 1 apps");
  await context.close();
});

test("default quotas are set and reset", async ({ page }) => {
  const odd = complaints(page);
  await open(page, "/platform");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Quotas" }).click();
  const form = page.getByRole("form", { name: "Default quotas" });
  await form.getByLabel("Apps, limit").fill("37");
  await form.getByRole("button", { name: "Save quotas" }).click();
  await expect.poll(async () => (await quota("/quotas", "apps")).most).toBe(37);
  await form.getByRole("button", { name: "Reset Apps" }).click();
  await expect(form.getByLabel("Apps, limit")).toHaveValue("100");
  // A user is looked up by the URL of the page.
  await page.getByLabel("Email address or team name").fill("admin@wharf.localhost");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page.getByRole("form", { name: "Quotas of admin@wharf.localhost" }).getByLabel("Apps, limit")).toHaveAttribute("placeholder", "no limit");
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await accessible(page);
  expect(odd).toEqual([]);
});

test("whether a team can invite new users is set on its page", async ({ page }) => {
  await open(page, `/teams/${team}`);
  const region = page.getByRole("region", { name: "New users" });
  await expect(region).toContainText("This has no effect yet");
  await region.getByRole("button", { name: "Allow invitations by its admins" }).click();
  await expect(region.getByRole("button", { name: "Disallow invitations by its admins" })).toBeVisible();
  await api("PATCH", "/invitation-policy", { who: "teams" });
  try {
    await expect(region).toContainText("Admins of this team can invite people who are new to the platform.");
    await accessible(page);
  } finally {
    await api("PATCH", "/invitation-policy", { who: "administrators" });
  }
});

test("the command line shows, sets and resets quotas", async () => {
  const wharfCommand = process.env.WHARFD!.replace(/wharfd$/, "wharf");
  const env = { ...process.env, WHARF_URL: wharf.url, WHARF_API_KEY: wharf.token };
  const said = async (...args: string[]) => (await run(wharfCommand, args, { env })).stdout;
  expect(await said("quotas")).toContain("no limit");
  expect(await said("quotas:set", "dynos=7", "upload_bytes=1GB", "--team", team)).toMatch(/upload_bytes\s+0 B\s+1.0 GB\s+custom/);
  expect(await quota(`/teams/${team}/quotas`, "dynos")).toMatchObject({ most: 7, is_own: true });
  await said("quotas:unset", "dynos", "upload_bytes", "--team", team);
  expect(await quota(`/teams/${team}/quotas`, "dynos")).toMatchObject({ is_own: false });
  expect(await said("quotas", "--default")).toMatch(/^apps\s+100\s/m);
});

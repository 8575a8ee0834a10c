// Releases and builds in one timeline.
import { accessible, api, appOfSpec, open, program, visit } from "../apps";
import { expect, test } from "../world";

const app = appOfSpec("activity", program);
const { name } = app;

test("a config change appears as a release in the timeline without a reload", async ({ page }) => {
  await open(page, `/apps/${name}/activity`);
  await api("PATCH", `/apps/${name}/config-vars`, { TIDE: "high" });
  await expect(page.getByText(/TIDE/).first()).toBeVisible();
  await expect(page.getByText("Current", { exact: true })).toHaveCount(1);
});

test("a rollback shows its effects, and Cancel changes nothing", async ({ page }) => {
  await api("PATCH", `/apps/${name}/config-vars`, { GREETING: "kept" });
  await expect.poll(() => visit(name).then((r) => r.body)).toBe("greeting=kept");
  await open(page, `/apps/${name}/activity`);
  const before = await api<unknown[]>("GET", `/apps/${name}/releases`);
  await page.getByRole("button", { name: /^Roll back to v/ }).first().click();
  const dialog = page.getByRole("dialog").filter({ hasText: "Roll back to" });
  await expect(dialog.getByRole("listitem").first()).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
  expect(await api<unknown[]>("GET", `/apps/${name}/releases`)).toHaveLength(before.length);
});

test("a failed build shows the reason and leaves the old release running", async ({ page }) => {
  test.setTimeout(180_000);
  await open(page, `/apps/${name}/activity`);
  await app.repository.commit({ "requirements.txt": "no-such-package-anywhere==0.0.1\n" }, "Break the build");
  await expect(app.repository.push(name)).rejects.toThrow(/rejected|failed/i);
  await expect(page.getByText(/failed after .*, nothing released/)).toBeVisible();
  await page.getByRole("link", { name: "Open log" }).first().click();
  await expect(page.getByRole("heading", { level: 1, name: /^Build \d+ Failed/ })).toBeVisible();
  await expect(page.getByRole("log", { name: "Build output" })).toContainText("no-such-package-anywhere");
  expect((await visit(name)).status).toBe(200);
});

test("a release phase that hangs is cancelled", async ({ page }) => {
  test.setTimeout(180_000);
  await open(page, `/apps/${name}/activity`);
  const procfile = `${program.Procfile}release: sleep 3600\n`;
  await app.repository.commit({ "requirements.txt": "", Procfile: procfile }, "Migrate for ever");
  const push = app.repository.push(name).catch((error: Error) => error.message);
  const release = page.getByRole("listitem").filter({ hasText: "release phase running" });
  await release.getByRole("button", { name: /^Cancel the release phase of v\d+$/ }).click();
  await expect(page.getByText(/release phase cancelled by .*; the previous release keeps running/)).toBeVisible();
  await expect(release).toBeHidden();
  await push;
  expect((await visit(name)).status).toBe(200);
  await app.repository.commit({ Procfile: program.Procfile }, "Migrate no more");
});

test("the timeline is readable without JavaScript", async ({ browser, baseURL, storageState }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL, storageState });
  const page = await context.newPage();
  await page.goto(`/apps/${name}/activity`);
  await expect(page.getByText("Current", { exact: true })).toBeVisible();
  await context.close();
});

test("a missing build is a 404 in its panel", async ({ page }) => {
  await page.goto(`/apps/${name}/builds/999`);
  await expect(page.getByRole("alert").first()).toContainText("find that build");
});

test("axe finds nothing", async ({ page }) => {
  await open(page, `/apps/${name}`);
  await accessible(page);
  await open(page, `/apps/${name}/activity`);
  await accessible(page);
  await open(page, `/apps/${name}/builds/1`);
  await accessible(page);
});

test("the current code is built again without a push", async ({ page }) => {
  await open(page, `/apps/${name}/activity`);
  await page.getByRole("button", { name: "Redeploy" }).click();
  await expect(page.getByText(/^Build \d+ of the current code has started$/)).toBeVisible();
});

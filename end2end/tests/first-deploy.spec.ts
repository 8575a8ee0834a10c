// The journey of a first deploy: create an app, push, watch the build, open the app, read its log, roll back.
import { Repository, alive, api, complaints, destroyed, freshName, open, program, serving, visit } from "../apps";
import { expect, test } from "../world";

test("from an empty name to a running app and back", async ({ page }) => {
  test.setTimeout(300_000);
  const wrong = complaints(page);
  const name = freshName("first");
  const repository = new Repository();
  await repository.commit(program, "First version");

  await open(page, "/apps");
  await page.getByRole("link", { name: "New app" }).first().click();
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Create app" }).click();

  // The commands to type; there is no build to watch yet.
  await expect(page.getByText(`/${name}.git`).first()).toBeVisible();
  await expect(page.getByText("waiting for the first push")).toBeVisible();

  const pushed = repository.push(name);
  await expect(page.getByRole("log", { name: "Build output" })).toContainText("----->", { timeout: 60_000 });
  expect(await pushed).toContain("remote:");
  await expect(page.getByRole("link", { name: "Open app" }).first()).toBeVisible({ timeout: 60_000 });
  await serving(name);

  // Its log, live: a new line appears immediately.
  await page.getByRole("navigation", { name: "App" }).getByRole("link", { name: "Logs" }).click();
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("ready");
  await visit(name, "/from-the-journey");
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("asked for /from-the-journey");

  // A second release, and a rollback to the first.
  await page.getByRole("navigation", { name: "App" }).getByRole("link", { name: "Activity" }).click();
  await api("PATCH", `/apps/${name}/config-vars`, { GREETING: "second" });
  await expect.poll(() => visit(name).then((r) => r.body)).toBe("greeting=second");
  const releases = await api<{ version: number; description: string }[]>("GET", `/apps/${name}/releases`);
  const deploy = releases.find((r) => r.description.startsWith("Deploy"))!;
  await page.getByRole("button", { name: `Roll back to v${deploy.version}`, exact: true }).click();
  const dialog = page.getByRole("dialog", { name: `Roll back to v${deploy.version}?` });
  await expect(dialog).toContainText("GREETING");
  await dialog.getByRole("button", { name: `Roll back to v${deploy.version}` }).click();
  await expect(page.getByText(`Rollback to v${deploy.version}`).first()).toBeVisible();
  await expect.poll(() => visit(name).then((r) => r.body)).toBe("greeting=none");

  await alive(page);
  expect(wrong).toEqual([]);
  repository.remove();
  await destroyed(name);
});

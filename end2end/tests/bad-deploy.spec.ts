// The journey of a bad deploy: seen, understood, compared, rolled back; and one that never got so far.
import { api, appOfSpec, open, program, serving, visit } from "../apps";
import { expect, test } from "../world";

const app = appOfSpec("bad", program);
const { name } = app;

test("a crashing release is noticed, compared and rolled back", async ({ page }) => {
  test.setTimeout(300_000);
  await open(page, "/apps");
  // It comes up, takes over, and dies of itself, when nobody watches it any more.
  await api("PATCH", `/apps/${name}`, { watch_seconds: 0 });
  const dies = "import os, threading\nthreading.Timer(4, lambda: os._exit(7)).start()\n";
  await app.repository.commit({ "serve.py": dies + program["serve.py"] }, "Make it worse");
  await app.repository.push(name);

  // The list of apps shows it without a reload.
  const attention = page.getByRole("region", { name: "Needs attention" });
  await expect(attention.getByText(name)).toBeVisible({ timeout: 120_000 });
  await attention.getByRole("link", { name: "See why" }).first().click();
  await expect(page.getByRole("heading", { name: "web.1 has crashed" })).toBeVisible();
  await expect(page.getByText("Process exited with status 7").first()).toBeVisible();

  // The changes of the release.
  const tabs = page.getByRole("navigation", { name: "App" });
  await tabs.getByRole("link", { name: "Activity" }).click();
  const bad = page.getByRole("listitem").filter({ hasText: "Make it worse" });
  await expect(bad.getByText("Current", { exact: true })).toBeVisible();
  await bad.getByRole("link", { name: "What changed" }).click();
  const comparison = page.getByRole("complementary", { name: /^v\d+ to v\d+$/ });
  await expect(comparison.getByText("Make it worse")).toBeVisible();
  await expect(comparison.getByText("1 commit", { exact: false })).toBeVisible();
  await expect(page).toHaveURL(/compare=v\d+\.\.v\d+/);
  await comparison.getByRole("button", { name: "Close comparison" }).click();
  await expect(comparison).toBeHidden();

  // The rollback, with its effects shown before.
  const good = page.getByRole("listitem").filter({ hasText: "First version" });
  await good.getByRole("button", { name: /^Roll back to v/ }).click();
  const dialog = page.getByRole("dialog", { name: /^Roll back to v/ });
  await expect(dialog.getByText(/The code goes back to .*, without a build/)).toBeVisible();
  await dialog.getByRole("button", { name: /^Roll back to v/ }).click();
  await expect(page.getByText(/^Rollback to v\d+$/).first()).toBeVisible();
  await serving(name);
  await expect(page.getByText("Up", { exact: true }).first()).toBeVisible({ timeout: 60_000 });
});

test("a release that never comes up is reported prominently, while the previous one serves", async ({ page }) => {
  test.setTimeout(180_000);
  await serving(name);
  await app.repository.commit({ "serve.py": "import sys\nsys.exit(7)\n" }, "Never starts");
  await expect(app.repository.push(name)).rejects.toThrow(/did not stay up: web\.1: Process exited with status 7/);
  await open(page, "/apps");
  const attention = page.getByRole("region", { name: "Needs attention" });
  await expect(attention.getByText(/did not stay up .*status 7.* keeps serving/)).toBeVisible({ timeout: 60_000 });
  expect((await visit(name)).status).toBe(200);
  await open(page, `/apps/${name}`);
  const note = page.getByRole("status").filter({ hasText: /v\d+ did not stay up/ });
  await expect(note).toContainText(/web\.1: Process exited with status 7\. Visitors still get v\d+\./);
  await expect(page.getByText("New release crashes")).toBeVisible();
  await note.getByRole("link", { name: "View its log" }).click();
  await expect(page.getByText("State changed from starting to crashed").first()).toBeVisible();
  // The timeline shows one item for the build and its release, which nobody can roll back to.
  await open(page, `/apps/${name}/activity`);
  const failed = page.getByRole("listitem").filter({ hasText: "Never starts" });
  await expect(failed).toHaveCount(1);
  await expect(failed.getByText(/never came up \(web\.1: Process exited with status 7\); the previous release keeps running/)).toBeVisible();
  await expect(failed.getByRole("button", { name: /Roll back/ })).toHaveCount(0);
  await failed.getByRole("link", { name: "Build log" }).click();
  await expect(page.getByText(/The deploy failed: v\d+ did not stay up/)).toBeVisible();
  await expect(page.getByRole("log", { name: "Build output" })).toContainText("keeps serving traffic");
  // A release that works ends it, without a reload.
  await open(page, `/apps/${name}`);
  await app.repository.commit({ "serve.py": program["serve.py"] }, "Starts again");
  await app.repository.push(name);
  await expect(note).toHaveCount(0, { timeout: 60_000 });
});

test("a release that exits within the watch period is replaced by the one before, which a rollback skips", async ({ page }) => {
  test.setTimeout(180_000);
  await serving(name);
  await open(page, `/apps/${name}/settings`);
  const period = page.getByLabel("Watch period in seconds");
  await period.fill("601");
  await expect(page.getByRole("button", { name: "Save watch period" })).toHaveCount(0);
  await period.fill("20");
  await page.getByRole("button", { name: "Save watch period" }).click();
  await expect(page.getByText("New web dynos are watched for 20 s")).toBeVisible();

  await open(page, `/apps/${name}/activity`);
  const dies = "import os, threading\nthreading.Timer(2, lambda: os._exit(7)).start()\n";
  await app.repository.commit({ "serve.py": dies + program["serve.py"] }, "Dies while it is watched");
  await expect(app.repository.push(name)).rejects.toThrow(/did not stay up: web\.1: Process exited with status 7/);
  expect((await visit(name)).status).toBe(200);
  const failed = page.getByRole("listitem").filter({ hasText: "Dies while it is watched" });
  await expect(failed.getByText(/up for \d+ s, then web\.1: Process exited with status 7; the previous release keeps running/)).toBeVisible();
  await expect(failed.getByText("Current", { exact: true })).toHaveCount(0);

  // The button of the overview goes back to a release that was up.
  await open(page, `/apps/${name}`);
  const back = page.getByRole("button", { name: /^Roll back to v\d+$/ });
  const version = Number((await back.first().textContent())?.replace(/\D/g, ""));
  const target = await api<{ up_at: string | null; status: string }>("GET", `/apps/${name}/releases/${version}`);
  expect([target.status, target.up_at !== null]).toEqual(["succeeded", true]);

  // The same commit can be pushed again, and a release that stays up is current at the end of its push.
  await expect(app.repository.push(name)).rejects.toThrow(/did not stay up/);
  await api("PATCH", `/apps/${name}`, { watch_seconds: 1 });
  await app.repository.commit({ "serve.py": program["serve.py"] }, "Lives on");
  await app.repository.push(name);
  await open(page, `/apps/${name}/activity`);
  const good = page.getByRole("listitem").filter({ hasText: "Lives on" });
  await expect(good.getByText("Current", { exact: true })).toBeVisible();
});

test("a build that fails changes nothing, and there is nothing to roll back to", async ({ page }) => {
  test.setTimeout(180_000);
  await serving(name);
  await app.repository.commit({ "requirements.txt": "no-such-package-anywhere==0.0.1\n" }, "Cannot be built");
  await open(page, `/apps/${name}/activity`);
  await expect(app.repository.push(name)).rejects.toThrow(/rejected|failed/i);
  const failed = page.getByRole("listitem").filter({ hasText: "Cannot be built" });
  await expect(failed.getByText(/nothing released/)).toBeVisible();
  await expect(failed.getByRole("button", { name: /Roll back/ })).toHaveCount(0);
  expect((await visit(name)).status).toBe(200);
});

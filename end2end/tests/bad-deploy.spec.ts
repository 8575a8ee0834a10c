// The journey of a bad deploy: noticed, understood, compared, rolled back; and of a failed build.
import { appOfSpec, open, program, serving, visit } from "../apps";
import { expect, test } from "../world";

const app = appOfSpec("bad", program);
const { name } = app;

test("a crashing release is noticed, compared and rolled back", async ({ page }) => {
  test.setTimeout(300_000);
  await open(page, "/apps");
  // It comes up, takes over, and then exits.
  const dies = "import os, threading\nthreading.Timer(4, lambda: os._exit(7)).start()\n";
  await app.repository.commit({ "serve.py": dies + program["serve.py"] }, "Make it worse");
  // The push reports the crash, and the release exists nevertheless.
  await app.repository.push(name).catch(() => undefined);

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
  await app.repository.push(name).catch(() => undefined);
  await open(page, "/apps");
  const attention = page.getByRole("region", { name: "Needs attention" });
  await expect(attention.getByText(/does not start .*status 7.* keeps serving/)).toBeVisible({ timeout: 60_000 });
  expect((await visit(name)).status).toBe(200);
  await open(page, `/apps/${name}`);
  const note = page.getByRole("status").filter({ hasText: /v\d+ does not start/ });
  await expect(note).toContainText(/web\.1: Process exited with status 7\. Visitors still get v\d+\./);
  await expect(page.getByText("New release crashes")).toBeVisible();
  await note.getByRole("link", { name: "View its log" }).click();
  await expect(page.getByText("State changed from starting to crashed").first()).toBeVisible();
  // A working release ends that, without a reload.
  await open(page, `/apps/${name}`);
  await app.repository.commit({ "serve.py": program["serve.py"] }, "Starts again");
  await app.repository.push(name);
  await expect(note).toHaveCount(0, { timeout: 60_000 });
});

test("a failed build changes nothing, and there is nothing to roll back to", async ({ page }) => {
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

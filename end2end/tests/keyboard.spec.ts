// The journeys with the keyboard only. The spec of the fourth, a config change, uses only keys itself.
import { Repository, api, complaints, deployed, destroyed, freshName, open, press, program, serving, tabTo, visit } from "../apps";
import { expect, test } from "../world";

test("a first deploy", async ({ page }) => {
  test.setTimeout(240_000);
  const wrong = complaints(page);
  const name = freshName("keys");
  await open(page, "/apps");
  // The first target of Tab skips the navigation.
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await press(page, page.getByRole("main").getByRole("link", { name: "New app" }).first());
  await expect(page).toHaveURL(/\/apps\/new$/);
  await tabTo(page, page.getByLabel("Name"));
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await expect(page.getByText("waiting for the first push")).toBeVisible();

  const repository = new Repository();
  await repository.commit(program, "First version");
  const pushed = repository.push(name);
  await expect(page.getByRole("log", { name: "Build output" })).toContainText("----->", { timeout: 60_000 });
  await pushed;
  await tabTo(page, page.getByRole("link", { name: "Open app" }).first());

  // G L: its log; Space pauses it, J selects a line with its details, Escape deselects it.
  await page.keyboard.press("g");
  await page.keyboard.press("l");
  const log = page.getByRole("log", { name: "Log lines" });
  await expect(log).toContainText("ready");
  await tabTo(page, log);
  await page.keyboard.press("Space");
  await expect(page.getByRole("button", { name: "Follow" })).toBeVisible();
  await page.keyboard.press("j");
  const marked = page.getByRole("region", { name: "Selected line" });
  await expect(marked).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(marked).toBeHidden();
  expect(wrong).toEqual([]);
  repository.remove();
  await destroyed(name);
});

test("a bad deploy, compared and rolled back", async ({ page }) => {
  test.setTimeout(240_000);
  const name = freshName("keys-bad");
  const repository = await deployed(name, program);
  await repository.commit({ "serve.py": "import os, threading\nthreading.Timer(4, lambda: os._exit(7)).start()\n" + program["serve.py"] }, "Make it worse");
  await repository.push(name).catch(() => undefined);
  await open(page, "/apps");
  const attention = page.getByRole("region", { name: "Needs attention" });
  await expect(attention.getByText(name)).toBeVisible({ timeout: 90_000 });
  await press(page, attention.getByRole("link", { name: "See why" }).first());
  await expect(page.getByRole("heading", { name: "web.1 has crashed" })).toBeVisible();
  await expect(page.getByRole("group", { name: "Last log lines of web.1" })).toContainText("Process exited with status 7");

  await page.keyboard.press("g");
  await page.keyboard.press("v");
  await expect(page).toHaveURL(/\/activity$/);
  const bad = page.getByRole("listitem").filter({ hasText: "Make it worse" });
  await press(page, bad.getByRole("link", { name: "What changed" }));
  const comparison = page.getByRole("complementary", { name: /^v\d+ to v\d+$/ });
  await expect(comparison.getByText("Make it worse")).toBeVisible();
  await press(page, comparison.getByRole("button", { name: "Close comparison" }));
  await expect(comparison).toBeHidden();

  const good = page.getByRole("listitem").filter({ hasText: "First version" });
  await press(page, good.getByRole("button", { name: /^Roll back to v/ }));
  const dialog = page.getByRole("dialog", { name: /^Roll back to v/ });
  await expect(dialog).toBeVisible();
  // Escape cancels, and the focus returns.
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(good.getByRole("button", { name: /^Roll back to v/ })).toBeFocused();
  await page.keyboard.press("Enter");
  await press(page, dialog.getByRole("button", { name: /^Roll back to v/ }));
  await expect(page.getByText(/^Rollback to v\d+$/).first()).toBeVisible();
  await serving(name);
  repository.remove();
  await destroyed(name);
});

test("an incident, from the chart to the line to the release", async ({ page }) => {
  test.setTimeout(240_000);
  const name = freshName("keys-inc");
  const repository = await deployed(name, program);
  await api("PATCH", `/apps/${name}/config-vars`, { GREETING: "broken" });
  await expect.poll(() => visit(name).then((r) => r.body)).toBe("greeting=broken");
  for (let n = 0; n < 8; n++) await visit(name, "/error");
  await open(page, `/apps/${name}`);
  await page.keyboard.press("g");
  await page.keyboard.press("m");
  const chart = page.getByRole("region", { name: "Throughput" });
  await expect(page.getByRole("img", { name: /Events: .*GREETING/ })).toBeVisible();
  await tabTo(page, chart.getByRole("slider"));
  await page.keyboard.press("e");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/logs\?at=/);
  const log = page.getByRole("log", { name: "Log lines" });
  await expect(log).toContainText("something broke");

  await page.keyboard.press("/");
  await expect(page.getByLabel("Search the log")).toBeFocused();
  await page.keyboard.type('path="/error"');
  await expect(log).not.toContainText("asked for");
  await tabTo(page, log);
  await page.keyboard.press("j");
  const marked = page.getByRole("region", { name: "Selected line" });
  await press(page, marked.getByRole("button", { name: "Lines of this request" }));
  await expect(page).toHaveURL(/q=[0-9a-f-]{36}/);

  // The focus may be in the log, where G scrolls to the end.
  await press(page, page.getByRole("navigation", { name: "App" }).getByRole("link", { name: "Activity" }));
  const release = page.getByRole("listitem").filter({ hasText: "GREETING" });
  await press(page, release.getByRole("link", { name: "What changed" }));
  await expect(page.getByRole("complementary", { name: /^v\d+ to v\d+$/ }).getByText("GREETING")).toBeVisible();
  repository.remove();
  await destroyed(name);
});

test("the palette says what to do instead of a command that only Heroku has", async ({ page }) => {
  await open(page, "/apps");
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Search or run a command" });
  await palette.getByRole("combobox").fill("heroku domains:add www.example.com");
  await expect(palette.getByText("Wharf has no domains:add. Custom domains do not exist yet.")).toBeVisible();
  await expect(palette.getByText("No results.")).toHaveCount(0);
});

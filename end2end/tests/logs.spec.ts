// The log viewer: live, filtered on the server, resumed after an interruption.
import { accessible, appOfSpec, complaints, open, program, visit } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("logs", program);

test("new lines arrive live", async ({ page }) => {
  const wrong = complaints(page);
  await open(page, `/apps/${name}/logs`);
  const log = page.getByRole("log", { name: "Log lines" });
  await visit(name, "/look-here");
  await expect(log).toContainText("asked for /look-here");
  await expect(log).toContainText("status=");
  expect(wrong).toEqual([]);
});

test("the server's page has lines without JavaScript", async ({ browser, baseURL, storageState }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL, storageState });
  const page = await context.newPage();
  await page.goto(`/apps/${name}/logs`);
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("ready");
  await context.close();
});

test("a search covers the whole history, and its URL can be shared", async ({ page }) => {
  await visit(name, "/needle-in-the-log");
  await visit(name, "/hay");
  await open(page, `/apps/${name}/logs`);
  const log = page.getByRole("log", { name: "Log lines" });
  await page.getByLabel("Search the log").fill("asked for /needle");
  await expect(log).toContainText("needle-in-the-log");
  await expect(log).not.toContainText("/hay");
  await expect(page).toHaveURL(/q=asked/);
  await page.reload();
  await expect(log).toContainText("needle-in-the-log");
  await expect(log).not.toContainText("/hay");
  await expect(log.locator("mark").first()).toHaveText("asked for /needle");
  await page.getByRole("button", { name: "Regular expression" }).click();
  await page.getByLabel("Search the log").fill("/n[a-z]+-in");
  await expect(log.locator("mark").first()).toHaveText("/needle-in");
});

test("sources and levels filter the lines", async ({ page }) => {
  await visit(name, "/error");
  await open(page, `/apps/${name}/logs`);
  const log = page.getByRole("log", { name: "Log lines" });
  await page.getByRole("button", { name: "Router", exact: true }).click();
  await expect(log).toContainText("method=");
  await expect(log).not.toContainText("asked for");
  await page.getByRole("button", { name: "All sources", exact: true }).click();
  await page.getByLabel("Level").selectOption("Errors");
  await expect(log).toContainText("something broke");
  await expect(log).not.toContainText("asked for");
});

test("pausing keeps the position and counts new lines", async ({ page }) => {
  await open(page, `/apps/${name}/logs`);
  await page.getByRole("log", { name: "Log lines" }).focus();
  await page.keyboard.press("Space");
  await visit(name, "/while-paused");
  await expect(page.getByRole("button", { name: /Paused\. \d+ new line/ })).toBeVisible();
  await page.keyboard.press("g");
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("/while-paused");
});

test("a line has a URL", async ({ page }) => {
  await visit(name, "/addressed");
  await open(page, `/apps/${name}/logs?q=asked+for+%2Faddressed`);
  await page.getByText("asked for /addressed").first().click();
  const panel = page.getByRole("region", { name: "Selected line" });
  await expect(panel).toContainText("asked for /addressed");
  await panel.getByRole("button", { name: "Show in context" }).click();
  await expect(page).toHaveURL(/at=/);
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("asked for /addressed");
});

test("a broken connection is reopened without gaps or duplicate lines", async ({ page, context }) => {
  await open(page, `/apps/${name}/logs`);
  const log = page.getByRole("log", { name: "Log lines" });
  await visit(name, "/before-the-break");
  await expect(log).toContainText("/before-the-break");
  await context.setOffline(true);
  await page.evaluate(() => window.dispatchEvent(new Event("offline")));
  await visit(name, "/during-the-break");
  await context.setOffline(false);
  await visit(name, "/after-the-break");
  await expect(log).toContainText("/after-the-break", { timeout: 30_000 });
  for (const part of ["before", "during", "after"]) {
    await expect(log.getByText(`asked for /${part}-the-break`, { exact: true })).toHaveCount(1);
  }
});

test("axe finds nothing", async ({ page }) => {
  await open(page, `/apps/${name}/logs`);
  await accessible(page);
});

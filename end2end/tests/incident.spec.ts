// The journey of an incident: from the chart to the lines of that moment to the release behind it.
import { api, appOfSpec, open, program, visit } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("incident", program);

test("from metrics to logs to the release", async ({ page }) => {
  test.setTimeout(240_000);
  await api("PATCH", `/apps/${name}/config-vars`, { GREETING: "broken" });
  await expect.poll(() => visit(name).then((r) => r.body)).toBe("greeting=broken");
  for (let n = 0; n < 8; n++) await visit(name, "/error");
  await open(page, `/apps/${name}/metrics`);

  // The chart shows the failed requests once they are measured, without a reload.
  const chart = page.getByRole("region", { name: "Throughput" });
  // Its legend shows the current value, so the errors continue until it is seen.
  await expect(async () => {
    await visit(name, "/error");
    await expect(chart.getByRole("button", { name: /^5xx [\d.]*[1-9]/ })).toBeVisible({ timeout: 1_500 });
  }).toPass({ timeout: 60_000 });
  await expect(page.getByRole("img", { name: /Events: .*GREETING/ })).toBeVisible();

  // By keyboard: to the event, and to the lines of that moment.
  await chart.getByRole("slider").focus();
  await page.keyboard.press("e");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/logs\?at=/);
  const log = page.getByRole("log", { name: "Log lines" });
  await expect(log).toContainText("something broke");

  // All lines of one request.
  await page.getByLabel("Search the log").fill("path=\"/error\"");
  await expect(page).toHaveURL(/q=path/);
  await expect(log).not.toContainText("asked for");
  await expect(log).toContainText("status=500");
  await log.getByText('path="/error"').first().click();
  const panel = page.getByRole("region", { name: "Selected line" });
  await expect(panel.getByText("Request", { exact: true })).toBeVisible();
  await panel.getByRole("button", { name: "Lines of this request" }).click();
  await expect(page).toHaveURL(/q=[0-9a-f-]{36}/);

  // And the release just before.
  await page.getByRole("navigation", { name: "App" }).getByRole("link", { name: "Activity" }).click();
  const release = page.getByRole("listitem").filter({ hasText: "GREETING" });
  await release.getByRole("link", { name: "What changed" }).click();
  await expect(page.getByRole("complementary", { name: /^v\d+ to v\d+$/ }).getByText("GREETING")).toBeVisible();
});

test("a range without data shows a message and no error", async ({ page }) => {
  await open(page, `/apps/${name}/logs?q=never-said-by-anybody`);
  await expect(page.getByText("No lines match this filter.")).toBeVisible();
  await open(page, `/apps/${name}/logs?regex=%28`);
  await expect(page.getByRole("alert").filter({ hasText: "regular expression" }).first()).toBeVisible();
});

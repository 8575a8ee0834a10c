// The journey of a config change: several vars in one release that reaches the app; and a rejected change.
import { api, appOfSpec, complaints, open, program, tabTo, visit } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("change", program);

test("two vars are set by keyboard alone and reach the app as one release", async ({ page }) => {
  test.setTimeout(180_000);
  const wrong = complaints(page);
  const before = await api<unknown[]>("GET", `/apps/${name}/releases`);
  await open(page, "/apps");
  await page.keyboard.press("Control+k");
  await page.keyboard.type(`${name} settings`);
  await expect(page.getByRole("option", { name: `${name}, settings and config vars` })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/apps/${name}/settings$`));

  for (const [key, value] of [["GREETING", "by keyboard"], ["TIDE", "high"]]) {
    await tabTo(page, page.getByLabel("New key"));
    await page.keyboard.type(`${key}=${value}`);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("row", { name: new RegExp(key) })).toBeVisible();
  }
  const bar = page.getByRole("region", { name: "Unsaved changes" });
  await expect(bar).toContainText("2 keys will be saved as a single release");
  await tabTo(page, bar.getByRole("button", { name: /^Save/ }));
  await page.keyboard.press("Enter");
  await expect(bar).toBeHidden();
  await expect.poll(() => visit(name).then((r) => r.body), { timeout: 60_000 }).toBe("greeting=by keyboard");
  expect(await api<unknown[]>("GET", `/apps/${name}/releases`)).toHaveLength(before.length + 1);

  // G V: the release is in the timeline, with the keys that it set.
  await page.keyboard.press("g");
  await page.keyboard.press("v");
  await expect(page).toHaveURL(/\/activity$/);
  await expect(page.getByRole("listitem").filter({ hasText: "GREETING" }).getByText("Current", { exact: true })).toBeVisible();
  expect(wrong).toEqual([]);
});

test("an invalid key is rejected at its field, and nothing is saved", async ({ page }) => {
  const before = await api("GET", `/apps/${name}/config-vars`);
  await open(page, `/apps/${name}/settings`);
  await page.getByLabel("New key").fill("NOT A KEY=1");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("New key")).toHaveAttribute("aria-invalid", "true");
  expect(await api("GET", `/apps/${name}/config-vars`)).toEqual(before);
});

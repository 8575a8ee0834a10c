// Samples: an app from a sample, built like any push.
import { accessible, api, complaints, destroyed, freshName, open, visit } from "../apps";
import { expect, test } from "../world";

const taken = freshName("sample");

// The second test continues from the state of the first one.
test.describe.configure({ mode: "serial" });

test.afterAll(async () => destroyed(taken));

test("a sample becomes a running app", async ({ page }) => {
  test.setTimeout(240_000);
  const wrong = complaints(page);
  await open(page, "/apps/new");
  await page.getByLabel("Name").fill(taken);
  await page.getByRole("radio", { name: /Sample: Static site/ }).check();
  await page.getByRole("button", { name: "Create app" }).click();
  // A site is built within a second, so the release may exist already.
  const build = page.getByRole("log", { name: "Build output" }).filter({ hasText: "----->" });
  await expect(build.or(page.getByRole("heading", { name: /^Release v/ })).first()).toBeVisible({ timeout: 60_000 });
  await expect(page.getByRole("link", { name: "Open app" }).first()).toBeVisible({ timeout: 120_000 });
  await expect.poll(() => visit(taken).then((r) => r.body, () => ""), { timeout: 60_000 }).toContain("Hello from Wharf");
  expect(wrong).toEqual([]);
});

test("a sample does not replace existing code", async () => {
  await expect(api("POST", `/apps/${taken}/samples/static`)).rejects.toThrow(/422.*already has code/);
  await expect(api("POST", `/apps/${taken}/samples/nope`)).rejects.toThrow(/404/);
});

test("axe finds nothing", async ({ page }) => {
  await open(page, "/apps/new");
  await accessible(page);
});

// The list of apps, and creating one.
import { accessible, api, complaints, destroyed, freshName, open } from "../apps";
import { expect, test } from "../world";

test("a new app appears in the list, and a destroyed one disappears, without a reload", async ({ page }) => {
  const wrong = complaints(page);
  await open(page, "/apps");
  const name = freshName("list");
  await api("POST", "/apps", { name });
  await expect(page.getByRole("link", { name, exact: true })).toBeVisible();
  await api("DELETE", `/apps/${name}`);
  await expect(page.getByRole("link", { name, exact: true })).toHaveCount(0);
  expect(wrong).toEqual([]);
});

test("the list is readable without JavaScript", async ({ browser, baseURL, storageState }) => {
  const name = freshName("plain");
  await api("POST", "/apps", { name });
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL, storageState });
  const page = await context.newPage();
  await page.goto("/apps");
  await expect(page.getByRole("link", { name, exact: true })).toBeVisible();
  await page.getByRole("link", { name, exact: true }).click();
  await expect(page.getByRole("heading", { name: "Push your code" })).toBeVisible();
  await context.close();
  await destroyed(name);
});

test("filtering by name hides the others", async ({ page }) => {
  const [one, other] = [freshName("filter-a"), freshName("filter-b")];
  await api("POST", "/apps", { name: one });
  await api("POST", "/apps", { name: other });
  await open(page, "/apps");
  await page.keyboard.press("/");
  await page.keyboard.type(one);
  await expect(page.getByRole("link", { name: one, exact: true })).toBeVisible();
  await expect(page.getByRole("link", { name: other, exact: true })).toHaveCount(0);
  await destroyed(one);
  await destroyed(other);
});

test("an invalid name is rejected at its field", async ({ page }) => {
  await open(page, "/apps/new");
  await page.getByLabel("Name").fill("Not_A-Name");
  await expect(page.getByText("can only contain lowercase letters")).toBeVisible();
  await expect(page.getByLabel("Name")).toHaveAttribute("aria-invalid", "true");
});

test("a name that is taken is rejected with the platform's message", async ({ page }) => {
  const name = freshName("taken");
  await api("POST", "/apps", { name });
  await open(page, "/apps/new");
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Create app" }).click();
  await expect(page.getByText(/already taken/)).toBeVisible();
  await expect(page).toHaveURL(/\/apps\/new$/);
  await destroyed(name);
});

test("an unknown app shows an error in place of its data", async ({ page }) => {
  const answer = await page.goto("/apps/there-is-no-such-app");
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole("alert").first()).toContainText("Couldn't find that app.");
});

test("an unknown URL is a 404 with a link back", async ({ page }) => {
  const answer = await page.goto("/nothing/here");
  expect(answer?.status()).toBe(404);
  await page.getByRole("link", { name: "Go to apps" }).click();
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
});

test("axe finds nothing on the pages that need no app", async ({ page }) => {
  for (const path of ["/apps", "/apps/new", "/platform", "/audit", "/account", "/login"]) {
    await page.goto(path);
    await expect(page.locator("#main")).toBeVisible();
    await accessible(page);
  }
});

test("loads that a network change interrupted are retried", async ({ page }) => {
  let broken = 0;
  await page.route(/\.(bin|wasm)$/, (route) => (broken++ < 3 ? route.abort("internetdisconnected") : route.continue()));
  await open(page, "/apps");
  expect(broken).toBeGreaterThan(3);
});

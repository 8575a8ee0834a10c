// The essential forms, in a browser without JavaScript.
import { api, destroyed, freshName } from "../apps";
import { expect, test } from "../world";

const name = freshName("forms");
test.use({ javaScriptEnabled: false });
test.afterAll(async () => destroyed(name));

test("an app is created and configured without JavaScript", async ({ page }) => {
  await page.goto("/apps/new");
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Create app" }).click();
  await expect(page).toHaveURL(new RegExp(`/apps/${name}$`));
  await expect(page.getByText(`/${name}.git`).first()).toBeVisible();
  await page.getByRole("navigation", { name: "App" }).getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("New key").fill("GREETING");
  await page.getByLabel("New value").fill("a & b");
  await page.getByRole("button", { name: "Add key" }).click();
  await expect(page.getByRole("row", { name: /GREETING/ })).toBeVisible();
  expect(await api("GET", `/apps/${name}/config-vars`)).toEqual({ GREETING: "a & b" });
});

test("a rejection shows the reason and a link back", async ({ page }) => {
  await page.goto("/apps/new");
  await page.getByLabel("Name").fill("No Good");
  await page.getByRole("button", { name: "Create app" }).click();
  await expect(page.getByRole("alert")).toContainText(/name/i);
  await page.getByRole("link", { name: "Back to the form" }).click();
  await expect(page.getByRole("button", { name: "Create app" })).toBeVisible();
});

test("another site cannot send them", async ({ request }) => {
  const answer = await request.post("/forms/apps", { form: { name: freshName("evil") }, headers: { origin: "http://evil.example" } });
  expect(answer.status()).toBe(403);
});

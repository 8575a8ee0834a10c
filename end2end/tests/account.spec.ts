// Tokens, sessions, appearance, and the keyboard that every page has.
import { api, open, signInBy } from "../apps";
import { expect, test, wharf } from "../world";

test("a token is shown once, works, and works no more once revoked", async ({ page }) => {
  await open(page, "/account");
  const what = `laptop ${Date.now()}`;
  await page.getByLabel("What the token is for").fill(what);
  await page.getByRole("button", { name: "New token" }).click();
  const token = (await page.getByRole("status").filter({ hasText: what }).locator("code").textContent())!;
  const ask = () => fetch(`${wharf.url}/account`, { headers: { accept: "application/json", authorization: `Bearer ${token}` } });
  expect((await ask()).status).toBe(200);
  await page.reload();
  await expect(page.getByRole("row", { name: new RegExp(what) })).toBeVisible();
  await expect(page.getByText(token)).toHaveCount(0);
  await page.getByRole("button", { name: `Revoke the token for ${what}` }).click();
  await expect(page.getByRole("row", { name: new RegExp(what) })).toHaveCount(0);
  expect((await ask()).status).toBe(401);
});

test("a session that is ended loses its page's stream and its rights", async ({ browser, page, baseURL }) => {
  const { url } = await api<{ url: string }>("POST", "/account/sign-in-links");
  const other = await browser.newContext({ baseURL, storageState: undefined });
  const theirs = await other.newPage();
  await signInBy(theirs, url);
  await open(page, "/account");
  await page.getByRole("button", { name: "End this session" }).first().click();
  await expect(theirs.getByText("You are signed out.")).toBeVisible();
  await theirs.goto("/apps");
  await expect(theirs.getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
  await other.close();
});

test("the theme that is chosen stays, from the first paint on", async ({ page }) => {
  await open(page, "/account");
  await page.getByRole("button", { name: "Dark", exact: true }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.goto("/apps", { waitUntil: "commit" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await open(page, "/account");
  await page.getByRole("button", { name: "System", exact: true }).click();
  await expect(page.locator("html")).not.toHaveAttribute("data-theme", /./);
});

test("everything can be reached by the keyboard", async ({ page }) => {
  await open(page, "/apps");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("audit");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Audit log", level: 1 })).toBeVisible();
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeHidden();
});

test("signing out ends the session", async ({ browser, baseURL }) => {
  const { url } = await api<{ url: string }>("POST", "/account/sign-in-links");
  const context = await browser.newContext({ baseURL, storageState: undefined });
  const page = await context.newPage();
  await signInBy(page, url);
  await page.goto("/account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
  await page.goto("/apps");
  await expect(page.getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
  await context.close();
});

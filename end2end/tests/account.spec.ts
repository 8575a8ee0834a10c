// Tokens, sessions, appearance, and the keyboard that every page has.
import { api, freshName, open, signInBy } from "../apps";
import { expect, test, wharf } from "../world";

test("a token is shown once, works, and stops working when it is revoked", async ({ page }) => {
  await open(page, "/account");
  const what = `laptop ${Date.now()}`;
  await page.getByLabel("Description of the token").fill(what);
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

test("ending a session ends its page's stream and its access", async ({ browser, page, baseURL }) => {
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

test("the selected theme is kept, from the first paint on", async ({ page }) => {
  await open(page, "/account");
  await page.getByRole("button", { name: "Dark", exact: true }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.goto("/apps", { waitUntil: "commit" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await open(page, "/account");
  await page.getByRole("button", { name: "System", exact: true }).click();
  await expect(page.locator("html")).not.toHaveAttribute("data-theme", /./);
});

test("everything is reachable by keyboard", async ({ page }) => {
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

test("a token has a limited scope and an expiry by default", async ({ page }) => {
  await open(page, "/account");
  const what = `bound ${Date.now()}`;
  await page.getByLabel("Description of the token").fill(what);
  await page.getByLabel("Scope of the token").selectOption({ label: "read apps" });
  await page.getByRole("button", { name: "New token" }).click();
  const row = page.getByRole("row", { name: new RegExp(what) });
  await expect(row).toContainText("read");
  await expect(row).not.toContainText("no expiry");
  await page.getByRole("button", { name: `Revoke the token for ${what}` }).click();
  await expect(row).toHaveCount(0);
});

test("a deploy token is for the apps that it names", async ({ page }) => {
  const app = freshName("deployed");
  await api("POST", "/apps", { name: app });
  try {
    await open(page, "/account");
    const what = `CI ${Date.now()}`;
    await page.getByLabel("Description of the token").fill(what);
    await expect(page.getByText("Does not rename, transfer or destroy them.")).toBeVisible();
    await page.getByLabel("Scope of the token").selectOption({ label: "deploy apps" });
    await expect(page.getByText("For CI: pushes, builds, releases and rolls back")).toBeVisible();
    await page.getByLabel("Apps of the token").fill(app);
    await page.getByRole("button", { name: "New token" }).click();
    await expect(page.getByText("It is shown only once.")).toBeVisible();
    const row = page.getByRole("row", { name: new RegExp(what) });
    await expect(row).toContainText(`deploy: ${app}`);
    await expect(row).not.toContainText("no expiry");
    await page.getByRole("button", { name: `Revoke the token for ${what}` }).click();
    await expect(row).toHaveCount(0);
  } finally {
    await api("DELETE", `/apps/${app}`);
  }
});

test("all other sessions end at once, and this one stays", async ({ browser, baseURL }) => {
  const contexts = [];
  for (let i = 0; i < 2; i++) {
    const { url } = await api<{ url: string }>("POST", "/account/sign-in-links");
    const context = await browser.newContext({ baseURL, storageState: undefined });
    await signInBy(await context.newPage(), url);
    contexts.push(context);
  }
  const [here, there] = contexts;
  try {
    const page = here.pages()[0];
    await open(page, "/account");
    await page.getByRole("button", { name: "End all other sessions" }).click();
    await expect(page.getByText("All other browsers have been signed out")).toBeVisible();
    await expect(page.getByRole("button", { name: "End this session" })).toHaveCount(0);
    await there.pages()[0].goto("/apps");
    await expect(there.pages()[0].getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
    await page.goto("/apps");
    await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  } finally {
    // The session of the other specs has ended, too: from here on they use this one.
    await here.storageState({ path: wharf.session });
    await there.close();
    await here.close();
  }
});

test("the button beside a client's id copies the id", async ({ browser }) => {
  const made = await api<{ id: string; secret: string }>("POST", "/oauth/clients", {
    name: "copied",
    redirect_uri: "https://copied.example.com/callback",
  });
  const context = await browser.newContext({
    baseURL: wharf.url,
    storageState: wharf.session,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  await open(page, "/account");
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy the ID of copied" }).click();
  await expect.poll(clipboard).toBe(made.id);
  await page.getByRole("button", { name: "Copy the secret of copied" }).click();
  await expect.poll(clipboard).toBe(made.secret);
  await api("DELETE", `/oauth/clients/${made.id}`);
  await context.close();
});

test("the sign-in page does not repeat text from its URL", async ({ browser, baseURL }) => {
  const context = await browser.newContext({ baseURL, storageState: undefined });
  const page = await context.newPage();
  for (const next of ["//evil.test/call-us", "/your-account-is-locked", "/apps/call-0900-1234"]) {
    await page.goto(`/login?next=${encodeURIComponent(next)}`);
    await expect(page.getByRole("main")).not.toContainText(/evil|locked|0900/);
  }
  await context.close();
});

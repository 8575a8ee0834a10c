// Sign-in methods: linking a second provider to an account, declining, unlinking, and the administrator's view.
import type { Locator, Page } from "@playwright/test";

import { accessible, alive, api, complaints, open, press, sql } from "../apps";
import { IdentityProvider, agree, browserOf } from "../provider";
import { expect, test, wharf } from "../world";

const ada = "ada@linked.test";
const people = {
  ada: { email: ada, email_verified: true },
  // The same person with another address, and somebody without an account.
  "ada-too": { email: "ada.too@linked.test", email_verified: true },
  bob: { email: "bob@linked.test", email_verified: true },
  eve: { email: "eve@elsewhere.test", email_verified: true },
};
const harbour = new IdentityProvider("harbour", "Harbour ID", people);
const pier = new IdentityProvider("pier", "Pier ID", people);

// Each test continues from the state of the previous one.
test.describe.configure({ mode: "serial" });

test.beforeAll(async () => {
  await harbour.start({ domains: ["linked.test"] });
  await pier.start({ domains: ["linked.test"], admits: false });
});
test.afterAll(async () => {
  await sql("delete from identities where subject like 'many-%'");
  await harbour.stop();
  await pier.stop();
});

/** Only errors on our own pages count: the provider's pages load fonts from other hosts. */
const complaintsOfOurs = (page: Page) => complaints(page, (url) => url.startsWith(wharf.url));
const ways = (page: Page) => page.getByRole("region", { name: "Sign-in" });
const rows = (page: Page, title: string) => ways(page).getByRole("listitem").filter({ hasText: title });

/** Nothing overflows a window with the width of a phone. */
async function fitsAPhone(page: Page) {
  const before = page.viewportSize()!;
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await page.setViewportSize(before);
}

test("the only sign-in method stays; another is proposed, declined, proposed again and linked", async ({ browser }) => {
  const { context, page } = await browserOf(browser);
  const odd = complaintsOfOurs(page);
  await harbour.signIn(page, "ada");
  await open(page, "/account");
  await expect(rows(page, "Harbour ID")).toContainText(ada);
  await expect(rows(page, "Harbour ID")).toContainText("your only sign-in method");
  await expect(ways(page).getByRole("button", { name: /^Unlink/ })).toHaveCount(0);
  await ways(page).getByRole("link", { name: "Link Pier ID" }).click();
  await agree(page, "ada-too");
  await expect(page).toHaveURL(`${wharf.url}/account`);
  await alive(page);
  const waits = page.getByRole("group", { name: "Link Pier ID" });
  await expect(waits).toContainText("ada.too@linked.test");
  await expect(waits).toContainText("left to decide");
  await accessible(page);
  await fitsAPhone(page);
  await waits.getByRole("button", { name: "Decline" }).click();
  await expect(waits).toHaveCount(0);
  await expect(rows(page, "Pier ID")).toHaveCount(0);
  // The provider has a session by now, and does not ask again.
  await ways(page).getByRole("link", { name: "Link Pier ID" }).click();
  await alive(page);
  await press(page, waits.getByRole("button", { name: "Link Pier ID" }));
  await expect(rows(page, "Pier ID")).toContainText("ada.too@linked.test");
  await expect(waits).toHaveCount(0);
  await expect(ways(page).getByText("your only sign-in method")).toHaveCount(0);
  expect(odd).toEqual([]);
  await context.close();
});

test("both methods sign in to the same account, and an unlinked one does not", async ({ browser }) => {
  const { context, page } = await browserOf(browser);
  const odd = complaintsOfOurs(page);
  await pier.signIn(page, "ada-too");
  await open(page, "/account");
  await expect(page.getByText(ada).first()).toBeVisible();
  await rows(page, "Harbour ID").getByRole("button", { name: "Unlink the account at Harbour ID" }).click();
  const asks = page.getByRole("dialog");
  await expect(asks).toContainText("can no longer sign in through");
  await accessible(page);
  await asks.getByRole("button", { name: "Unlink" }).click();
  await expect(rows(page, "Harbour ID")).toHaveCount(0);
  await expect(rows(page, "Pier ID")).toContainText("your only sign-in method");
  expect(odd).toEqual([]);
  await context.close();
  const other = await browserOf(browser);
  await harbour.signIn(other.page, "ada");
  await expect(other.page.getByRole("alert")).toContainText("Sign in with it, then link Harbour ID on your account page.");
  await accessible(other.page);
  await other.context.close();
});

test("a rejected link shows a message on the account page", async ({ browser }) => {
  const { context, page } = await browserOf(browser);
  await harbour.signIn(page, "bob");
  await open(page, "/account");
  for (const [person, sentence] of [
    ["ada-too", "is already linked to another account here"],
    ["eve", "is not trusted for your email domain here"],
  ]) {
    await context.clearCookies({ name: /^_pier/ });
    await ways(page).getByRole("link", { name: "Link Pier ID" }).click();
    await agree(page, person);
    await expect(page.getByRole("alert").filter({ hasText: "Could not link an account." })).toContainText(sentence);
    await alive(page);
  }
  await accessible(page);
  await fitsAPhone(page);
  await context.close();
});

test("linking works without scripts, but not from another site", async ({ browser, request }) => {
  const { context, page } = await browserOf(browser, { javaScriptEnabled: false });
  await harbour.signIn(page, "bob");
  await page.goto("/account");
  await ways(page).getByRole("link", { name: "Link Pier ID" }).click();
  await agree(page, "bob");
  const asked = await page.getByRole("group", { name: "Link Pier ID" }).locator("form").first().getAttribute("action");
  const from = { headers: { origin: "http://evil.example", cookie: (await context.cookies(wharf.url)).map((c) => `${c.name}=${c.value}`).join("; ") } };
  expect((await request.post(asked!, from)).status()).toBe(403);
  await page.getByRole("group", { name: "Link Pier ID" }).getByRole("button", { name: "Link Pier ID" }).click();
  await expect(rows(page, "Pier ID")).toContainText("bob@linked.test");
  await context.close();
});

test("the sign-in settings show whom a provider admits", async ({ browser, page }) => {
  const odd = complaintsOfOurs(page);
  await open(page, "/sign-in");
  const region = page.getByRole("region", { name: "Pier ID" });
  const everybody = region.getByLabel("Let everybody in these domains sign in");
  await expect(everybody).not.toBeChecked();
  const stranger = await browserOf(browser);
  await pier.signIn(stranger.page, "ada");
  // The account exists, but it is not linked to this identity.
  await expect(stranger.page.getByRole("alert")).toContainText("uses another sign-in method");
  await stranger.context.close();
  await everybody.check();
  await region.getByRole("button", { name: "Save", exact: true }).first().click();
  await expect.poll(async () => (await api<{ name: string; admits: boolean }[]>("GET", "/identity-providers")).find((p) => p.name === "pier")?.admits).toBe(true);
  await accessible(page);
  await fitsAPhone(page);
  expect(odd).toEqual([]);
});

test("an administrator sees a user's sign-in methods, and unlinks one", async ({ page }) => {
  const odd = complaintsOfOurs(page);
  await open(page, "/sign-in");
  await page.getByRole("region", { name: "Accounts" }).getByRole("row", { name: /bob@linked\.test/ }).getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1, name: "bob@linked.test" })).toBeVisible();
  const theirs = page.getByRole("region", { name: "Sign-in methods" });
  await expect(theirs.getByRole("listitem")).toHaveCount(2);
  await accessible(page);
  await fitsAPhone(page);
  await theirs.getByRole("button", { name: "Unlink the Pier ID account of bob@linked.test" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Unlink" }).click();
  await expect(theirs.getByRole("listitem")).toHaveCount(1);
  await page.getByRole("link", { name: "Quotas" }).last().click();
  await expect(page.getByRole("form", { name: "Quotas of bob@linked.test" })).toBeVisible();
  expect(odd).toEqual([]);
  // There is no user of that name.
  await page.goto("/users/nobody@linked.test");
  await expect(page.getByText("Not found")).toBeVisible();
});

/** Follows the links to the end, and collects the results of `found`. */
async function walk(page: Page, path: string, found: (page: Page) => Locator): Promise<Set<string>> {
  const all = new Set<string>();
  await page.goto(path);
  for (let pages = 1; ; pages++) {
    expect(pages, "pages").toBeLessThan(60);
    (await found(page).allTextContents()).forEach((text) => all.add(/many-\d+@/.exec(text)?.[0] ?? ""));
    const link = page.getByRole("link", { name: "More linked accounts", exact: true });
    if ((await link.count()) === 0) return new Set([...all].filter(Boolean));
    await page.goto((await link.getAttribute("href"))!.split("#")[0]);
  }
}

test("0, 1, 201 and 1,001 sign-in methods are all shown, without scripts", async ({ browser, page: admin }) => {
  test.setTimeout(240_000);
  await open(admin, "/users/admin@wharf.localhost");
  await expect(admin.getByText("None. When this user signs in through a provider with this verified email address")).toBeVisible();
  const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session, javaScriptEnabled: false });
  const page = await context.newPage();
  let made = 0;
  for (const n of [1, 201, 1001]) {
    await sql(`insert into identities (id, account_id, provider_id, subject, email, given, created_at, updated_at)
      select gen_random_uuid(), a.id, p.id, 'many-' || i, 'many-' || i || '@linked.test', '{}', now(), now() - i * interval '1 minute'
      from generate_series(${made + 1}, ${n}) i, accounts a, identity_providers p
      where a.email = 'admin@wharf.localhost' and p.name = 'pier'`);
    made = n;
    expect((await walk(page, "/account", (p) => ways(p).getByRole("listitem"))).size).toBe(n);
    expect((await walk(page, "/users/admin@wharf.localhost", (p) => p.getByRole("region", { name: "Sign-in methods" }).getByRole("listitem"))).size).toBe(n);
  }
  await context.close();
  await open(admin, "/account");
  await accessible(admin);
  await fitsAPhone(admin);
});

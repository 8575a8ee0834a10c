// Sign-in with a real OpenID provider: accepted and rejected sign-ins, and attacks by a page of an app.
import type { Page } from "@playwright/test";
import { accessible, api, complaints, open } from "../apps";
import { IdentityProvider, agree, browserOf } from "../provider";
import { expect, test, wharf } from "../world";

const acme = new IdentityProvider("acme", "Acme ID", {
  ada: { email: "ada@acme.test", email_verified: true },
  eve: { email: "eve@evil.test", email_verified: true },
  uma: { email: "uma@acme.test", email_verified: false },
});
const signIn = (page: Page, name: string, from?: string) => acme.signIn(page, name, from);

test.beforeAll(async () => {
  await api("POST", "/teams", { name: "crew" });
  await acme.start({ rules: [{ domain: "acme.test", team: "crew", role: "member" }] });
});

test.afterAll(async () => {
  await acme.stop();
  await api("DELETE", "/teams/crew");
});

test("the second person is admitted by the domain's rule, and returns to the requested page", async ({ browser }) => {
  const { context, page } = await browserOf(browser);
  await signIn(page, "ada", "/audit");
  await expect(page).toHaveURL(`${wharf.url}/audit`);
  await page.goto("/account");
  await expect(page.getByText("ada@acme.test").first()).toBeVisible();
  await expect(page.getByRole("region", { name: "Sign-in" }).getByText("Acme ID", { exact: true })).toBeVisible();
  const teams = await page.evaluate(async () => (await fetch("/teams", { headers: { accept: "application/json" } })).json());
  expect(teams.map((team: { name: string; role: string }) => `${team.name} ${team.role}`)).toEqual(["crew member"]);
  await context.close();
});

test("the third person is rejected with a message, and so is an unverified address", async ({ browser }) => {
  for (const [name, sentence] of [
    ["eve", "is not trusted for your email domain here"],
    ["uma", "has not verified your email address"],
  ]) {
    const { context, page } = await browserOf(browser);
    await signIn(page, name);
    await expect(page.getByRole("alert")).toContainText(sentence);
    await page.goto("/apps");
    await expect(page.getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
    await context.close();
  }
  const events = await api<{ data: { reason: string } }[]>("GET", "/events?action=session.refuse&max=2");
  expect(events.map((event) => event.data.reason)).toEqual(["address", "domain"]);
});

test("sign-in works without scripts", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: wharf.url, storageState: undefined, javaScriptEnabled: false });
  const page = await context.newPage();
  await signIn(page, "ada");
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  await context.close();
});

test("a callback is accepted once, and only in the browser that started the sign-in", async ({ browser }) => {
  const attacker = await browserOf(browser);
  const victim = await browserOf(browser);
  let back = "";
  // Redirects cannot be intercepted: the URL is recorded while the browser follows it.
  attacker.page.on("request", (request) => {
    if (request.url().includes("/login/oauth/acme/callback?")) back = request.url();
  });
  await signIn(attacker.page, "ada");
  await expect(attacker.page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  expect(back).toContain("code=");
  // A foreign state: the victim is made to open the callback URL of the attacker's sign-in.
  await victim.page.goto(back);
  await expect(victim.page.getByRole("alert")).toContainText("not started in this browser");
  // Replaying it has no effect.
  await attacker.page.goto(back);
  await expect(attacker.page.getByRole("alert")).toContainText("is already complete");
  await attacker.context.close();
  await victim.context.close();
});

test("there are no redirects to other sites, and an existing session is replaced", async ({ browser }) => {
  const { context, page } = await browserOf(browser);
  await page.goto("/login?next=https%3A%2F%2Fevil.test%2F");
  const before = await page.getByRole("link", { name: "Continue with Acme ID" }).getAttribute("href");
  await page.goto(before!);
  const planted = (await context.cookies(wharf.url)).find((cookie) => cookie.name === "wharf")!.value;
  await agree(page, "ada");
  await expect(page).toHaveURL(`${wharf.url}/apps`);
  const after = (await context.cookies(wharf.url)).find((cookie) => cookie.name === "wharf")!;
  expect(after.value).not.toBe(planted);
  expect([after.httpOnly, after.sameSite, after.domain]).toEqual([true, "Lax", "localhost"]);
  await context.close();
});

test("a page of an app cannot write with the visitor's cookie, nor set one for the console", async ({ browser }) => {
  const context = await browser.newContext({ baseURL: wharf.url, storageState: undefined, bypassCSP: true });
  const page = await context.newPage();
  await signIn(page, "ada");
  await expect(page).toHaveURL(`${wharf.url}/apps`);
  // A page on the host of an app: to the browser, the same site.
  await page.goto(`${wharf.url.replace("localhost", "evil.localhost")}/`);
  const answered = page.waitForResponse((response) => response.url() === `${wharf.url}/apps` && response.request().method() === "POST");
  await page.evaluate((url) => {
    fetch(`${url}/apps`, { method: "POST", credentials: "include", mode: "no-cors", body: '{"name": "stolen"}' }).catch(() => {});
  }, wharf.url);
  // For localhost the browser does not send the cookie (401); on a real domain, the Origin is rejected (403).
  expect([401, 403]).toContain((await answered).status());
  await page.evaluate(() => {
    document.cookie = "wharf=planted; domain=localhost; path=/";
  });
  await page.goto("/account");
  await expect(page.getByText("ada@acme.test").first()).toBeVisible();
  const apps = await api<{ name: string }[]>("GET", "/apps");
  expect(apps.map((one) => one.name)).not.toContain("stolen");
  await context.close();
});

test("a program is authorized, acts for the user, and is revoked", async ({ page }) => {
  const client = await api<{ id: string; secret: string }>("POST", "/oauth/clients", {
    name: "Dashboard",
    redirect_uri: "https://dashboard.example.com/back",
  });
  let back = "";
  await page.route("https://dashboard.example.com/**", (route) => {
    back = route.request().url();
    return route.fulfill({ contentType: "text/html", body: "<h1>Dashboard</h1>" });
  });
  await page.goto(`/oauth/authorize?client_id=${client.id}&response_type=code&scope=read&state=mine`);
  await expect(page.getByRole("heading", { name: "Allow Dashboard?" })).toBeVisible();
  await expect(page.getByText("See your apps, but not their config vars")).toBeVisible();
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Dashboard" })).toBeVisible();
  const query = new URL(back).searchParams;
  expect(query.get("state")).toBe("mine");
  const token = await fetch(`${wharf.url}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "authorization_code", code: query.get("code")!, client_secret: client.secret }),
  }).then((response) => response.json());
  const ask = () =>
    fetch(`${wharf.url}/apps`, { headers: { accept: "application/json", authorization: `Bearer ${token.access_token}` } });
  expect((await ask()).status).toBe(200);
  await open(page, "/account");
  await page.getByRole("button", { name: "Revoke the token for Dashboard" }).click();
  await expect.poll(async () => (await ask()).status).toBe(401);
  await api("DELETE", `/oauth/clients/${client.id}`);
});

test("the audit log is filtered, exported and verified", async ({ page }) => {
  await open(page, "/audit?action=session.refuse");
  await expect(page.getByRole("table")).toContainText("Rejected a sign-in of");
  await expect(page.getByRole("table")).not.toContainText("Signed in through");
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Export these events" }).click();
  expect((await download).suggestedFilename()).toBe("audit.jsonl");
  await page.getByRole("button", { name: "Verify now" }).click();
  await expect(page.getByRole("status").filter({ hasText: "events are unchanged" })).toBeVisible();
});

test("an administrator suspends an account, and reinstates it", async ({ page, browser }) => {
  const { context, page: hers } = await browserOf(browser);
  await signIn(hers, "ada");
  await expect(hers.getByRole("heading", { level: 1, name: "Apps" })).toBeVisible();
  const odd = complaints(page);
  await open(page, "/sign-in");
  const row = page.getByRole("region", { name: "Accounts" }).getByRole("row", { name: /ada@acme\.test/ });
  await accessible(page);
  await row.getByRole("button", { name: "Suspend ada@acme.test" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await expect(row).toContainText("suspended");
  // Her open page shows that, and she cannot sign in again.
  await expect(hers.getByText("You are signed out.")).toBeVisible();
  await row.getByRole("button", { name: "Lift suspension of ada@acme.test" }).click();
  await expect(row).not.toContainText("suspended");
  expect(odd).toEqual([]);
  await context.close();
});

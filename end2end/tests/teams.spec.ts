// Teams: people, roles, access per app, service accounts; and a viewer, who is only offered permitted actions.
import { createHash, randomBytes, randomUUID } from "node:crypto";

import { type Page } from "@playwright/test";

import { accessible, alive, api, complaints, destroyed, freshName, open, signInBy, sql } from "../apps";
import { expect, test, wharf } from "../world";

const team = freshName("team");
const app = freshName("teamapp");
const viewer = `${freshName("vera")}@example.com`;

// Each test continues from the state of the previous one.
test.describe.configure({ mode: "serial" });

test.beforeAll(async () => {
  await api("POST", "/teams", { name: team });
  await api("POST", "/teams/apps", { name: app, team });
});
test.afterAll(async () => {
  await destroyed(app);
});

/** A sign-in link for an invited user: inserted into the database, since no page offers that. */
async function signInLink(email: string): Promise<string> {
  const token = `e2e-${randomBytes(16).toString("hex")}`;
  const hash = createHash("sha256").update(token).digest("hex");
  await sql(`insert into oauth_authorizations
      (id, account_id, description, scope, token_hash, hint, created_at, updated_at)
    select '${randomUUID()}', id, 'end2end', '{global}', '\\x${hash}', 'hint', now(), now()
    from accounts where email = '${email}'`);
  const answer = await fetch(`${wharf.url}/account/sign-in-links`, {
    method: "POST",
    headers: { accept: "application/vnd.heroku+json; version=3", authorization: `Bearer ${token}` },
  });
  return ((await answer.json()) as { url: string }).url;
}

test("a new app is created for the team from its page", async ({ page }) => {
  const name = freshName("teammade");
  await open(page, `/teams/${team}`);
  await page.getByRole("link", { name: "New app" }).click();
  await expect(page.getByLabel("Owner")).toHaveValue(team);
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Create app" }).click();
  await expect(page.getByRole("heading", { level: 1, name: new RegExp(name) })).toBeVisible();
  expect((await api<{ team: { name: string } | null }>("GET", `/apps/${name}`)).team?.name).toBe(team);
  await destroyed(name);
});

test("a user is invited, and the invitation revoked", async ({ page }) => {
  const odd = complaints(page);
  await open(page, "/teams");
  await page.getByRole("region", { name: "Your teams" }).getByRole("link", { name: team }).click();
  await expect(page.getByRole("heading", { level: 1, name: team })).toBeVisible();
  await page.getByLabel("Email address").fill("noor@example.com");
  await page.getByLabel("Role", { exact: true }).selectOption("viewer");
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  const row = page.getByRole("row", { name: /noor@example.com/ });
  await expect(row).toContainText("not accepted yet");
  await accessible(page);
  await row.getByRole("button", { name: /Cancel invitation/ }).click();
  await expect(row).toHaveCount(0);
  expect(odd).toEqual([]);
});

test("roles and access are changed, and the last admin stays", async ({ page }) => {
  await api("PUT", `/teams/${team}/members`, { email: viewer, role: "member" });
  await open(page, `/teams/${team}`);
  const row = page.getByRole("row", { name: new RegExp(viewer) });
  await expect(row).toContainText("operate 1");
  await page.getByLabel(new RegExp(`^Access of .* to ${app}$`)).selectOption("deploy");
  await expect(row).toContainText("deploy 1");
  await row.getByRole("combobox").selectOption("viewer");
  await expect.poll(() => api<{ email: string; role: string }[]>("GET", `/teams/${team}/members`).then((all) => all.find((m) => m.email === viewer)?.role)).toBe("viewer");
  const own = page.getByRole("row", { name: /admin@wharf.localhost/ });
  const confirm = page.getByRole("dialog").getByRole("button", { name: "Remove" });
  // The list is refetched after the change above, possibly between the click and the dialog.
  await expect(async () => {
    if (!(await confirm.isVisible())) await own.getByRole("button", { name: /Remove/ }).click();
    await confirm.click({ timeout: 2000 });
  }).toPass();
  await expect(page.getByText(/needs at least one admin/)).toBeVisible();
});

test("responses after leaving the page cause no errors", async ({ page }) => {
  const odd = complaints(page);
  await open(page, `/teams/${team}`);
  let letThrough = () => {};
  const gate = new Promise<void>((done) => (letThrough = done));
  let held = 0;
  await page.route(`**/teams/${team}/**`, async (route) => {
    held++;
    await gate;
    await route.continue();
  });
  // A change elsewhere: the page refetches everything that depends on it.
  const bot = await api<{ id: string }>("POST", `/teams/${team}/service-accounts`, { name: "late-bot" });
  await expect.poll(() => held).toBeGreaterThan(3);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Account" }).click();
  await expect(page.getByRole("region", { name: "Sessions" })).toBeVisible();
  const answered = page.waitForResponse((response) => response.url().endsWith(`/teams/${team}/quotas`));
  letThrough();
  await (await answered).finished();
  await page.getByRole("button", { name: "Search or run a command" }).click();
  await expect(page.getByRole("dialog").first()).toBeVisible();
  await api("DELETE", `/teams/${team}/service-accounts/${bot.id}`);
  expect(odd).toEqual([]);
});

test("a part of a page that was not found does not leave its title behind", async ({ page }) => {
  await open(page, "/teams");
  let isGone = true;
  await page.route(`**/teams/${team}`, (route) =>
    isGone
      ? route.fulfill({ status: 404, json: { id: "not_found", message: "Couldn't find that team." } })
      : route.continue(),
  );
  await page.getByRole("link", { name: team, exact: true }).first().click();
  await expect(page).toHaveTitle("Not found · Wharf");
  const retried = page.waitForResponse((response) => response.url().endsWith(`/teams/${team}`));
  await page.getByRole("button", { name: "Try again" }).click();
  await (await retried).finished();
  await expect(page.getByText("Couldn't find that team.")).toBeVisible();
  await expect(page).toHaveTitle("Not found · Wharf");
  isGone = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("You are admin")).toBeVisible();
  await expect(page).toHaveTitle(`Team ${team} · Wharf`);
});

test("a service account gets a token, which is shown once", async ({ page }) => {
  const odd = complaints(page);
  await open(page, `/teams/${team}`);
  await page.getByLabel("Name of the service account").fill("deploy-bot");
  await page.getByRole("button", { name: "Add service account" }).click();
  await page.getByRole("button", { name: "New token for deploy-bot" }).click();
  const made = page.getByRole("status").filter({ hasText: "Token of deploy-bot" });
  const token = (await made.locator("code").textContent()) ?? "";
  const asked = await fetch(`${wharf.url}/apps/${app}`, {
    headers: { accept: "application/vnd.heroku+json; version=3", authorization: `Bearer ${token}` },
  });
  expect(asked.status).toBe(200);
  await accessible(page);
  await page.reload();
  await alive(page);
  await expect(page.getByText(token)).toHaveCount(0);
  // A leaked token is revoked and stops working.
  await page.getByRole("button", { name: "Show tokens of deploy-bot" }).click();
  await accessible(page);
  await page.getByRole("button", { name: "Revoke deploy-bot from the console" }).click();
  await expect(page.getByText("No active tokens.")).toBeVisible();
  expect((await fetch(`${wharf.url}/apps/${app}`, {
    headers: { accept: "application/vnd.heroku+json; version=3", authorization: `Bearer ${token}` },
  })).status).toBe(401);
  // Once it is removed, it stands among the accounts, and nobody can give it anything.
  await api("DELETE", `/teams/${team}/service-accounts/deploy-bot`);
  await open(page, "/sign-in");
  const accounts = page.getByRole("region", { name: "Accounts" }).getByRole("row");
  await expect(accounts.filter({ hasText: viewer }).getByRole("button", { name: /^Make administrator/ })).toBeVisible();
  const removed = accounts.filter({ hasText: "removed service account" }).first();
  await expect(removed).toBeVisible();
  await expect(removed.getByRole("button")).toHaveCount(0);
  expect(odd).toEqual([]);
});

test("the owner adds a collaborator and locks the app", async ({ page }) => {
  await open(page, `/apps/${app}/settings`);
  const access = page.getByRole("region", { name: "Access" });
  await access.getByLabel("Email address").fill("outside@example.com");
  await access.getByLabel("Permissions", { exact: true }).selectOption("view");
  await access.getByRole("button", { name: "Add collaborator" }).click();
  const outsider = access.getByRole("button", { name: "Remove outside@example.com" });
  await expect(outsider).toBeVisible();
  await access.getByRole("button", { name: "Lock app", exact: true }).click();
  await expect(access.getByRole("button", { name: "Unlock app", exact: true })).toBeVisible();
  await accessible(page);
  await access.getByRole("button", { name: "Unlock app", exact: true }).click();
  await outsider.click();
  await expect(outsider).toHaveCount(0);
});

/** The links of the menu to pages for administrators. */
const administration = (page: Page) =>
  page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^(Platform|Sign-in|Quotas|Jobs|Audit log)$/ });

test("a viewer sees the app and is only offered permitted actions", async ({ page: ofAdmin, browser }) => {
  await open(ofAdmin, "/teams");
  await expect(administration(ofAdmin)).toHaveCount(5);
  await api("PATCH", `/teams/apps/${app}/collaborators/${viewer}`, { permissions: ["view"] });
  const context = await browser.newContext({ baseURL: wharf.url, storageState: undefined });
  const page = await context.newPage();
  await signInBy(page, await signInLink(viewer));
  await open(page, `/apps/${app}/settings`);
  await expect(page.getByRole("region", { name: "Access" })).toBeVisible();
  for (const name of ["Config vars", "Buildpacks", "Maintenance", "Destroy"]) {
    await expect(page.getByRole("heading", { name })).toHaveCount(0);
  }
  await expect(page.getByRole("button", { name: "Add collaborator" })).toHaveCount(0);
  await open(page, `/apps/${app}/resources`);
  await expect(page.getByRole("button", { name: /Restart|Apply/ })).toHaveCount(0);
  await open(page, `/teams/${team}`);
  await expect(page.getByText("You are viewer")).toBeVisible();
  await expect(page.getByRole("button", { name: /Invite|Remove|Add service account/ })).toHaveCount(0);
  await expect(administration(page)).toHaveCount(0);
  await accessible(page);

  // With access to config vars alone, they are shown, in fields that look read-only.
  await api("PATCH", `/apps/${app}/config-vars`, { COLOUR: "blue" });
  await api("PATCH", `/teams/apps/${app}/collaborators/${viewer}`, { permissions: ["config"] });
  await open(page, `/apps/${app}/settings`);
  const config = page.getByRole("region", { name: "Config vars" });
  await expect(config).toContainText("Read-only: changing them requires deploy access.");
  await config.getByRole("button", { name: "Reveal COLOUR" }).click();
  const value = config.getByLabel("Value of COLOUR");
  await expect(value).toHaveValue("blue");
  await expect(value).not.toBeEditable();
  await expect(value).toHaveCSS("border-top-color", "rgba(0, 0, 0, 0)");
  await expect(page.getByRole("heading", { name: "Buildpacks" })).toHaveCount(0);

  // A removed member loses access to the team immediately.
  await open(page, "/apps");
  await expect(page.getByRole("link", { name: app }).first()).toBeVisible();
  await api("DELETE", `/teams/${team}/members/${viewer}`);
  await expect(page.getByRole("link", { name: app })).toHaveCount(0);
  await context.close();
});

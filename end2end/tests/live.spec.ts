// The live connection: interruptions, restarts, slow readers, sign-out, and a newer server.
import { type Page, type WebSocketRoute } from "@playwright/test";

import { alive, api, appOfSpec, freshName, killServer, open, program, signInBy, visit } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("live", program);

/** Intercepts every connection of the page to `/live`. */
async function tap(page: Page, fromServer = (text: string, _connection: number) => text) {
  const routes: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/live$/, (ws) => {
    const connection = routes.push(ws);
    const server = ws.connectToServer();
    server.onMessage((text) => ws.send(fromServer(String(text), connection)));
  });
  return routes;
}

/** The numbers of the lines `asked for /<what>-<n>` on screen, in order. */
async function numbers(page: Page, what: string): Promise<number[]> {
  const text = await page.getByRole("log", { name: "Log lines" }).innerText();
  return [...text.matchAll(new RegExp(`asked for /${what}-(\\d+)`, "g"))].map((m) => Number(m[1]));
}

test("an interrupted connection resumes without gaps or duplicate lines", async ({ page }) => {
  const routes = await tap(page);
  await open(page, `/apps/${name}/logs?source=app`);
  await expect.poll(() => routes.length).toBe(1);
  for (let n = 1; n <= 15; n++) {
    await visit(name, `/cut-${n}`);
    if (n % 5 !== 0) continue;
    // The next lines are logged while the connection is down.
    await expect.poll(() => routes.length, { timeout: 30_000 }).toBe(n / 5);
    await routes.at(-1)!.close({ code: 1001 });
  }
  await expect.poll(() => numbers(page, "cut"), { timeout: 30_000 }).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  await expect.poll(() => routes.length, { timeout: 30_000 }).toBe(4);
});

test("a killed server requires no reload", async ({ page }) => {
  test.setTimeout(180_000);
  await open(page, `/apps/${name}/logs?source=app`);
  await visit(name, "/kill-1");
  await expect.poll(() => numbers(page, "kill")).toEqual([1]);
  killServer();
  await expect(page.getByText(/^Not live, \d+ s old$/).first()).toBeVisible();
  // Dynos and the router keep running, and lines logged meanwhile are not lost.
  for (let n = 2; n <= 6; n++) expect((await visit(name, `/kill-${n}`)).status).toBe(200);
  await expect.poll(() => numbers(page, "kill"), { timeout: 60_000 }).toEqual([1, 2, 3, 4, 5, 6]);
  await expect(page.getByText("live", { exact: true }).first()).toBeVisible();
  await expect(page.getByText("A new version of Wharf is running.")).toBeHidden();
});

test("changes by others appear without a reload, and unsaved input is kept", async ({ page }) => {
  await open(page, "/account");
  const token = await api<{ id: string }>("POST", "/oauth/authorizations", { description: "made elsewhere" });
  const made = page.getByRole("cell", { name: "made elsewhere", exact: true });
  await expect(made).toBeVisible();
  await api("DELETE", `/oauth/authorizations/${token.id}`);
  await expect(made).toBeHidden();

  await open(page, `/apps/${name}/settings`);
  await page.getByLabel("New key").fill("MINE");
  await api("PATCH", `/apps/${name}/config-vars`, { ELSEWHERE: "1" });
  await expect(page.getByRole("cell", { name: "ELSEWHERE", exact: true })).toBeVisible();
  await expect(page.getByLabel("New key")).toHaveValue("MINE");
});

test("a newer server offers a reload", async ({ page }) => {
  let hellos = 0;
  const newer = (text: string, connection: number) => {
    if (!text.includes('"hello"')) return text;
    hellos++;
    return connection > 1 ? JSON.stringify({ type: "hello", version: "99.0.0" }) : text;
  };
  const routes = await tap(page, newer);
  await open(page, "/apps");
  // A newer version is only detected if the previous one is known.
  await expect.poll(() => hellos).toBe(1);
  await expect(page.getByText("A new version of Wharf is running.")).toBeHidden();
  await routes[0].close({ code: 1001 });
  await expect(page.getByText("A new version of Wharf is running.")).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Reload" }).click();
  await alive(page);
  await expect(page.getByText("A new version of Wharf is running.")).toBeHidden();
});

test("a slow reader learns how many lines it missed", async ({ page }) => {
  test.setTimeout(180_000);
  // A slow reader: its credit messages are held back.
  let held: string[] | null = [];
  let passOn: (text: string) => void = () => undefined;
  await page.routeWebSocket(/\/live$/, (ws) => {
    const server = ws.connectToServer();
    passOn = (text) => server.send(text);
    ws.onMessage((text) => {
      if (held && String(text).includes('"credit"')) held.push(String(text));
      else server.send(text);
    });
    server.onMessage((text) => ws.send(text));
  });
  await open(page, `/apps/${name}/logs?source=app`);
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("ready");
  await visit(name, "/flood/40000");
  await expect.poll(() => api<unknown[]>("GET", `/apps/${name}/log-lines?text=drop+39999&lines=1`).then((l) => l.length), { timeout: 60_000 }).toBe(1);
  const grants = held;
  held = null;
  grants.forEach(passOn);
  await expect(page.getByText(/^[\d,]+ lines left out/)).toBeVisible({ timeout: 60_000 });
  await expect(page.getByRole("log", { name: "Log lines" })).toContainText("drop 39999");
});

test("a filter with few matches does not count as a slow reader", async ({ page }) => {
  await visit(name, "/flood/30000");
  await visit(name, "/needle-1");
  await open(page, `/apps/${name}/logs?q=asked+for+%2Fneedle`);
  await visit(name, "/needle-2");
  await expect.poll(() => numbers(page, "needle"), { timeout: 30_000 }).toEqual([1, 2]);
  await expect(page.getByText(/left out/)).toBeHidden();
});

test("the end of a session ends its streams", async ({ browser, baseURL }) => {
  const { url } = await api<{ url: string }>("POST", "/account/sign-in-links");
  const context = await browser.newContext({ baseURL, storageState: undefined });
  const page = await context.newPage();
  await signInBy(page, url);
  await open(page, `/apps/${name}/logs?source=app`);
  await visit(name, "/signed-in-1");
  await expect.poll(() => numbers(page, "signed-in")).toEqual([1]);
  const own = await page.evaluate(async () => {
    const answer = await fetch("/account/sessions", { headers: { accept: "application/vnd.heroku+json; version=3" } });
    return ((await answer.json()) as { id: string; current?: boolean }[]).find((s) => s.current)!.id;
  });
  await api("DELETE", `/account/sessions/${own}`);
  await expect(page.getByRole("alert").filter({ hasText: "You are signed out." })).toBeVisible();
  await visit(name, "/signed-in-2");
  await page.waitForTimeout(1_000);
  expect(await numbers(page, "signed-in")).toEqual([1]);
  await context.close();
});

test("ended data is no longer marked as live", async ({ page }) => {
  const gone = freshName("gone");
  await api("POST", "/apps", { name: gone });
  await open(page, `/apps/${gone}/logs`);
  await expect(page.getByText("live", { exact: true })).toBeVisible();
  await api("DELETE", `/apps/${gone}`);
  await expect(page.getByText("No longer live")).toBeVisible();
  await expect(page.getByText("live", { exact: true })).toHaveCount(0);
  // The next page is not affected.
  await page.getByRole("link", { name: "Apps" }).first().click();
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  await expect(page.getByText("No longer live")).toHaveCount(0);
});

// Lists of 201 and of 1,001 rows: every page of the console shows some, and links to all of them.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { type Locator, type Page } from "@playwright/test";

import { accessible, api, complaints, freshName, open, sql } from "../apps";
import { expect, test, wharf } from "../world";

const run = promisify(execFile);
const app = freshName("long");
const team = freshName("longteam");
const MOST_ON_A_PAGE = 200;

test.describe.configure({ mode: "serial" });

/** Adds rows to the existing ones, up to `n`. `make` is the select list for the number `i`. */
async function fill(table: string, columns: string, make: string, from: number, to: number) {
  await sql(`insert into ${table} (${columns}) select ${make} from generate_series(${from}, ${to}) i`);
}

const when = "now() - interval '1 day' + i * interval '1 second'";
const me = "(select id from accounts where admin order by created_at limit 1)";
const its = `(select id from apps where name = '${app}')`;

async function fillAll(from: number, to: number) {
  await fill(
    "builds",
    "id, app_id, number, status, account_id, stack, buildpacks, source_description, created_at, updated_at",
    `gen_random_uuid(), ${its}, i, 'failed', ${me}, 'heroku-24', '{}', 'Change ' || i, ${when}, ${when}`,
    from,
    to,
  );
  await fill(
    "releases",
    "id, app_id, version, status, description, account_id, config_id, created_at, updated_at",
    `gen_random_uuid(), ${its}, i + 100, 'succeeded', 'Set KEY' || i, ${me}, (select config_id from apps where id = ${its}), ${when}, ${when}`,
    from,
    to,
  );
  await fill(
    "apps",
    "id, name, owner_id, stack, build_stack, created_at, updated_at",
    `gen_random_uuid(), 'zz-many-' || i, ${me}, 'heroku-24', 'heroku-24', ${when}, ${when}`,
    from,
    to,
  );
  await fill("accounts", "id, email, created_at, updated_at", `gen_random_uuid(), 'many' || i || '@long.test', ${when}, ${when}`, from, to);
  await sql(`insert into team_members (id, team_id, account_id, role, created_at, updated_at)
    select gen_random_uuid(), (select id from teams where name = '${team}'), a.id, 'member', now(), now()
    from accounts a where a.email like 'many%@long.test' on conflict do nothing`);
  await fill(
    "oauth_authorizations",
    "id, account_id, description, scope, token_hash, hint, created_at, updated_at",
    `gen_random_uuid(), ${me}, 'many-' || i, '{read}', sha256(('many' || i)::bytea), 'hint', ${when}, ${when}`,
    from,
    to,
  );
}

/** Follows the links called `next` to the end, and collects the matches of `rows`. */
async function walk(page: Page, path: string, next: string, rows: (page: Page) => Locator): Promise<Set<string>> {
  const all = new Set<string>();
  await page.goto(path);
  for (let pages = 1; ; pages++) {
    expect(pages, "pages").toBeLessThan(60);
    const here = await rows(page).allTextContents();
    expect(here.length).toBeGreaterThan(0);
    expect(here.length).toBeLessThanOrEqual(MOST_ON_A_PAGE);
    here.forEach((text) => all.add(text.trim()));
    const link = page.getByRole("link", { name: next, exact: true });
    if ((await link.count()) === 0) return all;
    const to = await link.getAttribute("href");
    await page.goto(to!.split("#")[0]);
  }
}

test.beforeAll(async () => {
  await api("POST", "/apps", { name: app });
  await api("POST", "/teams", { name: team });
});

test.afterAll(async () => {
  await sql(`delete from builds where app_id = ${its}; delete from releases where app_id = ${its} and version > 100;
    delete from apps where name like 'zz-many-%'; delete from oauth_authorizations where description like 'many-%';
    delete from accounts where email like 'many%@long.test'`);
  await api("DELETE", `/apps/${app}`);
});

for (const [from, n] of [
  [1, 201],
  [202, 1001],
]) {
  test(`${n} rows are shown page by page, all of them, without scripts`, async ({ browser }) => {
    test.setTimeout(240_000);
    await fillAll(from, n);
    const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session, javaScriptEnabled: false });
    const page = await context.newPage();
    const marked = (found: Set<string>, mark: RegExp) => new Set([...found].map((t) => mark.exec(t)?.[0]).filter(Boolean));

    const timeline = await walk(page, `/apps/${app}/activity`, "Show older", (p) => p.locator("ol.tl > li"));
    expect(marked(timeline, /Build \d+/).size).toBe(n);
    expect(marked(timeline, /KEY\d+/).size).toBe(n);
    const apps = await walk(page, "/apps", "More apps", (p) => p.locator("table.apps tbody tr .name"));
    expect(marked(apps, /zz-many-\d+/).size).toBe(n);
    const tokens = await walk(page, "/account", "More tokens", (p) => p.locator("#tokens tbody tr td.name"));
    expect(marked(tokens, /many-\d+/).size).toBe(n);
    const people = await walk(page, `/teams/${team}`, "More people", (p) => p.locator("#people tbody tr .meta"));
    expect(marked(people, /many\d+@/).size).toBe(n);
    const users = await walk(page, "/sign-in", "More accounts", (p) => p.locator("#accounts tbody tr .meta"));
    expect(marked(users, /many\d+@/).size).toBe(n);
    await context.close();
  });
}

test("the newest build of 1,001 opens immediately", async ({ page }) => {
  await open(page, `/apps/${app}/builds/1001`);
  await expect(page.getByRole("heading", { level: 1, name: /^Build 1001/ })).toBeVisible();
});

test("older parts of a timeline are behind a link that is reachable by keyboard", async ({ page }) => {
  const said = complaints(page);
  await open(page, `/apps/${app}/activity`);
  await expect(page.getByText("Build 1001", { exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Show older" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("Build 1001", { exact: true })).toHaveCount(0);
  await expect(page.locator("ol.tl > li").first()).toBeVisible();
  await expect(page.locator("#older")).toBeFocused();
  await page.goBack();
  await expect(page.getByText("Build 1001", { exact: true })).toBeVisible();
  await accessible(page);
  expect(said).toEqual([]);
});

test("counts of an incomplete list are marked as such", async ({ page }) => {
  await open(page, `/teams/${team}`);
  await expect(page.getByText("50+ members")).toBeVisible();
  await open(page, "/apps");
  await expect(page.getByText("On this page:")).toBeVisible();
  await accessible(page);
});

test("any app of a thousand is found by the prefix of its name", async ({ page }) => {
  await open(page, "/account");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("zz-many-987");
  await expect(page.getByRole("listbox", { name: "Results" }).getByRole("option").first()).toContainText("zz-many-987");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: /zz-many-987/ })).toBeVisible();
});

test("a thousand events are shown a hundred at a time", async ({ browser }) => {
  test.setTimeout(240_000);
  for (let made = 0; made < 1001; made += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => api("PATCH", "/account", { name: `many-event-${made + i}` })),
    );
  }
  const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session, javaScriptEnabled: false });
  const found = await walk(await context.newPage(), "/audit?q=many-event", "Show older", (p) => p.locator("tbody tr td.w"));
  expect(found.size).toBeGreaterThanOrEqual(1001);
  await context.close();
});

test("the command line lists all of a thousand rows", async () => {
  const wharfCommand = process.env.WHARFD!.replace(/wharfd$/, "wharf");
  const list = async (...args: string[]) => {
    const env = { ...process.env, WHARF_URL: wharf.url, WHARF_API_KEY: wharf.token };
    const { stdout } = await run(wharfCommand, [...args, "--json"], { env, maxBuffer: 64 << 20 });
    return (JSON.parse(stdout) as unknown[]).length;
  };
  expect(await list("apps")).toBeGreaterThanOrEqual(1002);
  expect(await list("members", "--team", team)).toBe(1002);
  expect(await list("authorizations")).toBeGreaterThanOrEqual(1001);
  expect(await list("builds", "--app", app, "--num", "1000")).toBe(1000);
  expect(await list("releases", "--app", app, "--num", "1000")).toBe(1000);
  expect(await list("audit", "--all", "--num", "1500")).toBeGreaterThan(1000);
});

// Jobs and schedules: the platform's background work, for administrators.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { accessible, api, complaints, open, press, sql } from "../apps";
import { expect, test, wharf } from "../world";

const run = promisify(execFile);
type Job = { id: string; kind: string; state: string };
type Schedule = { name: string; last_run_at: string; last_job: { id: string; state: string } };

const jobs = (query = "") => api<Job[]>("GET", `/jobs${query}`);
const retention = async () => (await api<Schedule[]>("GET", "/schedules")).find((s) => s.name === "retention")!;

/** Enqueues a job, due tomorrow. Returns its id. */
const queued = (kind: string, more = "", values = "") =>
  sql(`insert into jobs (id, kind, subject, params, run_at${more}) values
    (gen_random_uuid(), '${kind}', gen_random_uuid(), '{}', now() + interval '1 day'${values}) returning id`);

// Each test continues from the state of the previous one.
test.describe.configure({ mode: "serial" });
test.afterAll(async () => {
  await sql("delete from jobs where kind like 'spec.%' or run_at > now() + interval '1 hour'");
});

test("schedules show their next run, and can be run immediately", async ({ page }) => {
  const odd = complaints(page);
  await open(page, "/platform");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Jobs" }).click();
  const row = page.getByRole("region", { name: "Schedules" }).getByRole("row", { name: /^retention/ });
  await expect(row).toContainText("7 * * * *");
  await expect(row).toContainText("Etc/UTC");
  await expect(row).toContainText(/in \d+ (min|s)/);
  const before = await retention();
  await press(page, row.getByRole("button", { name: "Run now retention" }));
  await expect(page.getByText("retention.run started")).toBeVisible();
  await expect.poll(async () => (await retention()).last_job.state).toBe("succeeded");
  expect((await retention()).last_job.id).not.toBe(before.last_job.id);
  // The page is updated without a reload.
  await expect(row).toContainText("just now");
  await expect(row).toContainText("succeeded");
  const list = page.getByRole("region", { name: "Jobs" });
  await expect(list.getByRole("row", { name: /^retention.run/ }).first()).toContainText("Succeeded");
  await accessible(page);
  expect(odd).toEqual([]);
});

test("an unfinished job is cancelled, and one that cannot be shows what to do instead", async ({ page }) => {
  const odd = complaints(page);
  await sql("delete from jobs where state = 'cancelled'");
  await open(page, "/jobs?state=cancelled");
  const list = page.getByRole("region", { name: "Jobs" });
  await expect(list).toContainText("No jobs in this state.");
  const job = await queued("retention.run");
  await queued("builds.run");
  await queued("spec.walk", ", state, attempt, started_at, progress, note, lease, lease_until", ", 'running', 1, now(), 0.4, 'mile 2 of 5', gen_random_uuid(), now() + interval '1 day'");
  await queued("spec.sail", ", waits_for", ", 'the tide'");
  await list.getByRole("navigation", { name: "State" }).getByRole("link", { name: "Unfinished" }).click();
  const row = (name: RegExp) => list.getByRole("row", { name });
  await expect(row(/^builds.run/)).toContainText("Cancel the build instead");
  await expect(row(/^builds.run/).getByRole("button")).toHaveCount(0);
  await expect(row(/^spec.walk/).getByRole("progressbar", { name: "Progress" })).toHaveAttribute("aria-valuenow", "40");
  await expect(row(/^spec.walk/)).toContainText("mile 2 of 5");
  await expect(row(/^spec.sail/)).toContainText("for the tide");
  await sql("update jobs set progress = 0.6, note = 'mile 3 of 5', updated_at = now() where kind = 'spec.walk'");
  await expect(row(/^spec.walk/)).toContainText("mile 3 of 5");
  await accessible(page);
  await row(/^retention.run/).getByRole("button", { name: "Cancel retention.run" }).click();
  // A worker may have leased it already, which then stops it.
  await expect(page.getByText(/retention\.run (cancelled|stops within seconds)/)).toBeVisible();
  await expect.poll(async () => (await jobs("?state=cancelled")).map((j) => j.id)).toContain(job);
  await expect(row(/^retention.run/)).toHaveCount(0);
  await list.getByRole("navigation", { name: "State" }).getByRole("link", { name: "Cancelled" }).click();
  await expect(row(/^retention.run/)).toContainText("Cancelled");
  const events = await api<{ action: string; summary: string }[]>("GET", "/events?action=job.cancel");
  expect(events[0].summary).toBe(`Cancelled the job retention.run (${job}).`);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 390, height: 844 });
    await open(page, "/jobs");
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await accessible(page);
  }
  expect(odd).toEqual([]);
});

test("further jobs are on the next pages, without scripts", async ({ browser }) => {
  await sql(`insert into jobs (id, kind, subject, params, state, finished_at)
    select gen_random_uuid(), 'spec.many', gen_random_uuid(), '{}', 'succeeded', now() from generate_series(1, 201)`);
  const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto("/jobs?state=succeeded");
  let rows = 0;
  for (let pages = 1; ; pages++) {
    expect(pages).toBeLessThan(20);
    rows += await page.locator("#jobs tbody tr").filter({ hasText: "spec.many" }).count();
    const more = page.getByRole("link", { name: "More jobs" });
    if ((await more.count()) === 0) break;
    await page.goto((await more.getAttribute("href"))!.split("#")[0]);
    expect(page.url()).toContain("state=succeeded");
  }
  expect(rows).toBe(201);
  await context.close();
});

test("the command line lists, shows and cancels jobs, and runs schedules", async () => {
  const wharfCommand = process.env.WHARFD!.replace(/wharfd$/, "wharf");
  const env = { ...process.env, WHARF_URL: wharf.url, WHARF_API_KEY: wharf.token };
  const said = async (...args: string[]) => (await run(wharfCommand, args, { env })).stdout;
  expect(await said("schedules")).toMatch(/retention\s+7 \* \* \* \*\s+Etc\/UTC\s+in /);
  const ran = JSON.parse(await said("schedules:run", "retention", "--json")) as Job;
  await expect.poll(async () => said("jobs:info", ran.id)).toContain("remove old jobs");
  const job = await queued("retention.run");
  expect(await said("jobs", "--state", "unfinished", "--kind", "retention.run")).toContain(job);
  await said("jobs:cancel", job);
  await expect.poll(async () => said("jobs:info", job)).toMatch(/State:\s+cancelled/);
  await expect(said("jobs:cancel", job)).rejects.toThrow("The job has already been cancelled.");
});

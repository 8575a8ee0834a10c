// Accessibility: zoom to 200 %, phones, and reduced motion.
import { api, appOfSpec, freshName, open, program, sql } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("everyone", program);
const pages = ["/apps", "/apps/new", "/teams", "/platform", "/sign-in", "/users/admin@wharf.localhost", "/quotas?of=admin@wharf.localhost", "/jobs", "/audit", "/account"].concat(
  ["", "/activity", "/resources", "/logs", "/metrics", "/settings"].map((tab) => `/apps/${name}${tab}`),
);

test("at 200 % nothing overflows the window", async ({ page }) => {
  test.setTimeout(180_000);
  // The size of a window of 1280 by 800 at 200 %.
  await page.setViewportSize({ width: 640, height: 400 });
  for (const path of pages) {
    await open(page, path);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(640);
  }
});

/** Texts and controls in an element that cover each other. */
function covered(element: Element): string[] {
  const parts = [...element.querySelectorAll("a, button, time, .chip, .meta, td.r")];
  const shown = parts.filter((part) => part.getClientRects().length > 0 && !part.closest("dialog"));
  return shown.flatMap((one, i) =>
    shown.slice(i + 1).flatMap((other) => {
      if (one.contains(other) || other.contains(one)) return [];
      const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      return width > 1 && height > 1 ? [`${one.textContent} and ${other.textContent}`] : [];
    }),
  );
}

test("on a phone, lists cover nothing and have all columns", async ({ page }) => {
  const [team, email] = [freshName("phone"), `${freshName("with-a-long-name")}@example.com`];
  await api("POST", "/teams", { name: team });
  await api("PUT", `/teams/${team}/members`, { email, role: "viewer" });
  // The row with most in it.
  await sql(`insert into passwords (id, account_id, hash, secret, last_step, confirmed_at, created_at, updated_at)
    select gen_random_uuid(), id, 'none', '', 0, now(), now(), now() from accounts where email = '${email}'`);
  await api("PATCH", `/users/${email}`, { suspended: true });
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, "/sign-in");
  const row = page.getByRole("region", { name: "Accounts" }).getByRole("row").filter({ hasText: email });
  await expect(row.getByRole("button", { name: /^Remove password/ })).toBeVisible();
  await expect(row.getByText("suspended", { exact: true })).toBeVisible();
  expect(await row.evaluate(covered)).toEqual([]);
  await sql("delete from passwords where hash = 'none'");

  await open(page, "/audit");
  const event = page.locator("tbody tr").first();
  for (const part of ["time", ".mono", "[data-l=subject]", "[data-l=via]", "[data-l=hash]"]) {
    const box = await event.locator(part).first().boundingBox();
    expect(box && box.width > 0 && box.x >= 0 && box.x + box.width <= 390, part).toBe(true);
  }
  expect(await event.evaluate(covered)).toEqual([]);
});

test("with reduced motion, nothing moves", async ({ page }) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const path of ["/apps", `/apps/${name}`, `/apps/${name}/logs`]) {
    await open(page, path);
    await expect(page.getByText("live", { exact: true }).first()).toBeVisible();
    const moving = () => document.getAnimations().filter((a) => a.playState === "running" && (a.effect?.getComputedTiming().duration ?? 0) > 1);
    expect(await page.evaluate(`(${moving})().map((a) => a.animationName ?? a.transitionProperty)`), path).toEqual([]);
  }
});

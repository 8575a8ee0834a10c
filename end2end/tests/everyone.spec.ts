// Accessibility: zoom to 200 %, and reduced motion.
import { appOfSpec, open, program } from "../apps";
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

test("with reduced motion, nothing moves", async ({ page }) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const path of ["/apps", `/apps/${name}`, `/apps/${name}/logs`]) {
    await open(page, path);
    await expect(page.getByText("live", { exact: true }).first()).toBeVisible();
    const moving = () => document.getAnimations().filter((a) => a.playState === "running" && (a.effect?.getComputedTiming().duration ?? 0) > 1);
    expect(await page.evaluate(`(${moving})().map((a) => a.animationName ?? a.transitionProperty)`), path).toEqual([]);
  }
});

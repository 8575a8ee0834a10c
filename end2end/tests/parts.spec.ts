// The page of all parts: the visual test. Only development builds have it.
import { accessible, complaints, open } from "../apps";
import { expect, test } from "../world";

const headings = ["Status", "Tabs and tables", "Forms", "Timeline and chart", "Log", "Board", "Loading, failed, empty", "Buttons, dialogs, toasts", "Icons"];

test("every component is rendered, in both themes, on a desktop and on a phone", async ({ page }) => {
  test.skip(process.env.FRONT === "release", "a release has no such page");
  const wrong = complaints(page);
  for (const viewport of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
    await page.setViewportSize(viewport);
    await open(page, "/parts");
    for (const heading of headings) {
      const box = await page.getByRole("main").getByRole("heading", { name: heading, exact: true }).boundingBox();
      expect(box?.height, heading).toBeGreaterThan(0);
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(viewport.width);
    const icons = await page.locator("main svg use").evaluateAll((all) => all.filter((use) => !document.querySelector(use.getAttribute("href")!)).map((use) => use.getAttribute("href")));
    expect(icons, "icons that are not in the sheet").toEqual([]);
    await accessible(page);
  }
  expect(wrong).toEqual([]);
});

test("the arrow keys move through the board", async ({ page }) => {
  test.skip(process.env.FRONT === "release", "a release has no such page");
  await open(page, "/parts");
  const board = page.getByRole("region", { name: "Stages" });
  await board.focus();
  const walk = async (key: string, to: string) => {
    await page.keyboard.press(key);
    await expect(board.getByRole("link", { name: to, exact: true })).toBeFocused();
  };
  // The first stage is empty and skipped.
  await walk("ArrowDown", "shop-staging");
  await walk("ArrowDown", "mail-staging");
  await walk("ArrowRight", "shop");
  await walk("ArrowRight", "shop");
  await walk("ArrowLeft", "shop-staging");
});

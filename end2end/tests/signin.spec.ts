// Signing in with the link that `wharfd up` prints.
import { expect, test, wharf } from "../world";

test.use({ storageState: undefined });

test("who is not signed in does not see the apps", async ({ page }) => {
  await page.goto("/apps");
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toHaveCount(0);
});

test("the printed link signs in, and only once", async ({ page, browser }) => {
  await page.goto(wharf.signInLink);
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  await page.context().storageState({ path: wharf.session });

  const stranger = await browser.newContext();
  const theirs = await stranger.newPage();
  await theirs.goto(wharf.signInLink);
  await expect(theirs.getByRole("heading", { name: "Apps", level: 1 })).toHaveCount(0);
  await stranger.close();
});

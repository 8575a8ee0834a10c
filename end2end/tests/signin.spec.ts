// Sign-in with the link that `wharfd up` prints: a confirmation page, and a button that works once.
import { accessible, api, complaints, signInBy } from "../apps";
import { expect, test, wharf } from "../world";

test.use({ storageState: undefined });

test("the apps require a session", async ({ page }) => {
  await page.goto("/apps");
  await expect(page.getByRole("heading", { name: "Apps", level: 1 })).toHaveCount(0);
});

test("the printed link asks for confirmation, then signs in, and only once", async ({ page, browser }) => {
  const said = complaints(page);
  await page.goto(wharf.signInLink);
  await expect(page.getByRole("button", { name: "Sign in as admin@wharf.localhost" })).toBeVisible();
  expect(await page.context().cookies()).toEqual([]);
  await accessible(page);
  await signInBy(page, wharf.signInLink);
  await page.context().storageState({ path: wharf.session });
  expect(said).toEqual([]);

  const stranger = await browser.newContext();
  const theirs = await stranger.newPage();
  await theirs.goto(wharf.signInLink);
  await expect(theirs.getByRole("heading", { name: "This link is not valid" })).toBeVisible();
  await expect(theirs.getByRole("button")).toHaveCount(0);
  await stranger.close();
});

test("a link in an image, a frame or a form of another site changes nothing", async ({ browser }) => {
  const { url } = await api<{ url: string }>("POST", "/account/sign-in-links");
  const context = await browser.newContext({ baseURL: wharf.url, storageState: wharf.session });
  const page = await context.newPage();
  const before = JSON.stringify(await context.cookies());
  // Same site, different origin: like a page of an app to the console.
  await page.route("http://evil.localhost/**", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<img src="${url}"><link rel="prefetch" href="${url}"><iframe src="${url}"></iframe>
        <form method="post" action="${url}"><button>Win</button></form>`,
    }),
  );
  await page.goto("http://evil.localhost/");
  const refused = page.waitForResponse((answer) => answer.request().method() === "POST");
  await page.getByRole("button", { name: "Win" }).click();
  expect((await refused).status()).toBe(403);
  expect(JSON.stringify(await context.cookies())).toBe(before);
  await page.goto(url);
  await expect(page.getByText("This browser is already signed in as admin@wharf.localhost.")).toBeVisible();
  await context.close();
});

test("the button works without scripts", async ({ browser }) => {
  const { url } = await api<{ url: string }>("POST", "/account/sign-in-links");
  const context = await browser.newContext({ baseURL: wharf.url, storageState: undefined, javaScriptEnabled: false });
  await signInBy(await context.newPage(), url);
  await context.close();
});

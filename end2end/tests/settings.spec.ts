// Settings: config vars, name, maintenance, destruction.
import { type Repository, accessible, api, deployed, destroyed, freshName, open, site, visit } from "../apps";
import { expect, test } from "../world";

let name = freshName("settings");
let repository: Repository;

test.beforeAll(async () => {
  test.setTimeout(180_000);
  repository = await deployed(name, site);
  await api("PATCH", `/apps/${name}/config-vars`, { SECRET: "hidden-value", PLAIN: "1" });
});
test.afterAll(async () => {
  repository?.remove();
  await destroyed(name);
});

test("values are hidden until they are revealed", async ({ page }) => {
  await open(page, `/apps/${name}/settings`);
  await expect(page.getByRole("row", { name: /SECRET/ })).toBeVisible();
  await expect(page.getByLabel("Value of SECRET")).toHaveCount(0);
  await page.getByRole("button", { name: "Reveal SECRET" }).click();
  await expect(page.getByLabel("Value of SECRET")).toHaveValue("hidden-value");
});

test("several edits are saved as one release", async ({ page }) => {
  const before = await api<unknown[]>("GET", `/apps/${name}/releases`);
  await open(page, `/apps/${name}/settings`);
  await page.getByLabel("New key").fill("ADDED=with = inside");
  await page.getByRole("button", { name: "Add key" }).click();
  await page.getByRole("button", { name: "Remove PLAIN" }).click();
  const bar = page.getByRole("region", { name: "Unsaved changes" });
  await expect(bar).toContainText("2 keys will be saved as a single release");
  await bar.getByRole("button", { name: /^Save/ }).click();
  await expect(bar).toBeHidden();
  expect(await api("GET", `/apps/${name}/config-vars`)).toEqual({ SECRET: "hidden-value", ADDED: "with = inside" });
  expect(await api<unknown[]>("GET", `/apps/${name}/releases`)).toHaveLength(before.length + 1);
});

test("as text, an invalid line is reported and nothing is saved", async ({ page }) => {
  await open(page, `/apps/${name}/settings`);
  await page.getByRole("button", { name: ".env text" }).click();
  const text = page.getByLabel("Config vars as text");
  await text.fill("SECRET=hidden-value\nnonsense");
  await expect(page.getByText("Line 2 does not contain =. Use KEY=value.")).toBeVisible();
  await text.fill("SECRET=hidden-value\nADDED='a b'\n# a comment\nMORE=1");
  await page.getByRole("button", { name: /^Save/ }).click();
  await expect(page.getByRole("region", { name: "Unsaved changes" })).toBeHidden();
  expect(await api("GET", `/apps/${name}/config-vars`)).toEqual({ SECRET: "hidden-value", ADDED: "a b", MORE: "1" });
});

test("maintenance mode shows its page until it is turned off", async ({ page }) => {
  await open(page, `/apps/${name}/settings`);
  await page.getByRole("button", { name: "Turn maintenance mode on" }).click();
  await expect.poll(() => visit(name).then((r) => r.status)).toBe(503);
  await page.getByRole("button", { name: "Turn maintenance mode off" }).click();
  await expect.poll(() => visit(name).then((r) => r.status)).toBe(200);
});

test("renaming changes the URL", async ({ page }) => {
  const next = freshName("renamed");
  await open(page, `/apps/${name}/settings`);
  await page.getByLabel("Name", { exact: true }).fill(next);
  await page.getByRole("button", { name: "Rename" }).click();
  await expect(page).toHaveURL(new RegExp(`/apps/${next}/settings$`));
  await expect(page.getByRole("heading", { level: 1 })).toContainText(next);
  name = next;
  await expect.poll(() => visit(next).then((r) => r.status)).toBe(200);
});

test("axe finds nothing", async ({ page }) => {
  await open(page, `/apps/${name}/settings`);
  await accessible(page);
});

test("an app is destroyed only after its name is typed", async ({ page }) => {
  await open(page, `/apps/${name}/settings`);
  await page.getByRole("button", { name: `Destroy ${name}` }).click();
  const dialog = page.getByRole("dialog", { name: `Destroy ${name}?` });
  const button = dialog.getByRole("button", { name: `Destroy ${name}` });
  await expect(button).toHaveAttribute("aria-disabled", "true");
  await button.click({ force: true });
  await expect(dialog).toBeVisible();
  await dialog.getByLabel(/^Type/).fill(name);
  await button.click();
  await expect(page).toHaveURL(/\/apps$/);
  await expect(page.getByRole("link", { name, exact: true })).toHaveCount(0);
});

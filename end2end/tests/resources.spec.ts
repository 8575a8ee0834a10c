// Process types and dynos.
import { accessible, api, appOfSpec, open, program, visit } from "../apps";
import { expect, test } from "../world";

const { name } = appOfSpec("resources", { ...program, Procfile: `${program.Procfile}worker: sleep 100000\n` });

test("scaling shows the changes, applies them together, and starts dynos", async ({ page }) => {
  await open(page, `/apps/${name}/resources`);
  await page.getByRole("button", { name: "Increase worker" }).click();
  const bar = page.getByRole("region", { name: "Unapplied changes" });
  await expect(bar).toContainText("worker to 1");
  await bar.getByRole("button", { name: "Apply" }).click();
  await expect(bar).toBeHidden();
  await expect(page.getByRole("row", { name: /^worker\.1 Up/ })).toBeVisible();
  const formation = await api<{ type: string; quantity: number }[]>("GET", `/apps/${name}/formation`);
  expect(formation.find((f) => f.type === "worker")?.quantity).toBe(1);
});

test("discarding changes nothing", async ({ page }) => {
  await open(page, `/apps/${name}/resources`);
  await page.getByRole("button", { name: "Increase web" }).click();
  await page.getByRole("button", { name: "Discard" }).click();
  await expect(page.getByLabel("Number of web")).toHaveValue("1");
});

test("invalid values are rejected with a message", async ({ page }) => {
  await open(page, `/apps/${name}/resources`);
  await page.route("**/formation", (route) =>
    route.fulfill({ status: 422, contentType: "application/json", body: JSON.stringify({ id: "invalid_params", message: "The machine has no room for that." }) }),
  );
  await page.getByRole("button", { name: "Increase web" }).click();
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page.getByRole("alert")).toContainText("The machine has no room for that.");
});

test("restarting a dyno starts it again", async ({ page }) => {
  const id = async () => (await api<{ id: string; name: string }[]>("GET", `/apps/${name}/dynos`)).find((d) => d.name === "web.1")?.id;
  const before = await id();
  await open(page, `/apps/${name}/resources`);
  await page.getByRole("button", { name: "Restart web.1" }).click();
  await expect(page.getByText("web.1 is restarting")).toBeVisible();
  await expect.poll(id, { timeout: 60_000 }).not.toBe(before);
});

test("a crashed dyno shows the reason and its next start", async ({ page }) => {
  await open(page, `/apps/${name}/resources`);
  await visit(name, "/exit").catch(() => undefined);
  await expect(page.getByText(/status 3/).first()).toBeVisible({ timeout: 30_000 });
});

test("axe finds nothing", async ({ page }) => {
  await open(page, `/apps/${name}/resources`);
  await accessible(page);
  await open(page, `/apps/${name}/metrics`);
  await accessible(page);
});

// Passwords with codes of an authenticator: turned on, set, signed in with, changed, removed.
import { createHmac } from "node:crypto";

import type { Browser, BrowserContextOptions, Page } from "@playwright/test";

import { accessible, alive, api, complaints, open } from "../apps";
import { expect, test, wharf } from "../world";

test.describe.configure({ mode: "serial" });

const password = "a pier above the water";
let email: string;
let secret: string;
let recovery: string[] = [];

const now = () => Math.floor(Date.now() / 30_000);

/** As an authenticator makes it (RFC 6238). */
function code(step: number): string {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const hash = createHmac("sha1", key).update(counter).digest();
  const word = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(word % 1_000_000).padStart(6, "0");
}

async function browserOf(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ baseURL: wharf.url, storageState: undefined, ...options });
  return context.newPage();
}

async function fill(page: Page, word: string, typed: string) {
  await page.getByLabel("Email address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(word);
  await page.getByLabel("Code", { exact: true }).fill(typed);
  await page.getByRole("button", { name: "Sign in with password" }).click();
}

test.beforeAll(async () => {
  email = (await api<{ email: string }>("GET", "/account")).email;
});
test.afterAll(async () => api("PATCH", "/password-policy", { enabled: false }));

test("there are none until an administrator turns them on", async ({ page, browser }) => {
  const stranger = await browserOf(browser);
  await stranger.goto("/login");
  await expect(stranger.getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
  await expect(stranger.getByLabel("Password", { exact: true })).toHaveCount(0);
  await stranger.context().close();
  await open(page, "/account");
  await expect(page.getByRole("heading", { name: "Sessions" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Password" })).toHaveCount(0);
  await open(page, "/sign-in");
  const section = page.getByRole("region", { name: "Passwords" });
  await expect(section.getByRole("status")).toHaveText("Off");
  await accessible(page);
  await section.getByRole("button", { name: "Turn passwords on" }).click();
  await expect(section.getByRole("status")).toHaveText("On");
  await expect(section).toContainText("No account has a password.");
});

test("one is set with an authenticator, by the keyboard", async ({ page }) => {
  const said = complaints(page);
  await open(page, "/account");
  const section = page.getByRole("region", { name: "Password" });
  await section.getByLabel("New password").fill("too short");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("at least 12 characters");
  await section.getByLabel("New password").fill(password);
  await page.keyboard.press("Enter");
  await expect(section.getByRole("heading", { name: "Add Wharf to your authenticator app" })).toBeFocused();
  const picture = section.getByRole("img", { name: /QR code/ });
  await expect.poll(() => picture.evaluate((img: HTMLImageElement) => img.naturalWidth)).toBeGreaterThan(20);
  secret = (await section.locator("code").textContent())!;
  expect(await section.getByRole("link", { name: "open it on this device" }).getAttribute("href")).toContain(`secret=${secret}`);
  await accessible(page);
  await section.getByLabel("Code from the authenticator app").fill(code(now() + 90));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert").last()).toContainText("The code is wrong");
  // Of the step before, so that the next ones are left for what comes.
  await section.getByLabel("Code from the authenticator app").fill(code(now() - 1));
  await page.keyboard.press("Enter");
  await expect(section.getByRole("heading", { name: "Your recovery codes" })).toBeFocused();
  recovery = await section.getByRole("list", { name: "Recovery codes" }).getByRole("listitem").allTextContents();
  expect(recovery).toHaveLength(10);
  await accessible(page);
  await section.getByRole("button", { name: "I have saved them" }).click();
  await expect(section).toContainText("10 recovery codes left");
  await page.reload();
  await expect(page.getByText(recovery[0])).toHaveCount(0);
  expect(said.filter((line) => !/status of 422/.test(line))).toEqual([]);
});

test("it signs in with a code, and says what is wrong", async ({ browser }) => {
  const page = await browserOf(browser);
  await page.goto("/audit");
  await expect(page).toHaveURL(/\/login\?next=/);
  await alive(page);
  await accessible(page);
  await fill(page, password, code(now() + 90));
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("Wrong email address, password or code");
  await expect(alert).toBeFocused();
  // What was typed stays, but for the code.
  await expect(page.getByLabel("Email address")).toHaveValue(email);
  await expect(page.getByLabel("Code", { exact: true })).toHaveValue("");
  await accessible(page);
  const typed = code(now());
  await fill(page, password, typed);
  await expect(page.getByRole("heading", { name: "Audit log", level: 1 })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe("/audit");
  await expect(page.getByRole("table")).toContainText("Rejected a password sign-in of");
  await page.goto("/account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(`${wharf.url}/login`);
  await alive(page);
  // A code counts once.
  await fill(page, password, typed);
  await expect(page.getByRole("alert")).toContainText("Each code works once");
  await page.context().close();
});

test("without JavaScript it is the same", async ({ browser }) => {
  const page = await browserOf(browser, { javaScriptEnabled: false });
  await page.goto("/apps/new");
  await fill(page, "not the password", recovery[0]);
  await expect(page.getByRole("alert")).toContainText("Wrong email address, password or code");
  await fill(page, password, recovery[0]);
  await expect(page).toHaveURL(`${wharf.url}/apps/new`);
  await expect(page.getByRole("button", { name: "Create app" })).toBeVisible();
  await page.context().close();
});

test("another site signs nobody in, and nobody is sent to another site", async ({ browser, request }) => {
  const form = { email, password, code: recovery[1] };
  const answer = await request.post("/forms/login", { form, headers: { origin: "http://evil.example" } });
  expect(answer.status()).toBe(403);
  const page = await browserOf(browser);
  await open(page, "/login?next=https%3A%2F%2Fevil.example%2F");
  await page.context().addCookies([{ name: "wharf", value: "AAAAAAAAAAAAAAAAAAAAAA", url: wharf.url }]);
  await fill(page, password, recovery[1]);
  await expect(page).toHaveURL(`${wharf.url}/apps`);
  const cookie = (await page.context().cookies(wharf.url)).find((one) => one.name === "wharf")!;
  expect(cookie.value).not.toBe("AAAAAAAAAAAAAAAAAAAAAA");
  expect([cookie.httpOnly, cookie.sameSite]).toEqual([true, "Lax"]);
  await page.context().close();
});

test("changing it ends the other sessions, and removing it takes a code", async ({ page, browser }) => {
  const other = await browserOf(browser);
  await open(other, "/login");
  await fill(other, password, recovery[2]);
  await expect(other.getByRole("heading", { name: "Apps", level: 1 })).toBeVisible();
  await open(page, "/account");
  const section = page.getByRole("region", { name: "Password" });
  await section.getByText("Change the password", { exact: true }).click();
  await accessible(page);
  await section.getByLabel("New password").fill("a boat below the pier");
  await section.getByLabel("Code or recovery code").first().fill(recovery[3]);
  await section.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Password changed" })).toBeVisible();
  await other.goto("/apps");
  await expect(other.getByRole("heading", { name: "Sign in to Wharf" })).toBeVisible();
  await other.context().close();
  await section.getByText("Remove the password", { exact: true }).click();
  await section.getByLabel("Code or recovery code").last().fill(recovery[3]);
  await section.getByRole("button", { name: "Remove password" }).click();
  await expect(page.getByRole("alert").last()).toContainText("has already been used");
  await section.getByLabel("Code or recovery code").last().fill(recovery[4]);
  await section.getByRole("button", { name: "Remove password" }).click();
  await expect(section.getByRole("button", { name: "Set a password" })).toBeVisible();
});

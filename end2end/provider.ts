// A real OpenID provider for specs: the npm package oidc-provider, which is certified, with its own pages.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, BrowserContext, Page } from "@playwright/test";

import { api } from "./apps";
import { wharf } from "./world";

/** The accounts at a provider, by user name. */
export type People = Record<string, { email: string; email_verified: boolean }>;

/** A provider that is configured as `name`, until it is stopped. */
export class IdentityProvider {
  private server: Server | undefined;

  constructor(
    readonly name: string,
    readonly title: string,
    private readonly people: People,
  ) {}

  /** Starts it, and adds it to the platform. */
  async start(terms: Record<string, unknown>) {
    const { Provider } = await import("oidc-provider");
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const secret = "a-secret-of-this-test-alone";
    // For cookies, two providers are on the same host.
    const cookie = (what: string) => `_${this.name}_${what}`;
    const oidc = new Provider(issuer, {
      clients: [
        {
          client_id: "wharf",
          client_secret: secret,
          redirect_uris: [`${wharf.url}/login/oauth/${this.name}/callback`],
          grant_types: ["authorization_code"],
          response_types: ["code"],
        },
      ],
      pkce: { required: () => true },
      claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
      cookies: {
        keys: ["of-this-test-alone"],
        names: { session: cookie("session"), interaction: cookie("interaction"), resume: cookie("resume") },
      },
      findAccount: (_: unknown, id: string) => ({
        accountId: id,
        claims: () => ({ sub: id, name: id, ...this.people[id] }),
      }),
    });
    server.on("request", oidc.callback());
    this.server = server;
    const { name, title } = this;
    await api("POST", "/identity-providers", { kind: "openid", name, title, issuer, client_id: "wharf", client_secret: secret, ...terms });
  }

  /** Removes it from the platform, and stops it. */
  async stop() {
    await api("DELETE", `/identity-providers/${this.name}`);
    this.server?.closeAllConnections();
    await new Promise((done) => this.server?.close(done));
  }

  /** Signs in through it, from the sign-in page or a later page. */
  async signIn(page: Page, person: string, from = "/login") {
    await page.goto(from);
    await page.getByRole("link", { name: `Continue with ${this.title}` }).click();
    await agree(page, person);
  }
}

/** Enters a name at a provider and consents. */
export async function agree(page: Page, person: string) {
  await page.locator("input[name=login]").fill(person);
  await page.locator("input[name=password]").fill("anything");
  await page.locator("button[type=submit]").click();
  await page.locator("button[type=submit]").click();
}

/** A browser without a session. */
export async function browserOf(browser: Browser, options = {}): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext({ baseURL: wharf.url, storageState: undefined, ...options });
  return { context, page: await context.newPage() };
}

// What a spec imports: `test` and `expect` with the server's address and a signed-in browser,
// and `wharf`, with the addresses of the server.
import { test as base } from "@playwright/test";

export { expect } from "@playwright/test";

function told(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests through playwright.config.ts.`);
  return value;
}

/** The running server. */
export const wharf = {
  /** Console and API, e.g. `http://localhost:41234`. */
  get url() {
    return told("WHARF_URL");
  },
  /** An API token of the first account; also the git password. */
  get token() {
    return told("WHARF_API_KEY");
  },
  /** The link that `wharfd up` printed. It works once, and signin.spec.ts uses it. */
  get signInLink() {
    return told("WHARF_SIGNIN_LINK");
  },
  /** The file in which signin.spec.ts stores its session for the other specs. */
  get session() {
    return told("WHARF_SESSION");
  },
  /** The server's data directory. */
  get data() {
    return told("WHARF_DATA");
  },
};

/** A test whose browser is signed in. For one that is not: `test.use({ storageState: undefined })`. */
export const test = base.extend({
  baseURL: async ({}, use) => use(wharf.url),
  storageState: async ({}, use) => use(wharf.session),
});

// Journeys through the console in a real browser, against a real server that server.ts starts.
//
// `make end2end` runs them all; ARGS="tests/signin.spec.ts" picks some (sign-in always comes first).
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  globalSetup: "./server.ts",
  outputDir: "test-results",
  reporter: process.env.CI ? [["list"]] : [["list"], ["html", { open: "never" }]],
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  // One server and one machine: journeys that deploy would only wait for each other.
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  use: {
    browserName: "chromium",
    locale: "en-GB",
    timezoneId: "UTC",
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      // The tests run as root, and must not send requests to other machines.
      chromiumSandbox: false,
      args: [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    // The one-time link can be used once: this project uses it, the others use its session.
    { name: "signin", testMatch: "signin.spec.ts" },
    { name: "console", testIgnore: "signin.spec.ts", dependencies: ["signin"] },
  ],
});

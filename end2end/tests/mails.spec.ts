// E-mail about invitations: the settings, the test message, and what is said after somebody was invited.
import { type Server, type Socket, createServer } from "node:net";

import { accessible, api, complaints, freshName, open } from "../apps";
import { expect, test } from "../world";

test.describe.configure({ mode: "serial" });

/** An SMTP server that speaks as much of the protocol as a client needs. */
class Smtp {
  readonly messages: string[] = [];
  /** The answer to recipients. */
  answer = "250 2.1.5 OK";
  private readonly server: Server = createServer((socket) => this.converse(socket));

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    const address = this.server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  }

  stop() {
    this.server.close();
  }

  private converse(socket: Socket) {
    let data: string[] | undefined;
    let rest = "";
    const say = (line: string) => socket.write(`${line}\r\n`);
    say("220 mail.test ESMTP");
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      const lines = (rest + bytes.toString("utf8")).split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (data !== undefined) {
          if (line !== ".") {
            data.push(line);
            continue;
          }
          this.messages.push(data.join("\n").replaceAll("=\n", ""));
          data = undefined;
          say("250 2.0.0 Queued as 4711");
        } else if (/^RCPT /i.test(line)) say(this.answer);
        else if (/^DATA/i.test(line)) {
          data = [];
          say("354 Go ahead");
        } else if (/^QUIT/i.test(line)) {
          say("221 2.0.0 Bye");
          socket.end();
        } else say("250 2.0.0 OK");
      }
    });
  }
}

const smtp = new Smtp();
const team = freshName("letters");
let port: number;

test.beforeAll(async () => {
  port = await smtp.start();
  await api("POST", "/teams", { name: team });
});
test.afterAll(async () => {
  await api("DELETE", "/mail-server");
  await api("DELETE", `/teams/${team}`);
  smtp.stop();
});

test("without a mail server there is a link to send", async ({ page }) => {
  const odd = complaints(page);
  await open(page, `/teams/${team}`);
  await page.getByLabel("Email address").fill("ines@nowhere.test");
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  const next = page.getByRole("status").filter({ hasText: "ines@nowhere.test cannot sign in" });
  await expect(next).toContainText("No e-mail was sent: send them the link yourself.");
  await expect(next).toContainText("/login?next=%2Fteams");
  await expect(next.getByRole("button", { name: "Copy link for ines@nowhere.test" })).toBeVisible();
  await accessible(page);
  // Whoever is signed in goes on; others sign in first.
  await page.goto("/login?next=%2Fteams");
  await page.getByRole("link", { name: "Continue to your teams" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Teams" })).toBeVisible();
  expect(odd).toEqual([]);
});

test("an administrator sets the mail server and tests it", async ({ page }) => {
  const odd = complaints(page);
  await open(page, "/sign-in");
  const section = page.getByRole("region", { name: "E-mail" });
  await section.getByLabel("SMTP server").fill("127.0.0.1");
  await section.getByLabel("SMTP port").fill(String(port));
  await section.getByLabel("Encryption").selectOption("none");
  await section.getByLabel("Sender address").fill("wharf@pier.test");
  await section.getByRole("button", { name: "Save mail server" }).click();
  await section.getByLabel("Test message to").fill("ada@pier.test");
  await section.getByRole("button", { name: "Send test message" }).click();
  await expect(section.getByRole("status")).toContainText("Queued as 4711");
  expect(smtp.messages).toHaveLength(1);
  expect(smtp.messages[0]).toContain("Subject: Test message");

  smtp.answer = "550 5.7.1 Relaying denied";
  await section.getByRole("button", { name: "Send test message" }).click();
  await expect(section.getByRole("status")).toContainText("550 5.7.1 Relaying denied");
  await accessible(page);
  expect(odd).toEqual([]);
});

test("an invitation is sent, or says why it was not", async ({ page }) => {
  smtp.answer = "250 2.1.5 OK";
  await open(page, `/teams/${team}`);
  await page.getByLabel("Email address").fill("noor@pier.test");
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  await expect(page.getByRole("row", { name: /noor@pier.test/ })).toContainText("e-mail sent");
  const message = smtp.messages.find((text) => text.includes("noor@pier.test"));
  expect(message).toContain(`invited you to the team ${team}`);

  smtp.answer = "550 5.1.1 No such user";
  await page.getByLabel("Email address").fill("nobody@pier.test");
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  const row = page.getByRole("row", { name: /nobody@pier.test/ });
  await expect(row).toContainText("e-mail not sent: 550 5.1.1 No such user");
  await row.getByRole("button", { name: /^Next step/ }).click();
  await expect(row.getByRole("status")).toContainText("could not be sent: 550 5.1.1 No such user");
  for (const who of ["ines@nowhere.test", "noor@pier.test", "nobody@pier.test"]) {
    await api("DELETE", `/teams/${team}/invitations/${who}`);
  }
});

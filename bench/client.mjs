// Requests one path until stdin ends, over raw sockets, from a process of its own, so that nothing else delays it.
//   node client.mjs PORT HOST PATH CONNECTIONS RATE
// RATE 0: each connection sends its next request as soon as it has a response. Otherwise open-loop, as many requests per
// second, over as many connections as it takes. Prints JSON: `times` in ms, without those of the first 300 ms, `failed`
// with what became of each, and `retried`: like a browser, it sends a request again, once, if a kept-alive
// connection is closed before a byte of the response.
import net from "node:net";

const [port, host, path, connections, rate] = process.argv.slice(2);
const request = `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
const [times, failed, idle] = [[], [], []];
/** When this process runs at its usual speed, in ms since its start. */
const WARM = performance.now() + 300;
let retried = 0;
let isOver = false;
process.stdin.on("end", () => (isOver = true)).resume();

/** A connection; its `ask` resolves to the status, or to `undefined` if it was closed before a byte of a response. */
function connect() {
  const one = { isUsed: false, isClosed: false };
  let text = "";
  let settle = () => {};
  const socket = net.connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
  const end = (reason) => {
    one.isClosed = true;
    settle(text === "" && one.isUsed ? undefined : reason);
  };
  socket.on("error", (error) => end(error.code));
  socket.on("close", () => end("closed"));
  socket.on("data", (data) => {
    text += data.toString("latin1");
    const head = text.indexOf("\r\n\r\n");
    if (head < 0 || text.length < head + 4 + length(text.slice(0, head))) return;
    const status = text.slice(9, 12);
    one.isUsed = true;
    text = "";
    settle(status);
  });
  one.ask = () =>
    new Promise((done) => {
      settle = done;
      socket.write(request);
    });
  one.close = () => socket.destroy();
  return one;
}

function length(head) {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

/** One request; returns its connection if it can be used again. */
async function ask(one) {
  const begin = performance.now();
  let outcome = await one.ask();
  if (outcome === undefined) {
    retried += 1;
    one = connect();
    outcome = await one.ask();
  }
  if (outcome !== "200") failed.push(outcome);
  else if (begin > WARM) times.push(performance.now() - begin);
  if (!one.isClosed && outcome === "200") return one;
  one.close();
}

async function closed() {
  let one;
  while (!isOver) {
    one = await ask(one && !one.isClosed ? one : connect());
  }
  one?.close();
}

async function open() {
  const asked = [];
  const begun = performance.now();
  while (!isOver) {
    while (begun + (asked.length * 1000) / rate <= performance.now()) {
      let one;
      while ((one = idle.pop())?.isClosed);
      asked.push(ask(one ?? connect()).then((kept) => kept && idle.push(kept)));
    }
    await new Promise((done) => setTimeout(done, 1));
  }
  await Promise.all(asked);
  idle.forEach((one) => one.close());
}

await (Number(rate) > 0 ? open() : Promise.all(Array.from({ length: Number(connections) }, closed)));
console.log(JSON.stringify({ times, failed, retried }));

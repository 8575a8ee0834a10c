// Requests one page at a fixed rate, open-loop, and measures latency from the scheduled time. Uses raw sockets with few
// buffers: with node's http module, garbage collection used both cores for tens of milliseconds and distorted the
// results. node load.mjs PORT PATH COOKIE RATE SECONDS   prints [scheduled time (Unix time, ms), milliseconds until
// completed] per response as JSON
import net from "node:net";

const [port, path, cookie, rate, seconds] = process.argv.slice(2);
const request = `GET ${path} HTTP/1.1\r\nhost: localhost:${port}\r\naccept: text/html\r\ncookie: ${cookie}\r\n\r\n`;
const END = Buffer.from("\r\n0\r\n\r\n");
const idle = [];

function connection() {
  const buffer = Buffer.allocUnsafe(256 * 1024);
  const tail = Buffer.alloc(END.length);
  const one = {};
  const onread = {
    buffer,
    callback(length) {
      if (!one.status) {
        const head = buffer.latin1Slice(0, Math.min(length, 1024));
        one.status = head.slice(9, 12);
        if (!/transfer-encoding: chunked/i.test(head)) throw new Error(`${path}: not streamed: ${head}`);
      }
      const kept = Math.max(0, END.length - length);
      tail.copyWithin(0, tail.length - kept);
      buffer.copy(tail, kept, length - (END.length - kept), length);
      if (tail.equals(END)) one.ended();
      return true;
    },
  };
  const socket = net.connect({ host: "127.0.0.1", port: Number(port), noDelay: true, onread });
  socket.on("error", (error) => one.failed(error));
  one.ask = (due) =>
    new Promise((done, fail) => {
      one.status = undefined;
      one.ended = () => {
        idle.push(one);
        if (one.status === "200") done([performance.timeOrigin + due, performance.now() - due]);
        else fail(new Error(`${path}: ${one.status}`));
      };
      one.failed = fail;
      socket.write(request);
    });
  one.close = () => socket.destroy();
  return one;
}

const asked = [];
const begun = performance.now() + 50;
await new Promise((done) => {
  const next = () => {
    for (let due; (due = begun + (asked.length * 1000) / rate) <= performance.now(); ) {
      asked.push((idle.pop() ?? connection()).ask(due));
      if (asked.length >= rate * seconds) return done();
    }
    setTimeout(next, begun + (asked.length * 1000) / rate - performance.now());
  };
  next();
});
const times = await Promise.all(asked);
idle.forEach((c) => c.close());
console.log(JSON.stringify(times));

// A web server without dependencies. Change GREETING in the config vars and reload.
const http = require("node:http");

const greeting = process.env.GREETING || "Hello from Node.js on Wharf";

http
  .createServer((request, response) => {
    console.log(`${request.method} ${request.url}`);
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end(`${greeting}\n`);
  })
  .listen(process.env.PORT || 3000, () => console.log("ready"));

// Dynos are told to stop with SIGTERM.
process.on("SIGTERM", () => process.exit(0));

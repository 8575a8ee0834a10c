// The terminals of the console: loaded by the page that has one, beside the WASM.
//
// An element gets a terminal when its attribute `data-terminal` is set to the path of a terminal's websocket, and
// another one when that changes; the messages are those of `api::terminals`. The attribute is removed at once, since
// the path works once.
import { Terminal } from "./xterm.js";
import { FitAddon } from "./xterm-fit.js";

const STDERR = 2;

const create = document.createElement;

/**
 * Stands in for a <style> element, which the content security policy forbids: its text becomes a style sheet of the
 * document, as scripts may make them.
 */
function styleSheet() {
  const element = create.call(document, "span");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", { get: () => "", set: (text) => sheet.replaceSync(text) });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(element);
  };
  element.hidden = true;
  return element;
}

document.createElement = function (name, ...rest) {
  return name === "style" ? styleSheet() : create.call(this, name, ...rest);
};

/** A colour of the page, as xterm.js reads it. */
function colour(element, property) {
  const canvas = create.call(document, "canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(element)[property];
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
  return `rgb(${r}, ${g}, ${b})`;
}

/** The colours of the page, whichever theme it has. */
function theme(element) {
  const [background, foreground] = [colour(element, "backgroundColor"), colour(element, "color")];
  return { background, foreground, cursor: foreground, cursorAccent: background, selectionBackground: "#7f9fbf66" };
}

/** The open session of each element. */
const sessions = new Map();

function open(element, path) {
  close(element);
  const style = getComputedStyle(element);
  const terminal = new Terminal({
    fontFamily: style.fontFamily,
    fontSize: Number.parseFloat(style.fontSize),
    scrollback: 5000,
    screenReaderMode: true,
    theme: theme(element),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(element);
  const socket = new WebSocket(new URL(path, location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  const send = (data) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
  };
  const resize = () => {
    fit.fit();
    send(JSON.stringify({ type: "resize", columns: terminal.cols, rows: terminal.rows }));
  };
  const observer = new ResizeObserver(resize);
  observer.observe(element);
  const end = (text) => {
    if (element.dataset.state === "ended") return;
    element.dataset.state = "ended";
    terminal.options.disableStdin = true;
    terminal.write(`\r\n\x1b[2m[${text}]\x1b[0m\r\n`);
  };
  element.dataset.state = "connecting";
  const encoder = new TextEncoder();
  terminal.onData((text) => send(encoder.encode(text)));
  terminal.onBinary((text) => send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data);
      // Without a terminal on the other side, lines of stderr end like those of a file.
      terminal.write(bytes[0] === STDERR ? new TextDecoder().decode(bytes.subarray(1)).replaceAll("\n", "\r\n") : bytes.subarray(1));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "attached") {
      element.dataset.state = "attached";
      resize();
      terminal.focus();
    } else if (message.type === "exited") {
      end(message.sentence);
    } else if (message.type === "failed") {
      end(message.message);
    }
  };
  socket.onclose = () => end("The connection was closed");
  sessions.set(element, { terminal, socket, observer });
}

function close(element) {
  const session = sessions.get(element);
  if (!session) return;
  sessions.delete(element);
  session.socket.onclose = null;
  session.observer.disconnect();
  session.socket.close();
  session.terminal.dispose();
  element.dataset.state = "";
}

function look() {
  for (const element of sessions.keys()) if (!element.isConnected) close(element);
  for (const element of document.querySelectorAll("[data-terminal]")) {
    const path = element.dataset.terminal;
    element.removeAttribute("data-terminal");
    if (path) open(element, path);
  }
}

const link = create.call(document, "link");
link.rel = "stylesheet";
link.href = new URL("./xterm.css", import.meta.url);
document.head.append(link);
new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributeFilter: ["data-terminal"] });
look();

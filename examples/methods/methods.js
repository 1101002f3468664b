/**
 * Runs every method of the contract against a trial agent, and shows request and answer. It speaks the protocol itself,
 * without the SDK: JSON-RPC 2.0 in text frames, documents in binary frames (4 bytes of handle, then bytes).
 */

const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
const main = document.querySelector("main");

/** Opens the connection. */
function open(port) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error(`Nothing answers at port ${port}.`));
  });
}

/** @returns a function that calls one method, shows it, and resolves to the result or undefined */
function caller(socket, described) {
  const waiting = new Map();
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) return; // a piece of a signed document
    const message = JSON.parse(data);
    waiting.get(message.id)?.(message);
  };
  let last = 0;
  return async (method, params, note = "") => {
    const id = ++last;
    const request = { jsonrpc: "2.0", id, method, params };
    const answer = await new Promise((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify(request));
    });
    show(method, described.get(method), note, request, answer);
    return answer.result;
  };
}

function show(method, summary = "", note, request, answer) {
  const section = main.appendChild(document.createElement("section"));
  section.dataset.method = method;
  section.dataset.outcome = answer.error?.data.code ?? "done";
  const add = (name, text) => section.appendChild(document.createElement(name)).textContent = text;
  add("h2", method);
  add("p", [summary, note].filter(Boolean).join(" "));
  add("pre", `→ ${short(request)}`);
  add("pre", `← ${short(answer)}`);
}

/** Long Base64 is cut for reading. */
const short = (value) =>
  JSON.stringify(
    value,
    (_, each) => typeof each === "string" && each.length > 120 ? `${each.slice(0, 100)}…` : each,
    2,
  ).slice(0, 4000);

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const random = (length) => base64(crypto.getRandomValues(new Uint8Array(length)));
const utf8 = (text) => new TextEncoder().encode(text);
const hex = (bytes) =>
  [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");

/** The least PDF: one empty page. */
function pdf() {
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>",
  ];
  let text = "%PDF-1.7\n";
  const offsets = objects.map((object, i) => {
    const at = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(at).padStart(10, "0")} 00000 n \n`;
  });
  const xref = text.length;
  text += `xref\n0 4\n0000000000 65535 f \n${offsets.join("")}`;
  return utf8(`${text}trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n${xref}\n%%EOF\n`);
}

async function runAll(socket, described) {
  const call = caller(socket, described);
  /** Opens a document and sends its bytes. */
  const send = async (name, mediaType, bytes, keep) => {
    const about = { name, mediaType, size: bytes.length, keep };
    const { document } = await call("document.open", about, "Then its bytes, in binary frames.");
    const frame = new Uint8Array(4 + bytes.length);
    new DataView(frame.buffer).setUint32(0, document);
    frame.set(bytes, 4);
    socket.send(frame);
    return document;
  };
  await call("agent.info", {});
  await call("agent.prove", { nonce: random(32) }, "The SDK asks it before anything else.");
  await call("rpc.discover", {});
  await call("origin.status", {});
  const scopes = ["certificates", "sign", "sign_hash"];
  await call("origin.request", { scopes, purpose: "Try every method" });
  await call("token.list", {});
  const { certificates: [{ id }] } = await call("certificate.list", {});
  await call("certificate.choose", { purpose: "Choose who signs" });
  const content = { json: { bill: "2026-27/TR-0142", net: "4,58,375.00" } };
  const { signature } = await call("sign.data", { content, purpose: "Bill 0142" });
  const digest = base64(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8("a file"))));
  await call("sign.hash", { hash: "SHA-256", digests: [digest], purpose: "A digest alone" });
  await call("auth.authenticate", { nonce: random(33) });

  const order = await send("order.pdf", "application/pdf", pdf());
  const signed = await call("sign.document", { document: order, format: "pades", pdf: {} });
  await call("document.read", { document: order, offset: 0, length: signed?.appended ?? 0 });
  await call("document.close", { document: order });

  const bytes = Uint8Array.from(atob(signature), (each) => each.charCodeAt(0));
  const cms = await send("bill.p7s", "application/pkcs7-signature", bytes, true);
  await call(
    "signature.verify",
    { document: cms },
    "A trial agent trusts nothing, itself neither.",
  );
  await call(
    "signature.extend",
    { document: cms, level: "B-T" },
    "It has no time-stamping service.",
  );

  const step = { role: "Maker", signers: [{ name: "Anita Das", certificate: id }], quorum: 1 };
  const made = await call("route.create", { content, name: "bill.json", steps: [step] });
  const onRoute = await call("route.sign", { route: made.route, content });
  await call("route.status", { route: onRoute?.route ?? made.route });

  const file = pdf();
  const sha256 = hex(await crypto.subtle.digest("SHA-256", file));
  const items = [{ name: "order-1.pdf", size: file.length, sha256 }];
  const { batch } = await call("sign.batch", { items, purpose: "Orders of November" });
  const one = await send("order-1.pdf", "application/pdf", file);
  await call("batch.sign", { batch, item: 0, document: one });
  const shown = await send("order-1.pdf", "application/pdf", file);
  const late = "Answers `batch.wanted` while the person looks; here nobody does any more.";
  await call("batch.show", { id: 1, item: 0, document: shown }, late);
  await call("batch.close", { batch, forget: true });
}

form.onsubmit = async (event) => {
  event.preventDefault();
  main.replaceChildren();
  try {
    status.textContent = "Running…";
    const { port } = Object.fromEntries(new FormData(form));
    const answer = await fetch(`http://127.0.0.1:${port}/status`).then((r) => r.json(), () => ({}));
    if (!answer.trial) {
      throw new Error(`At port ${port} there is no trial agent: dsign trial --port ${port}`);
    }
    const socket = await open(port);
    const described = new Map();
    const discovered = new Promise((resolve) =>
      socket.onmessage = ({ data }) => resolve(JSON.parse(data).result)
    );
    socket.send(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "rpc.discover", params: {} }));
    const { methods } = await discovered;
    for (const { name, summary } of methods) described.set(name, summary);
    await runAll(socket, described);
    socket.close();
    const ran = new Set([...main.children].map(({ dataset }) => dataset.method));
    const left = methods.filter(({ name }) => !ran.has(name)).map(({ name }) => name);
    status.textContent = left.length > 0 ? `Not run: ${left}` : `All ${ran.size} methods were run.`;
  } catch (error) {
    status.textContent = error.message;
  }
};

/** The page of every example: it signs, and its server checks. */
import { connect } from "/client.js";

const { trial } = await (await fetch("/config")).json();
const output = document.querySelector("output");

/** Sends something to the server, and shows its answer. */
async function send(method, path, body) {
  const answer = await fetch(path, { method, body });
  output.textContent = await answer.text();
}

/** Does `work` with a connection, and shows what failed as the person should read it. */
const onClick = (id, work) =>
  document.getElementById(id).onclick = async () => {
    output.textContent = "…";
    let dsign;
    try {
      const scopes = ["certificates", "sign"];
      dsign = await connect({ scopes, request: "Log in, sign bills and orders", trial });
      await work(dsign);
    } catch (error) {
      output.textContent = error.message;
    } finally {
      dsign?.close();
    }
  };

onClick("login", async (dsign) => {
  const nonce = await (await fetch("/nonce")).text();
  const { unverifiedCertificate, algorithm, signature } = await dsign.call("auth.authenticate", {
    nonce,
  });
  const token = { certificate: unverifiedCertificate, algorithm, signature };
  await send("POST", "/login", new URLSearchParams(token));
});

onClick("bill", async (dsign) => {
  const bill = await (await fetch("/bill")).json();
  // Detached: the server compares with its own record, not with what comes from here.
  const { signature } = await dsign.call("sign.data", {
    content: { json: bill },
    packaging: "detached",
    purpose: `Bill ${bill.bill}`,
  });
  await send("POST", "/bill", signature);
});

onClick("order", async (dsign) => {
  const order = await (await fetch("/order")).blob();
  const { pdf } = await dsign.signPdf(order, { name: "order.pdf", purpose: "Sanction order 7" });
  await send("PUT", "/order", pdf);
});

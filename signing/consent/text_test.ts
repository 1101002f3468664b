import assert from "node:assert/strict";
import { signRequest } from "../../tests/fakes/consent_requests.ts";
import type { SignRequest } from "../../protocol/consent.ts";
import { describeSign, printable } from "./text.ts";

Deno.test("printable shows control, direction and invisible characters by number", () => {
  assert.equal(printable("বিল ৭, é 漢 👩"), "বিল ৭, é 漢 👩");
  assert.equal(
    printable("a\x1b[31m\x9b\n\u2066\u200b\ufeff"),
    String.raw`a\u{1b}[31m\u{9b}\u{a}\u{2066}\u{200b}\u{feff}`,
  );
});

Deno.test("important facts come before the site's own text", () => {
  const [item] = signRequest().items;
  const text = describeSign(
    signRequest({
      blind: true,
      items: [{ ...item, name: "x".repeat(255) }, item, item],
      asker: { origin: "https://a.example", trustedSince: null, purpose: "y".repeat(200) },
    }),
    { previewLines: 1, items: 2 },
  );
  const order = [
    "https://a.example asks for 3 signatures",
    "WARNING",
    "x…",
    "… and 1 more",
    "yyy",
    "amount",
  ];
  const places = order.map((each) => text.indexOf(each));
  assert.ok(places.every((place, i) => place > (places[i - 1] ?? -1)), places.join());
});

Deno.test("the text says the level, who is asked for it, and what follows without an answer", () => {
  const said = (network: SignRequest["network"]) =>
    describeSign(signRequest({ network }), { previewLines: 1, items: 1 });
  assert.match(
    said({ level: "B-LT", timestampAuthority: "tsa.example" }),
    /Level B-LT: D-Sign asks tsa\.example for the time, and .* valid\. Without an answer nothing is signed\./,
  );
  assert.match(said({ level: "B-T", timestampAuthority: null }), /none is configured/);
  assert.doesNotMatch(said(undefined), /Level/);
});

Deno.test("the text names earlier signers, and whose turn it is on a route", () => {
  const [item] = signRequest().items;
  const step = { quorum: 1, signed: [], open: [], isDone: false };
  const text = describeSign(
    signRequest({
      items: [{
        ...item,
        signedBy: [{ name: "Maya\x1b", proven: true }, { name: "Chetan", proven: false }],
        route: {
          next: 1,
          steps: [
            { ...step, role: "Maker", signed: ["Maya"], unproven: ["Maya"], isDone: true },
            { ...step, role: "Checker", unproven: [], open: ["Chetan"] },
          ],
        },
      }],
    }),
    { previewLines: 1, items: 2 },
  );
  assert.match(text, /already signed by Maya\\u\{1b\}/);
  assert.match(text, /1\. Maker, 1 of 1: signed by Maya \(UNPROVEN: nobody vouches for it\)\n/);
  assert.match(text, /2\. Checker \(NOW\), 0 of 1: waits for Chetan/);
});

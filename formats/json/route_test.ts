import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { signBytes } from "../../tests/fixtures/keys.ts";
import { makePki, type Officer } from "../../tests/fixtures/pki.ts";
import { FormatError } from "../error.ts";
import { prepareJws } from "./jws_write.ts";
import { encodeRoute, prepareStatement, readRoute, startRoute } from "./route.ts";
import type { Route } from "./turn.ts";

const names = ["Maker", "Checker A", "Checker B", "Checker C", "Approver", "Stranger"];
const pki = makePki({ officers: names.map((name) => ({ name, key: "p-256" as const })) });
const [maker, checkerA, checkerB, checkerC, approver, stranger] = pki.officers;
const signingTime = new Date("2026-11-21T10:00:00Z");
const content = createHash("sha256").update("a bill").digest("hex");
const person = (officer: Officer) => ({
  name: officer.name,
  person: officer.certificate.subject.text("serialNumber")!,
});
const route: Route = {
  type: "dsign-route-1",
  content: { name: "bill-7.json", sha256: content },
  steps: [
    { role: "maker", signers: [person(maker)], quorum: 1 },
    { role: "checker", signers: [checkerA, checkerB, checkerC].map(person), quorum: 2 },
    {
      role: "approver",
      signers: [{ name: approver.name, certificate: approver.certificate.fingerprint }],
      quorum: 1,
    },
  ],
};

const signerOf = (officer: Officer) => ({
  certificate: officer.certificate.der,
  chain: officer.chain,
  algorithm: officer.key.algorithm,
  signingTime,
});

function setUp(value: Route = route, issuer: Officer = maker): string {
  const prepared = prepareJws({
    ...signerOf(issuer),
    payload: encodeRoute(value),
    contentType: "json",
  });
  return startRoute(prepared.complete(signBytes(issuer.key, prepared.toBeSigned)));
}

function signNext(file: string, officer: Officer, of = content): string {
  const prepared = prepareStatement(file, of, signerOf(officer));
  return prepared.complete(signBytes(officer.key, prepared.toBeSigned));
}

const isError = (code: string, words = "") => (error: unknown) =>
  error instanceof FormatError && error.code === code && error.message.includes(words);

Deno.test("a maker, two of three checkers and an approver complete a route", () => {
  let file = setUp();
  assert.equal(readRoute(file).next, 0);
  for (const officer of [maker, checkerC, checkerA, approver]) {
    assert.notEqual(readRoute(file).next, null);
    file = signNext(file, officer);
  }
  const status = readRoute(file);
  assert.equal(status.next, null);
  assert.deepEqual(status.steps.map(({ signed }) => signed), [
    ["Maker"],
    ["Checker C", "Checker A"],
    ["Approver"],
  ]);
  assert.deepEqual(status.statements.map(({ role }) => role), [
    "maker",
    "checker",
    "checker",
    "approver",
  ]);
  assert.equal(status.issuer.fingerprint, maker.certificate.fingerprint);
});

Deno.test("signing out of turn is refused with the names of those whose turn it is", () => {
  let file = setUp();
  assert.throws(() => signNext(file, approver), isError("out_of_turn", "as maker: Maker"));
  assert.throws(() => signNext(file, stranger), isError("out_of_turn"));
  file = signNext(file, maker);
  assert.throws(() => signNext(file, maker), isError("out_of_turn", "2 of Checker A"));
  file = signNext(file, checkerA);
  assert.throws(() => signNext(file, checkerA), isError("out_of_turn", "1 of Checker B"));
  file = signNext(file, checkerB);
  assert.throws(() => signNext(file, checkerC), isError("out_of_turn", "as approver: Approver"));
  file = signNext(file, approver);
  assert.throws(() => signNext(file, approver), isError("out_of_turn", "complete"));
});

Deno.test("a route applies to one content only", () => {
  assert.throws(() => signNext(setUp(), maker, "0".repeat(64)), isError("signature_mismatch"));
});

Deno.test("statements cannot be dropped, moved, repeated or taken from another route", () => {
  let file = setUp();
  const other = signNext(setUp({ ...route, steps: route.steps.toReversed().slice(2) }), maker);
  for (const officer of [maker, checkerA, checkerB]) file = signNext(file, officer);
  const { route: jws, statements } = JSON.parse(file);
  const [first, second, third] = statements;
  for (
    const changed of [
      [second, third],
      [first, third],
      [first, third, second],
      [first, first, second, third],
      [JSON.parse(other).statements[0], second, third],
    ]
  ) {
    const forged = JSON.stringify({ route: jws, statements: changed });
    assert.throws(() => readRoute(forged), isError("route_malformed"));
  }
});

Deno.test("a changed route or statement is detected", () => {
  const file = signNext(setUp(), maker);
  for (let index = 0; index < file.length; index += 7) {
    const changed = file.slice(0, index) + (file[index] === "A" ? "B" : "A") +
      file.slice(index + 1);
    assert.throws(() => readRoute(changed), isError("route_malformed"), `character ${index}`);
  }
});

Deno.test("a route that can never be completed is refused at set-up", () => {
  const [step] = route.steps;
  for (
    const steps of [
      [],
      [{ ...step, quorum: 2 }],
      [{ ...step, quorum: 0 }],
      [{ ...step, signers: [{ name: "nobody" }] }],
      [{ ...step, signers: [step.signers[0], step.signers[0]], quorum: 2 }],
    ]
  ) assert.throws(() => setUp({ ...route, steps }), isError("route_malformed"));
});

const named = (name: string, officer: Officer) => ({
  name,
  certificate: officer.certificate.fingerprint,
});
const steps = (...all: [role: string, quorum: number, signers: ReturnType<typeof named>[]][]) => ({
  ...route,
  steps: all.map(([role, quorum, signers]) => ({ role, quorum, signers })),
});

Deno.test("one person with two certificates counts once for a quorum", () => {
  const [again, newKey] = makePki({
    officers: [
      { name: "Maker again", key: "p-256", pan: maker.pan },
      { name: "Another", key: "p-256" },
    ],
  }).officers;
  assert.equal(
    again.certificate.subject.text("serialNumber"),
    maker.certificate.subject.text("serialNumber"),
  );
  const two = [named("Maker", maker), named("Maker again", again), named("Another", newKey)];
  let file = signNext(setUp(steps(["board", 2, two])), maker);
  assert.throws(() => signNext(file, again), isError("out_of_turn"));
  file = signNext(file, newKey);
  assert.equal(readRoute(file).next, null);
});

Deno.test("one person cannot be maker and checker under two spellings of a name", () => {
  const twice = steps(["maker", 1, [named("Anita", maker)]], ["checker", 1, [
    named("Bimal", maker),
  ]]);
  assert.throws(() => setUp(twice), isError("route_malformed", "two names"));
  // By certificate in one step and by person in the other, the route itself does not show it.
  const hidden = {
    ...twice,
    steps: [twice.steps[0], {
      ...twice.steps[1],
      signers: [{ name: "Bimal", person: maker.certificate.subject.text("serialNumber")! }],
    }],
  };
  const file = signNext(setUp(hidden), maker);
  assert.throws(() => signNext(file, maker), isError("out_of_turn"));
  const open = steps(["maker", 1, [named("Anita", maker)]], ["checker", 1, [
    named("Anita", maker),
  ]]);
  assert.equal(readRoute(signNext(signNext(setUp(open), maker), maker)).next, null);
});

Deno.test("names that differ only invisibly are one name", () => {
  for (
    const name of [
      "Ma\u200bker",
      "Maker\u2800",
      "Maker\u{1d159}",
      " Maker",
      "Ma\u00adker",
      "\u202eMaker",
      "Maker\u3164",
    ]
  ) {
    const both = [named("Maker", maker), named(name, stranger)];
    assert.throws(() => setUp(steps(["board", 2, both])), isError("route_malformed", "twice"));
  }
  for (const name of ["", " ", "\u200b\u2060", "\u2800"]) {
    const unseen = steps(["maker", 1, [named(name, maker)]]);
    assert.throws(() => setUp(unseen), isError("route_malformed"));
  }
  const indic = "\u0995\u09cd\u200d\u09b7"; // a joiner that shapes the letters
  assert.equal(
    readRoute(setUp(steps(["maker", 1, [named(indic, maker)]]))).steps[0].open[0],
    indic,
  );
});

Deno.test("a last statement altered outside its signature does not count", () => {
  const file = signNext(setUp(), maker);
  const { route: jws, statements: [last] } = JSON.parse(file);
  const value = JSON.parse(last);
  const altered = [
    JSON.stringify({ ...value, note: "approved" }),
    JSON.stringify({ ...value, signatures: [{ ...value.signatures[0], header: { etsiU: [] } }] }),
    ` ${last}`,
    JSON.stringify(value, null, 1),
  ];
  for (const statement of altered) {
    const forged = JSON.stringify({ route: jws, statements: [statement] });
    assert.throws(() => readRoute(forged), isError("route_malformed", "altered"));
  }
});

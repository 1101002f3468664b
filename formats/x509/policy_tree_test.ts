import assert from "node:assert/strict";
import { anyPolicy, PolicyGraph } from "./policy_tree.ts";

Deno.test("policies common to the whole path are valid, in the authority's terms", () => {
  const graph = new PolicyGraph();
  graph.add(["1.1", "1.2"], true);
  graph.map([{ issuer: "1.1", subject: "2.1" }], true);
  graph.add(["2.1", "1.3"], true);
  assert.deepEqual(graph.validPolicies([anyPolicy]), ["1.1"]);
  assert.deepEqual(graph.validPolicies(["1.1", "1.2"]), ["1.1"]);
  assert.deepEqual(graph.validPolicies(["2.1"]), []);
});

Deno.test("anyPolicy counts only where it is allowed", () => {
  const allowed = new PolicyGraph();
  allowed.add([anyPolicy], true);
  allowed.add(["1.1"], true);
  assert.deepEqual(allowed.validPolicies([anyPolicy]), ["1.1"]);
  const forbidden = new PolicyGraph();
  forbidden.add([anyPolicy], false);
  assert.ok(forbidden.isEmpty);
  assert.deepEqual(forbidden.validPolicies([anyPolicy]), []);
});

Deno.test("a certificate without policies leaves the path with none", () => {
  const graph = new PolicyGraph();
  graph.add(undefined, true);
  assert.ok(graph.isEmpty);
});

Deno.test("an inhibited mapping removes its policies", () => {
  const graph = new PolicyGraph();
  graph.add(["1.1", "1.2"], true);
  graph.map([{ issuer: "1.1", subject: "2.1" }], false);
  graph.add(["1.2", "2.1"], true);
  assert.deepEqual(graph.validPolicies([anyPolicy]), ["1.2"]);
});

Deno.test("hostile mappings do not make the graph grow (RFC 9618 §3)", () => {
  const policies = Array.from({ length: 30 }, (_, index) => `1.${index}`);
  const everyToEvery = policies.flatMap((issuer) =>
    policies.map((subject) => ({ issuer, subject }))
  );
  const graph = new PolicyGraph();
  // As a tree this would have 30^12 leaves.
  for (let depth = 0; depth < 12; depth++) {
    graph.add(policies, true);
    graph.map(everyToEvery, true);
  }
  assert.deepEqual(graph.validPolicies(["1.7"]), ["1.7"]);
});

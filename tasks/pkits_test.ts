import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { validateCertificate } from "../formats/x509/path.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { readPkits, runPkits } from "./pkits.ts";

const directory = new URL("../../shared/corpus/pkits", import.meta.url).pathname;
const ignore = !existsSync(directory);

/** The suite's own times: valid from 2010 to the end of 2030. */
const at = new Date("2026-01-01T00:00:00Z");

Deno.test({
  name: "PKITS: all 203 end entities are judged right (optional: needs ../shared/corpus/pkits)",
  ignore,
  async fn() {
    const { reasons: _, ...counts } = runPkits(await readPkits(directory), at);
    assert.deepEqual(counts, { total: 203, right: 203, falseAccepts: [], falseRejects: [] });
  },
});

const P = (number: number) => `2.16.840.1.101.3.2.1.48.${number}`;

/** Name, and [policy inputs, right] pairs (PKITS §4.8, §4.12.3). */
type PolicyInputs = number[] | "explicit" | "any" | "inhibit any";

const policyTests: [string, [PolicyInputs, boolean][]][] = [
  ["ValidCertificatePathTest1", [
    ["explicit", true],
    [[1], true],
    [[2], false],
    [[1, 2], true],
  ]],
  ["AllCertificatesNoPoliciesTest2", [["any", true], ["explicit", false]]],
  ["DifferentPoliciesTest3", [
    ["any", true],
    ["explicit", false],
    [[1, 2], false],
  ]],
  ["DifferentPoliciesTest4", [["any", false]]],
  ["DifferentPoliciesTest5", [["any", false]]],
  ["OverlappingPoliciesTest6", [["any", true], [[1], true], [[2], false]]],
  ["DifferentPoliciesTest7", [["any", false]]],
  ["DifferentPoliciesTest8", [["any", false]]],
  ["DifferentPoliciesTest9", [["any", false]]],
  ["AllCertificatesSamePoliciesTest10", [
    ["any", true],
    [[1], true],
    [[2], true],
  ]],
  ["AllCertificatesanyPolicyTest11", [["any", true], [[1], true]]],
  ["DifferentPoliciesTest12", [["any", false]]],
  ["AllCertificatesSamePoliciesTest13", [
    [[1], true],
    [[2], true],
    [[3], true],
  ]],
  ["AnyPolicyTest14", [[[1], true], [[2], false]]],
  ["UserNoticeQualifierTest15", [["any", true]]],
  ["UserNoticeQualifierTest16", [["any", true]]],
  ["UserNoticeQualifierTest17", [["any", true]]],
  ["UserNoticeQualifierTest18", [[[1], true], [[2], true]]],
  ["UserNoticeQualifierTest19", [["any", true]]],
  ["CPSPointerQualifierTest20", [["any", true]]],
  ["inhibitAnyPolicyTest3", [
    ["any", true],
    ["inhibit any", false],
  ]],
];

Deno.test({
  name: "PKITS: the policy tests with their own inputs (optional: needs ../shared/corpus/pkits)",
  ignore,
  async fn() {
    const { ends, ...given } = await readPkits(directory);
    for (const [name, cases] of policyTests) {
      const end = readCertificate(ends.get(name)!);
      for (const [inputs, right] of cases) {
        const result = validateCertificate(end, {
          ...given,
          at,
          revocation: "require",
          requireExplicitPolicy: inputs === "explicit" || Array.isArray(inputs),
          initialPolicies: Array.isArray(inputs) ? inputs.map(P) : undefined,
          inhibitAnyPolicy: inputs === "inhibit any",
        });
        const reason = result.trusted ? "trusted" : result.failure.message;
        assert.equal(result.trusted, right, `${name} with ${inputs}: ${reason}`);
      }
    }
  },
});

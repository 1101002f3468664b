/** Policy and configuration: D-Sign does not start if one of them is wrong. */
import { Config, findPaths, readConfig } from "../../settings/config.ts";
import { type Policy, policyPath, readPolicy, underPolicy } from "../../settings/policy_file.ts";
import { DsignError } from "../../protocol/errors.ts";
import type { Machine, Situation } from "./machine.ts";
import { type Finding, ok } from "./tickets.ts";

/**
 * Reads policy and configuration. An unreadable one is a finding, and the defaults take its place.
 *
 * @throws {DsignError} `storage_failed` if there is no home folder
 */
export async function checkSettings(
  machine: Machine,
): Promise<{ findings: Finding[]; situation: Situation }> {
  const findings: Finding[] = [];
  const paths = findPaths(machine.env, machine.os);
  const where = machine.root + policyPath(machine.env, machine.os);
  let policy: Policy = {};
  const refused = (status: "warning" | "error", error: string) =>
    findings.push({ id: "policy_refused", status, values: { error, path: where } });
  try {
    const found = await readPolicy(where, machine.administrator);
    policy = found.policy;
    if (found.ignored) refused("warning", found.ignored);
    else findings.push(ok("policy_refused"));
  } catch (error) {
    if (!(error instanceof DsignError)) throw error;
    refused("error", error.message);
  }
  let config = Config.parse({});
  try {
    config = await readConfig(paths.config);
    findings.push(ok("configuration_wrong"));
  } catch (error) {
    if (!(error instanceof DsignError)) throw error;
    findings.push({
      id: "configuration_wrong",
      status: "error",
      values: { error: error.message, path: paths.config },
    });
  }
  return { findings, situation: { machine, paths, settings: underPolicy(config, policy) } };
}

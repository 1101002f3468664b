/** The whole examination. */
import { getLogger } from "@logtape/logtape";
import { checkAgent, checkAutostart, checkLoopback } from "./agent.ts";
import { checkPermissions, checkPolicies, checkSandboxes, firefoxProfiles } from "./browsers.ts";
import { checkDrivers } from "./drivers.ts";
import { checkLocalCertificate } from "./local_certificate.ts";
import type { Machine } from "./machine.ts";
import { checkProxies } from "./proxies.ts";
import { checkRemoteSession } from "./remote_session.ts";
import { checkSettings } from "./settings.ts";
import { checkClock, checkDisk, checkProfile } from "./storage.ts";
import { type Finding, skipped, TICKETS } from "./tickets.ts";
import { checkTokens } from "./tokens.ts";

const log = getLogger(["dsign", "doctor"]);

/**
 * Looks for every known problem. Changes nothing, tries no PIN, and asks nobody over the network.
 *
 * @throws {DsignError} `storage_failed` if there is no home folder
 */
export async function diagnose(machine: Machine): Promise<Finding[]> {
  const { findings, situation } = await checkSettings(machine);
  const groups = await Promise.all([
    attempt(() => checkProfile(situation)),
    attempt(() => checkDisk(situation)),
    attempt(() => checkClock(situation)),
    attempt(async () => {
      const { findings, tokens, works } = await checkDrivers(situation);
      const remote = checkRemoteSession(machine, tokens.length > 0);
      return [...findings, remote, ...checkTokens(tokens, works, machine.now())];
    }),
    attempt(() => checkAgent(situation)),
    attempt(() => checkLoopback()),
    attempt(() => checkAutostart(situation)),
    attempt(async () => await checkProxies(situation, await firefoxProfiles(machine))),
    attempt(() => checkLocalCertificate(situation)),
    attempt(() => checkPolicies(situation)),
    attempt(() => checkSandboxes(situation)),
    attempt(() => checkPermissions(situation)),
  ]);
  const all = [...findings, ...groups.flat()];
  return [...all, ...TICKETS.filter((id) => !all.some((each) => each.id === id)).map(skipped)];
}

/** A check that itself fails must not stop the others. */
async function attempt(check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check();
  } catch (error) {
    log.error("A check failed: {error}", { error });
    return [];
  }
}

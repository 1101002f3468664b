/**
 * The secret's rotation, while instances serve: a new secret is written into the file and can be read; then it is used, and
 * what the database holds is sealed with it in pieces; then the old one counts for PINs alone. Each step can be run again
 * where it was interrupted.
 */
import { RULES } from "./authorize.ts";
import { SetupError } from "./error.ts";
import { pepperOf } from "./pin.ts";
import {
  readSecretLines,
  withNext,
  withNextInUse,
  withoutOld,
  writeSecretLines,
} from "./secret_file.ts";
import { type KeptSecret, secretName, type SecretUse } from "./secrets.ts";
import type { Store } from "./store.ts";
import { SECRET_TABLES } from "./store_rotation.ts";

/** Of the parts of a service. */
export interface Rotating {
  store: Store;
  /** Whom the audit names. */
  by: string;
}

const find = (kept: readonly KeptSecret[], use: SecretUse) => kept.find((each) => each.use === use);

/**
 * Adds a new secret to the file, which nothing is made with yet.
 *
 * @returns its name
 * @throws {SetupError} where a rotation is under way
 */
export async function prepareSecret(path: string): Promise<string> {
  const kept = await readSecretLines(path);
  if (find(kept, "next")) throw new SetupError(`${path} holds a next secret already: --use it.`);
  if (find(kept, "old")) throw new SetupError("The last rotation is not over: --retire first.");
  const changed = withNext(kept);
  await writeSecretLines(path, changed);
  return secretName(find(changed, "next")!);
}

/**
 * Makes the next secret the current one in the file; where that was done, the old one lives on from now.
 *
 * @throws {SetupError} where there is none
 */
export async function useNextSecret(path: string): Promise<void> {
  const kept = await readSecretLines(path);
  if (!find(kept, "next") && !find(kept, "old")) {
    throw new SetupError("There is no next secret: --prepare one first.");
  }
  // run again, it may only now reach instances on other machines
  await writeSecretLines(path, withNextInUse(kept, new Date(Date.now() + RULES.lifetime)));
}

/**
 * Seals everything that the database holds with the current secret; instances change to it meanwhile.
 *
 * @returns how many rows were sealed anew
 * @throws {TamperedError} at a row whose seal is not good
 */
export async function sealWithCurrent({ store, by }: Rotating): Promise<number> {
  await store.turnToSecret({ event: "secret.in_use", secret: store.secrets.pepper.current, by });
  let all = 0;
  // rows that others hold are waited for when there are no more others; who waits holds up to a hundred
  for (let [count, waits] = [0, false];; all += count) {
    count = 0;
    for (const table of SECRET_TABLES) {
      for (let at: string | null = ""; at !== null;) {
        const { last, count: some } = await store.sealAnew(table, at, waits);
        [at, count] = [last, count + some];
      }
    }
    if (count === 0 && waits) return all;
    waits = count === 0;
  }
}

/**
 * Old secrets count for PINs alone from now on, and those that no PIN needs are removed.
 *
 * @param now what is under way that began with it may fail
 * @param logKeyIsDerived the log's key is that of the oldest secret
 * @returns how many were removed
 * @throws {SetupError} where something may still be under way that began with it
 */
export async function retireSecrets(
  path: string,
  rotating: Rotating,
  { now = false, logKeyIsDerived = true } = {},
): Promise<number> {
  const { store, by } = rotating;
  const kept = await readSecretLines(path);
  const old = find(kept, "old");
  if (find(kept, "next")) throw new SetupError("The next secret is not in use: --use it first.");
  if (old) {
    if (!now && old.until !== undefined && Date.parse(old.until) > Date.now()) {
      throw new SetupError(
        `Authorizations that began with the old secret live until ${old.until}. Retire it then.`,
      );
    }
    await sealWithCurrent(rotating);
    await store.check({ seals: true });
    await writeSecretLines(path, withoutOld(kept));
    await store.run((tx) => {
      tx.audit({ event: "secret.retired", secret: secretName(old), by });
    });
  }
  const inUse = await pinsBySecret(store);
  const left = withoutOld(kept);
  const needed = left.filter((each, i) => {
    const isOldest = i === left.length - 1;
    const pins = (inUse.get(secretName(each)) ?? 0) + (isOldest ? inUse.get("") ?? 0 : 0);
    return each.use !== "pepper" || pins > 0 || (isOldest && logKeyIsDerived);
  });
  if (needed.length < left.length) await writeSecretLines(path, needed);
  return left.length - needed.length;
}

/** How many PINs have the pepper of each secret, by its name; "": they name none, and have that of the oldest. */
async function pinsBySecret(store: Store): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const { pin } of await store.read((tx) => tx.persons())) {
    if (pin === null) continue;
    const name = pepperOf(pin) ?? "";
    found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}

/** A secret of the file, and how many PINs have its pepper. */
export interface SecretState {
  name: string;
  use: SecretUse;
  pins: number;
  until?: string;
}

/** The secrets of the file, newest first. */
export async function secretStates(path: string, store: Store): Promise<SecretState[]> {
  const [kept, pins] = [await readSecretLines(path), await pinsBySecret(store)];
  return kept.map((each, i) => {
    const name = secretName(each);
    const unnamed = i === kept.length - 1 ? pins.get("") ?? 0 : 0;
    return { name, use: each.use, until: each.until, pins: (pins.get(name) ?? 0) + unnamed };
  });
}

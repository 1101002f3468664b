/**
 * Which agent answers: it proves its key before a document leaves the page, and the page remembers the key. A program
 * that has one of D-Sign's ports first can answer, and can pass everything on to the agent; it cannot prove to be the
 * agent at the port that the page called.
 */
import type { Result } from "../../protocol/methods.ts";
import { type CallOptions, endingWith } from "./calls.ts";
import type { Agent } from "./channel.ts";
import type { DsignClientError } from "./errors.ts";

/** Milliseconds for the proof. */
const PATIENCE = 5000;

/** Agents that a site remembers: a person may use several computers with one browser profile. */
const MAX_PINS = 8;

/** A page's verdict on the program that answered. */
export type Judged =
  | Agent
  /** It proves a key that is not known, though others are. */
  | "stranger"
  /** It does not prove to be an agent at this port. */
  | "unproven"
  /** It knows no proof: an agent of an earlier version, or none. */
  | "outdated";

/** Which keys count. */
export interface KnownKeys {
  keys: readonly string[];
  /** Whether the portal's server has named them. */
  listed: boolean;
  /** Whether the person has agreed to accept a new agent. */
  acceptNew: boolean;
}

type Proof = Result<"agent.prove">;

const utf8 = new TextEncoder();
const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));

/**
 * Has the program prove its key.
 *
 * @param port that was dialled
 */
export async function judge(
  client: {
    call(method: "agent.prove", params: { nonce: string }, options: CallOptions): Promise<Proof>;
  },
  port: number,
  known: KnownKeys,
  signal?: AbortSignal,
): Promise<Judged> {
  const nonce = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  const patience = endingWith(signal);
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  try {
    const proof = await client.call("agent.prove", { nonce }, { signal: patience.signal });
    const { key, predecessors } = proof;
    // protocol/agent_proof.ts has the same texts.
    const text = `dsign agent proof 1\n${globalThis.location?.origin}\n${port}\n${nonce}`;
    if (!await holds(proof, text)) return "unproven";
    const { keys, listed, acceptNew } = known;
    const trust = listed ? "listed" : "pinned";
    if (keys.includes(key)) return { key, trust };
    const from = predecessors.findIndex((each) => keys.includes(each.key));
    if (from >= 0 && await lead(predecessors.slice(from), key)) {
      if (!listed) await addPin(key, predecessors[from]!.key);
      return { key, trust };
    }
    return keys.length === 0 && !listed || acceptNew ? { key, trust: "first_use" } : "stranger";
  } catch (error) {
    // An answer that cannot be read proves nothing.
    return (error as DsignClientError).code === "method_not_found" ? "outdated" : "unproven";
  } finally {
    patience.abort();
    clearTimeout(timer);
  }
}

/** Whether each key has signed the one after it, and the last one `key`. */
async function lead(predecessors: Proof["predecessors"], key: string): Promise<boolean> {
  const next = [...predecessors.slice(1).map((each) => each.key), key];
  const all = predecessors.map((each, i) => holds(each, `dsign agent successor 1\n${next[i]}`));
  return (await Promise.all(all)).every((each) => each);
}

async function holds({ key, signature }: { key: string; signature: string }, text: string) {
  try {
    const EC = { name: "ECDSA", namedCurve: "P-256" };
    const point = await crypto.subtle.importKey("raw", fromBase64(key), EC, false, ["verify"]);
    const how = { name: "ECDSA", hash: "SHA-256" };
    return await crypto.subtle.verify(how, point, fromBase64(signature), utf8.encode(text));
  } catch {
    return false; // no key, or no Base64
  }
}

/** The agents that this site knows, in this browser, the latest first. Where the browser keeps nothing, none. */
export async function pins(): Promise<string[]> {
  const all = await inStore<{ key: string; added: number }[]>(
    "readonly",
    (store) => store.getAll(),
  );
  return (all ?? []).sort((a, b) => b.added - a.added).map(({ key }) => key);
}

/** Remembers an agent, in place of `old` if there is one; the oldest of too many is forgotten. */
export async function addPin(key: string, old = key): Promise<void> {
  const others = (await pins()).filter((each) => each !== key && each !== old);
  await inStore("readwrite", (store) => {
    for (const each of [old, ...others.slice(MAX_PINS - 1)]) store.delete(each);
    return store.put({ key, added: Date.now() });
  });
}

const STORE = "agents";

/** undefined: this browser, or this kind of window, has no store. */
function inStore<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest,
): Promise<T | undefined> {
  return new Promise((resolve) => {
    try {
      const opening = indexedDB.open("dsign", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "key" });
      opening.onerror = opening.onblocked = () => resolve(undefined);
      opening.onsuccess = () => {
        const database = opening.result;
        const transaction = database.transaction(STORE, mode);
        const request = work(transaction.objectStore(STORE));
        const end = (result?: T) => {
          database.close();
          resolve(result);
        };
        transaction.oncomplete = () => end(request.result as T);
        transaction.onerror = transaction.onabort = () => end();
      };
    } catch {
      resolve(undefined); // none at all, or forbidden
    }
  });
}

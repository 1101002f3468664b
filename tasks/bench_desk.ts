/** Set-up of the agent's benchmarks: a SoftHSM token, the agent, a page, and the raw loop beside them. */
import type { Client } from "../web/client.ts";
import type { BenchAgentStart } from "./bench_agent.ts";
import { Child } from "./bench_process.ts";
import type { RawStart } from "./bench_raw.ts";
import type { TokenStore } from "./demo_store.ts";
import { type DemoTokens, makeTokens } from "./demo_tokens.ts";
import { connectAs } from "./page.ts";

/** Of the page that asks. */
export const ORIGIN = "https://treasury.example";

export interface BenchTokens extends DemoTokens {
  store: Extract<TokenStore, { provider: "pkcs11:softhsm2" }>;
}

/** @throws {Error} without SoftHSM */
export async function benchTokens(folder: string): Promise<BenchTokens> {
  const tokens = await makeTokens(folder);
  const { store } = tokens;
  if (store.provider !== "pkcs11:softhsm2") {
    throw new Error("The benchmark needs softhsm2 and opensc.");
  }
  return { ...tokens, store };
}

/** An agent that says yes by itself, in a separate process. */
export async function startBenchAgent(
  tokens: BenchTokens,
  folder: string,
): Promise<{ child: Child; port: number }> {
  // As launcher.sh starts an agent.
  const child = new Child("bench_agent.ts", {}, [
    "--v8-flags=--max-semi-space-size=2,--heap-growing-percent=60",
  ]);
  const { store, officers } = tokens;
  const start: BenchAgentStart = {
    store,
    officers: officers.map(({ fingerprint, pin }) => ({ fingerprint, pin })),
    grants: `${folder}/grants.json`,
    audit: `${folder}/audit`,
    batches: `${folder}/batches`,
    spool: `${folder}/spool`,
  };
  await child.write(JSON.stringify(start));
  return { child, port: Number(await child.read()) };
}

/** A page that may ask for signatures. */
export async function grantedPage(port: number): Promise<Client> {
  const page = await connectAs(ORIGIN, port);
  await page.call("origin.request", { scopes: ["certificates", "sign", "sign_hash"] });
  return page;
}

/** Result of {@linkcode besideRaw}. */
export interface BesideRaw {
  agent: Child;
  page: Client;
  /** The certificate with whose key both sign: its id. */
  certificate: string;
  /** Signs so often without agent, and tells the milliseconds. */
  loop(count: number): Promise<number>;
}

/** Measures the agent beside a process that signs with the same key in a loop. */
export async function besideRaw(
  tokens: BenchTokens,
  folder: string,
  use: (bench: BesideRaw) => Promise<void>,
): Promise<void> {
  const { store, officers } = tokens;
  const { fingerprint, pin } = officers[0]!;
  const raw = new Child("bench_raw.ts", store.env);
  const { child: agent, port } = await startBenchAgent(tokens, folder);
  try {
    const page = await grantedPage(port);
    const { certificates } = await page.call("certificate.list", {});
    const { certificate, uri } = certificates.find(({ id }) => id === fingerprint)!;
    const start: RawStart = {
      modulePath: store.library,
      token: uri.replace(/;(?:object|type|id)=[^;]*/g, ""),
      pin,
      certificate,
    };
    await raw.write(JSON.stringify(start));
    const loop = async (count: number) => {
      await raw.write(String(count));
      return Number(await raw.read());
    };
    await use({ agent, page, certificate: fingerprint, loop });
    page.close();
  } finally {
    await raw.close();
    await agent.close();
  }
}

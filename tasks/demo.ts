/**
 * `deno task demo`: three officers, three tokens, the agent, and a sample treasury page to try it with.
 * `deno task demo --once --json` goes through it by itself: each officer signs one bill over a WebSocket, and OpenSSL
 * checks each signature against the root. Its only output is one JSON object; the exit code is 0 if all is well.
 *
 * Everything lives in a temporary folder and is gone at the end.
 */
import { parseArgs } from "node:util";
import { browserCommand, openBrowser } from "../agent/browser.ts";
import type { Consent } from "../agent/consent.ts";
import { WindowConsent } from "../agent/consent_window.ts";
import { type Agent, type AgentOptions, startAgent } from "../agent/server.ts";
import configuration from "../deno.json" with { type: "json" };
import { canonicalJson } from "../formats/canonical_json.ts";
import type { ChooseRequest, SignRequest } from "../protocol/consent.ts";
import { PORTS } from "../protocol/envelope.ts";
import { DsignError } from "../protocol/errors.ts";
import { BILL, ROLES } from "../web/portal/bill.ts";
import { build } from "./build.ts";
import { check } from "./demo_check.ts";
import { type DemoOfficer, type DemoTokens, makeTokens, openStore } from "./demo_tokens.ts";
import { connectAs } from "./page.ts";
import { ensure } from "./setup.ts";

const WEB = new URL("../dist/web/", import.meta.url);

/**
 * Says yes and knows the PINs: for the demonstration's and the benchmark's own tokens, whose PINs are no secret. No
 * command of the product can choose it.
 */
export class DemoConsent implements Consent {
  constructor(readonly officers: readonly Pick<DemoOfficer, "fingerprint" | "pin">[]) {}

  grant(): Promise<void> {
    return Promise.resolve();
  }

  choose(request: ChooseRequest): Promise<string> {
    return Promise.resolve(request.choices[0]!.certificate.id);
  }

  async sign(
    { choices, binding }: SignRequest,
    unlock: Parameters<Consent["sign"]>[1],
  ): Promise<void> {
    const { id } = choices[0]!.certificate;
    const officer = this.officers.find(({ fingerprint }) => fingerprint === id);
    if (officer === undefined) throw new DsignError("certificate_not_found");
    const pin = new TextEncoder().encode(officer.pin);
    const unlocked = await unlock({ certificate: id, pin, binding, finalTry: false });
    if (!unlocked.ok) throw new DsignError(unlocked.code, unlocked.message);
  }
}

/** What `--json` prints. */
interface Outcome {
  ok: boolean;
  provider: "pkcs11:softhsm2" | "pkcs12" | null;
  signatures: { signer: string; format: string; openssl: string }[];
  /** From the start to the end, setting up included. */
  ms: number;
  /** Where something went wrong: what, and what to do. */
  error?: string;
}

/** Each officer signs the bill over a page's WebSocket, and each signature is checked. */
async function round(
  { officers, root }: DemoTokens,
  port: number,
  folder: string,
): Promise<Outcome["signatures"]> {
  const signatures: Outcome["signatures"] = [];
  const page = await connectAs("https://treasury.example", port);
  try {
    await page.call("origin.request", { scopes: ["certificates", "sign"], purpose: "Sign bills" });
    for (const { name, certificate, fingerprint } of officers) {
      const signed = await page.call("sign.data", {
        content: { json: BILL },
        certificate: fingerprint,
        purpose: `Bill ${BILL.bill}`,
      });
      const openssl = await check({
        signature: Uint8Array.fromBase64(signed.signature),
        content: canonicalJson(JSON.stringify(BILL)),
        signer: certificate,
        root,
        folder,
      });
      signatures.push({ signer: name, format: "CAdES-B-B", openssl });
    }
  } finally {
    page.close();
  }
  return signatures;
}

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  woff: "font/woff",
};

/** Serves the sample treasury page, which is a site of its own: another port is another origin. */
function servePortal(): Deno.HttpServer<Deno.NetAddr> {
  const notFound = () => new Response("Not found\n", { status: 404 });
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    const name = pathname === "/" ? "portal.html" : /^\/web\/(\w[\w./-]*)$/.exec(pathname)?.[1];
    const type = TYPES[name?.split(".").at(-1) ?? ""];
    if (name === undefined || type === undefined || name.includes("..")) return notFound();
    try {
      const headers = { "content-type": type, "cache-control": "no-store" };
      return new Response(await Deno.readFile(new URL(name, WEB)), { headers });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return notFound();
      throw error;
    }
  });
}

const interrupted = () =>
  new Promise<void>((resolve) => {
    const signals: Deno.Signal[] = Deno.build.os === "windows"
      ? ["SIGINT", "SIGBREAK"]
      : ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) Deno.addSignalListener(signal, () => resolve());
  });

function explain({ officers, store }: DemoTokens, portal: string): void {
  const kind = store.provider === "pkcs12" ? "PKCS #12 files" : "SoftHSM";
  console.log(`
Open this page in a browser on this computer:

    ${portal}

It is a sample of a treasury's portal. Each of these officers has a token (${kind}) and signs with their own PIN:
`);
  for (const [index, { name, pin }] of officers.entries()) {
    console.log(`    ${ROLES[index]!.title.padEnd(12)}${name.padEnd(18)}PIN ${pin}`);
  }
  console.log(`
Try this: let all three sign one bill, one after another; type a wrong PIN; close D-Sign's window.
The PIN is asked for by D-Sign's own window, and the page never sees it.
Ctrl-C ends the demonstration; nothing of it stays.`);
}

async function withTokens(work: (tokens: DemoTokens, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "dsign-demo-" });
  try {
    await work(await makeTokens(folder), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function withAgent(
  { store }: DemoTokens,
  options: {
    folder: string;
    consent: AgentOptions["consent"];
    ports: number[];
  },
  work: (agent: Agent) => Promise<void>,
) {
  const { folder, consent, ports } = options;
  const provider = openStore(store);
  try {
    const agent = await startAgent({
      providers: [provider],
      consent,
      grants: `${folder}/grants.json`,
      audit: `${folder}/audit`,
      spool: `${folder}/spool`,
      version: configuration.version,
      web: WEB,
      ports,
    });
    try {
      await work(agent);
    } finally {
      await agent.close();
    }
  } finally {
    await provider.close();
  }
}

async function once(): Promise<Outcome> {
  const outcome: Outcome = { ok: false, provider: null, signatures: [], ms: 0 };
  try {
    await ensure("demo");
    await withTokens(async (tokens, folder) => {
      outcome.provider = tokens.store.provider;
      const consent = new DemoConsent(tokens.officers);
      await withAgent(tokens, { folder, consent, ports: [0] }, async ({ port }) => {
        outcome.signatures = await round(tokens, port, folder);
      });
      outcome.ok = outcome.signatures.length === tokens.officers.length &&
        outcome.signatures.every(({ openssl }) => openssl === "ok");
    });
  } catch (error) {
    outcome.ok = false;
    outcome.error = error instanceof Error ? error.message : String(error);
  }
  outcome.ms = Math.round(performance.now());
  return outcome;
}

/** Where no window can be opened, as over ssh or as root, the person opens it. */
async function showWindow(url: string): Promise<void> {
  try {
    await openBrowser(await browserCommand(url, undefined, (name) => Deno.env.get(name)));
  } catch (error) {
    if (!(error instanceof DsignError)) throw error;
    console.log(`D-Sign's window could not be opened. Open it yourself: ${url}`);
  }
}

async function interactive(): Promise<void> {
  await ensure("demo");
  console.error("Building the pages and making the tokens …");
  await build();
  await withTokens(async (tokens, folder) => {
    const consent = (origin: string) =>
      new WindowConsent({ origin, language: "en", openWindow: showWindow });
    await withAgent(tokens, { folder, consent, ports: [...PORTS, 0] }, async ({ port }) => {
      const portal = servePortal();
      try {
        explain(tokens, `http://127.0.0.1:${portal.addr.port}/?port=${port}`);
        await interrupted();
      } finally {
        await portal.shutdown();
      }
    });
  });
}

if (import.meta.main) {
  const { once: byItself, json } = parseArgs({
    options: { once: { type: "boolean" }, json: { type: "boolean" } },
  }).values;
  if (byItself) {
    const outcome = await once();
    if (json) console.log(JSON.stringify(outcome));
    else {
      for (const { signer, format, openssl } of outcome.signatures) {
        console.log(`${signer}: ${format}, OpenSSL says ${openssl}`);
      }
      console.log(
        outcome.ok ? `All is well (${outcome.ms} ms).` : outcome.error ?? "Not all is well.",
      );
    }
    Deno.exit(outcome.ok ? 0 : 1);
  }
  await interactive();
  Deno.exit(0);
}

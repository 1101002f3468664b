/**
 * `deno task demo`: both ways to sign, to be tried. Three officers with three tokens, the agent, and a sample treasury's
 * page; an engineer without a token, the PIN/OTP service, its mail, and a project portal's Technical Sanctions.
 * `deno task demo --once --json` goes through it by itself: each officer signs one bill over a WebSocket, and OpenSSL
 * checks each signature against the root; the engineer issues a Technical Sanction with PIN and OTP, an officer's token
 * signs it too, and pdfsig checks both. Its only output is one JSON object; the exit code is 0 if all is well.
 *
 * Everything lives in a temporary folder and is gone at the end.
 */
import { parseArgs } from "node:util";
import { browserCommand, openBrowser } from "../signing/consent/browser.ts";
import { WindowConsent } from "../signing/consent/window.ts";
import { Online } from "../online/services.ts";
import { publicFetch } from "../online/pki_http.ts";
import { type AgentOptions, startAgent } from "../agent/compose.ts";
import type { Agent } from "../agent/server.ts";
import { openReaders } from "../otp_service/reading.ts";
import { openReaders as openDocumentReaders } from "../signing/reading.ts";
import { readerCommand, textCommand } from "../cli/host_command.ts";
import configuration from "../deno.json" with { type: "json" };
import { canonicalJson } from "../formats/json/canonical.ts";
import { PORTS } from "../protocol/envelope.ts";
import { DsignError } from "../protocol/errors.ts";
import { notoSans } from "../tests/fixtures/fonts.ts";
import { BILL, ROLES } from "../web/portal/bill.ts";
import { build } from "./build.ts";
import { check } from "./demo_check.ts";
import { portalChecks } from "./demo_checks.ts";
import { startDemoEsp } from "./demo_esp.ts";
import { type MailSink, startMailSink } from "./demo_mail.ts";
import { ENGINEER, startDemoOtp } from "./demo_otp.ts";
import { startPkiServer } from "./demo_pki.ts";
import { type Portal, startPortal } from "./demo_portal.ts";
import { type SanctionOutcome, sanctionRound } from "./demo_round.ts";
import { Sanctions } from "./demo_sanction.ts";
import { DemoConsent } from "./demo_consent.ts";
import { openStore } from "./demo_store.ts";
import { type DemoTokens, makeTokens } from "./demo_tokens.ts";
import { connectAs } from "./page.ts";
import { ensure } from "./setup.ts";

const WEB = new URL("../dist/web/", import.meta.url);

/** Output of `--json`. */
interface Outcome {
  ok: boolean;
  provider: "pkcs11:softhsm2" | "pkcs12" | null;
  signatures: { signer: string; format: string; openssl: string }[];
  sanction: SanctionOutcome | null;
  /** From the start to the end, setting up included. */
  ms: number;
  /** The failure, and what to do; absent if there is none. */
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

const interrupted = () =>
  new Promise<void>((resolve) => {
    const signals: Deno.Signal[] = Deno.build.os === "windows"
      ? ["SIGINT", "SIGBREAK"]
      : ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) Deno.addSignalListener(signal, () => resolve());
  });

function explain(
  { officers, store }: DemoTokens,
  portal: Pick<Portal, "url">,
  port: number,
): void {
  const kind = store.provider === "pkcs12" ? "PKCS #12 files" : "SoftHSM";
  console.log(`
Open this page in a browser on this computer:

    ${portal.url}/?port=${port}

It is a sample treasury portal. Each of these officers has a token (${kind}) and a PIN:
`);
  for (const [index, { name, pin }] of officers.entries()) {
    console.log(`    ${ROLES[index]!.title.padEnd(12)}${name.padEnd(18)}PIN ${pin}`);
  }
  console.log(`
Things to try: let all three sign one bill, one after another; type a wrong PIN; close D-Sign's window.
D-Sign asks for the PIN in its own window, and the page never sees it.

To sign without a token, issue a Technical Sanction with a PIN and an OTP:

    ${portal.url}/sanction?port=${port}     draft, sign, verify
    ${portal.url}/mail     the mail, with the OTP

    ${ENGINEER.role.padEnd(20)}${ENGINEER.name.padEnd(18)}PIN ${ENGINEER.pin}

That makes a departmental PIN/OTP signature. A token can sign the same order, before or after.
Or issue it by eSign, with a sample provider that signs without asking.

The download page for officers (it offers the packages made by \`deno task package\`):

    ${portal.url}/web/install.html?port=${port}

Press Ctrl-C to stop. Nothing is left behind.`);
}

/** All that runs: whatever was started is ended, the last first, and the folder goes. */
export async function withParts(
  { consent, ports }: {
    consent: (tokens: DemoTokens) => AgentOptions["consent"];
    ports: readonly number[];
  },
  work: (parts: { tokens: DemoTokens; agent: Agent; folder: string }) => Promise<void>,
) {
  const closers: (() => unknown)[] = [];
  try {
    const folder = await Deno.makeTempDir({ prefix: "dsign-demo-" });
    closers.push(() => Deno.remove(folder, { recursive: true }));
    const pki = startPkiServer();
    closers.push(() => pki.close());
    const tokens = await makeTokens(folder, pki.url);
    pki.serve(tokens.pki);
    const trust = `${folder}/trust`;
    await Deno.mkdir(trust);
    await Deno.copyFile(tokens.root, `${trust}/root.pem`);
    const reader = openDocumentReaders(
      readerCommand(new URL("../main.ts", import.meta.url).href),
      console.error,
    );
    closers.push(() => reader.close());
    const provider = openStore(tokens.store, reader);
    closers.push(() => provider.close());
    const agent = await startAgent({
      providers: [provider],
      consent: consent(tokens),
      grants: `${folder}/grants.json`,
      audit: `${folder}/audit`,
      batches: `${folder}/batches`,
      spool: `${folder}/spool`,
      version: configuration.version,
      web: WEB,
      reader,
      textCommand: textCommand(new URL("../main.ts", import.meta.url).href),
      ports,
      timestampAuthority: `${pki.url}/tsa`,
      pkiFetch: fromHere,
      trust: [trust],
    });
    closers.push(() => agent.close());
    await work({ tokens, agent, folder });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** The demonstration's authorities are on this machine. */
const fromHere = publicFetch((address) => address === "127.0.0.1");

/** The project portal with the PIN/OTP service and its mail. */
export async function withPortal(
  { tokens, folder }: { tokens: DemoTokens; folder: string },
  work: (portal: Portal, mail: MailSink) => Promise<void>,
  { hasEsign = true } = {},
) {
  const closers: (() => unknown)[] = [];
  try {
    const mail = await startMailSink();
    closers.push(() => mail.close());
    const portal = startPortal(WEB);
    closers.push(() => portal.close());
    const timestampAuthority = `${tokens.pkiUrl}/tsa`;
    const esp = hasEsign ? await startDemoEsp(`${folder}/esp`, ENGINEER.name) : undefined;
    closers.push(() => esp?.close());
    const otp = await startDemoOtp(`${folder}/otp-service`, {
      redirectUri: `${portal.url}/signed`,
      mail,
      timestampAuthority,
      esp,
      web: WEB,
    });
    closers.push(() => otp.close());
    const reader = openReaders(
      readerCommand(new URL("../main.ts", import.meta.url).href),
      console.error,
    );
    closers.push(() => reader.close());
    const sanctions = new Sanctions({
      url: portal.url,
      otp,
      online: new Online({ reader, pkiFetch: fromHere, now: () => new Date() }),
      fonts: await notoSans(),
      roots: [tokens.pki.root.certificate, ...esp ? [esp.root] : []],
      hasEsign,
    });
    portal.open({ sanctions, mail, checks: portalChecks(tokens.root, folder) });
    await work(portal, mail);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function once(): Promise<Outcome> {
  const outcome: Outcome = { ok: false, provider: null, signatures: [], sanction: null, ms: 0 };
  try {
    await ensure("demo");
    const consent = ({ officers }: DemoTokens) => new DemoConsent(officers);
    await withParts({ consent, ports: [0] }, async ({ tokens, agent: { port }, folder }) => {
      outcome.provider = tokens.store.provider;
      outcome.signatures = await round(tokens, port, folder);
      await withPortal({ tokens, folder }, async (portal, mail) => {
        const { fingerprint } = tokens.officers[0]!;
        outcome.sanction = await sanctionRound(portal.url, mail, { port, fingerprint }, folder);
      }, { hasEsign: false });
      const { signatures, sanction } = outcome;
      outcome.ok = signatures.length === tokens.officers.length &&
        signatures.every(({ openssl }) => openssl === "ok") &&
        sanction?.level === "B-LT" && sanction.pdfsig === "ok" && sanction.signers.length === 2;
    });
  } catch (error) {
    outcome.ok = false;
    outcome.error = error instanceof Error ? error.message : String(error);
  }
  outcome.ms = Math.round(performance.now());
  return outcome;
}

/** If no window can be opened (e.g. over ssh or as root), the person opens it. */
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
  console.error("Building the pages and the tokens …");
  await build();
  const consent = () => (origin: string) =>
    new WindowConsent({ origin, language: "en", openWindow: showWindow });
  await withParts(
    { consent, ports: [...PORTS, 0] },
    async ({ tokens, agent: { port }, folder }) => {
      await withPortal({ tokens, folder }, async (portal) => {
        explain(tokens, portal, port);
        await interrupted();
      });
    },
  );
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
      if (outcome.sanction) {
        const { level, pdfsig, signers, kinds } = outcome.sanction;
        const by = signers.map((name, i) => `${name} (${kinds[i]})`).join(" and ");
        console.log(`Technical Sanction, signed by ${by}: PAdES ${level}, pdfsig says ${pdfsig}`);
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

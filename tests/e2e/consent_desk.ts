/** Questions of the agent to its person, and a desk at which a browser shows them: for the tests of the consent page. */
import assert from "node:assert/strict";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { SignAnswer } from "../../signing/consent/port.ts";
import { WindowConsent } from "../../signing/consent/window.ts";
import { type PinHistory, pinStateOf } from "../../signing/pin.ts";
import { servePage } from "../../agent/pages.ts";
import type {
  ConsentItem,
  GrantRequest,
  PinRequest,
  SignChoice,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";
import type { TriesLeft } from "../../protocol/errors.ts";
import { openWindow, watchConsole } from "./browser.ts";
import { NextWindow } from "./next_window.ts";

/** A window at an office screen of 1366 × 768. */
const OFFICE = { width: 1050, height: 741 };

const WEB = new URL("../../dist/web/", import.meta.url);

export interface Desk {
  context: BrowserContext;
  consent: WindowConsent;
  /** The page that shows the question asked last. */
  shown(): Promise<Page>;
  errors: string[];
}

export interface DeskOptions {
  language?: string;
  timeout?: number;
  limit?: number;
  /** Keeps the window from closing itself, as Firefox does. */
  stays?: boolean;
}

/** Runs `test` with a consent desk whose windows are opened in the browser. */
export async function atDesk(
  browser: Browser,
  { language = "en", timeout, limit, stays = false }: DeskOptions,
  test: (desk: Desk) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ viewport: OFFICE });
  if (stays) await context.addInitScript(() => (globalThis.close = () => {}));
  context.setDefaultTimeout(20_000);
  const errors = watchConsole(context);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, host } = new URL(request.url);
    if (pathname.startsWith("/consent/")) return await consent.respond(request, pathname);
    return await servePage(request, pathname, WEB, host) ?? new Response(null, { status: 204 });
  });
  const next = new NextWindow<Page>();
  const consent: WindowConsent = new WindowConsent({
    origin: `http://127.0.0.1:${server.addr.port}`,
    language,
    timeout,
    limit,
    heartbeat: 100,
    phrase: () => Promise.resolve("green mango"),
    openWindow: async (url) => next.opened(await openWindow(context, url)),
  });
  try {
    await test({
      context,
      consent,
      errors,
      shown: async () => {
        const page = await next.wait();
        await page.getByRole("heading", { level: 1 }).waitFor();
        return page;
      },
    });
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
    await server.shutdown();
  }
}

export const pinRequest = (purpose: PinRequest["purpose"]): PinRequest => {
  const { token, pin } = choice("Anita Das");
  const asker = { origin: null, own: true, trustedSince: null, purpose: null } as const;
  return { kind: "pin", asker, token, purpose, password: false, pin, length: { min: 4, max: 8 } };
};

export function choice(
  commonName: string,
  more: Partial<SignChoice["token"]> & { windowsAsks?: true } = {},
  id = "a1",
  history?: PinHistory,
): SignChoice {
  const token: SignChoice["token"] & { windowsAsks?: true } = {
    uri: `pkcs11:token=${id}`,
    label: "ProxKey 1",
    manufacturer: "x",
    model: "x",
    serialNumber: "1",
    driver: "x",
    state: "ready",
    protectedAuthenticationPath: false,
    ...more,
  };
  return {
    id: id.repeat(32),
    kind: "token_dsc",
    certificate: {
      id: id.repeat(32),
      uri: "pkcs11:token=x",
      certificate: "",
      chain: [],
      subject: `CN=${commonName}`,
      commonName,
      issuer: "CN=Example sub-CA 2026,O=Example,C=IN",
      serialNumber: "01",
      notBefore: "2026-01-01T00:00:00Z",
      notAfter: "2028-01-15T00:00:00Z",
      keyType: "RSA",
      keySize: 2048,
      class: "3",
      usable: true,
      reason: null,
    },
    token,
    pin: pinStateOf(token, history),
  };
}

export function item(name: string, mediaType: string, text: string | null): ConsentItem {
  return {
    name,
    mediaType,
    size: text === null ? 2_345_678 : new TextEncoder().encode(text).length,
    hash: { algorithm: "SHA-256", hex: "5f1b0c9e".repeat(8) },
    preview: text === null ? null : { text, truncated: false },
  };
}

export const BILL = item(
  "Bill 2026-27/TR-0142",
  "application/json",
  '{"account":"2059-80-053-01","bill":"2026-27/TR-0142","net":"4,58,375.00","payee":"Sample Builders, Kolkata"}',
);

export function signRequest(more: Partial<SignRequest> = {}): SignRequest {
  return {
    kind: "sign",
    asker: {
      origin: "https://treasury.example.in",
      trustedSince: "2026-09-01T00:00:00Z",
      purpose: "Bill 2026-27/TR-0142: you sign as checker",
    },
    items: [BILL],
    blind: false,
    choices: [choice("Anita Das")],
    binding: "b0".repeat(32),
    ...more,
  };
}

export const GRANT: GrantRequest = {
  kind: "grant",
  asker: {
    origin: "https://treasury.example.in",
    trustedSince: null,
    purpose: "To sign treasury bills",
  },
  scopes: ["certificates", "sign", "sign_hash"],
  expiresAt: "2027-11-21T00:00:00Z",
};

/** Answers each attempt with the next of these, and keeps what was typed. */
export function token(...answers: Unlocked[]) {
  const typed: (string | null)[] = [];
  const attempts: SignAnswer[] = [];
  return {
    typed,
    attempts,
    unlock: (answer: SignAnswer): Promise<Unlocked> => {
      typed.push(answer.pin && new TextDecoder().decode(answer.pin));
      attempts.push(answer);
      return Promise.resolve(answers.shift() ?? { ok: true });
    },
  };
}

export const wrong = (
  triesLeft: TriesLeft = "many",
  more: Partial<Unlocked & { ok: false }> = {},
): Unlocked => ({
  ok: false,
  code: "pin_incorrect",
  message: "The PIN is wrong.",
  again: true,
  pin: choice("", {}, "", { triesLeft }).pin,
  ...more,
});

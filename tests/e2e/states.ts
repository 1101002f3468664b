/**
 * Every question that D-Sign asks its person, in every state, one after the other in one browser page: for the tests that
 * measure the pages, and for the gallery of `deno task pictures`.
 */
import type { Browser, Page } from "playwright-core";
import { servePage } from "../../agent/pages.ts";
import { bytesSource } from "../../formats/source.ts";
import { espLanguage, espPage } from "../../otp_service/esp_page.ts";
import { pageFile } from "../../otp_service/page_files.ts";
import type { ConsentItem, PdfFacts, Unlocked } from "../../protocol/consent.ts";
import type { OtpAnswered, OtpView } from "../../protocol/csc_portal.ts";
import type { SignAnswer } from "../../signing/consent/port.ts";
import { WindowConsent } from "../../signing/consent/window.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import type { Language } from "../../words/speech.ts";
import { otpRequest } from "../fakes/consent_requests.ts";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { watchConsole } from "./browser.ts";
import {
  BILL,
  choice,
  GRANT,
  item,
  pinRequest,
  signRequest,
  token,
  wrong,
} from "./consent_desk.ts";
import { NextWindow } from "./next_window.ts";

const WEB = new URL("../../dist/web/", import.meta.url);

export interface State {
  name: string;
  /** What is typed, of a question that can be answered; absent: it is over, and the page says how. */
  asks?: "pin" | "nothing";
  /** Asks, and does what leads to the state. */
  enter(stage: Stage): Promise<void>;
}

/** Where the questions are shown. */
export interface Stage {
  page: Page;
  consent: WindowConsent;
  /** Of the page's console. */
  errors: string[];
  /** Shows the question that is asked. */
  show(asked: Promise<unknown>): Promise<void>;
  /** Shows a page by its path. */
  visit(path: string): Promise<void>;
  /** Shows the PIN/OTP page, whose service answers so. */
  showOtp(view: OtpView, answer?: OtpAnswered): Promise<void>;
}

const ROUTE: ConsentItem = {
  ...BILL,
  signedBy: [{ name: "Anita Das", proven: true }],
  route: {
    next: 1,
    steps: [
      step("Maker", { signed: ["Anita Das"], isDone: true }),
      step("Checker", { open: ["Bikram Sen", "Charulata Roy"] }),
      step("Approver", { open: ["Devika Pal"] }),
    ],
  },
};

function step(
  role: string,
  more: Partial<NonNullable<ConsentItem["route"]>["steps"][number]>,
): NonNullable<ConsentItem["route"]>["steps"][number] {
  return { role, quorum: 1, signed: [], unproven: [], open: [], isDone: false, ...more };
}

const DIGESTS: ConsentItem[] = Array.from({ length: 3 }, () => ({
  ...BILL,
  size: null,
  preview: null,
  hash: { algorithm: "SHA-1", hex: "5e".repeat(20) },
}));

const ORDER_BYTES = new Uint8Array(classicPdf(documentObjects({ pages: 3 })));
const ORDER = bytesSource(ORDER_BYTES);
const FACTS: PdfFacts = { password: null, damaged: false, permitted: true, signatures: [] };
const PDF: ConsentItem = { ...item("order.pdf", "application/pdf", null), pdf: { adds: null } };
const CHOICES = [
  choice("Anita Das", {}, "a1"),
  choice("Bikram Sen", {}, "b2"),
  choice("Charulata Roy", {}, "c3"),
];
const NEVER = new AbortController().signal;

const sign = (
  { consent }: Stage,
  more: Parameters<typeof signRequest>[0] = {},
  unlock: (answer: SignAnswer) => Promise<Unlocked> = token().unlock,
) =>
  consent.sign(
    signRequest(more),
    unlock,
    NEVER,
    () => Promise.resolve({ source: ORDER, facts: () => Promise.resolve(FACTS) }),
  );

/** Types a PIN and agrees, as soon as that counts. */
async function agree(page: Page): Promise<void> {
  await page.locator("input[type=password]").first().fill("1234");
  const more = page.locator(".see-next button");
  const submit = page.locator("button[type=submit]");
  for (const end = Date.now() + 30_000; await submit.isDisabled() && Date.now() < end;) {
    if (await more.count() > 0) await more.click({ timeout: 1000 }).catch(() => {}); // it has just gone
    await page.waitForTimeout(100);
  }
  await submit.click();
}

/** Ends the question, whose window does not close itself here. */
const ended = async ({ page }: Stage) => await page.locator(".ended").waitFor();

const otpView = (more: Partial<OtpView & { kind: "sign" }> = {}): OtpView => ({
  kind: "sign",
  language: "en",
  service: "Works PIN/OTP",
  client: "Project portal",
  anybody: false,
  portal: "https://portal.example/",
  purpose: "Technical Sanction 7, road Belda–Egra",
  hashAlgorithm: "SHA-256",
  documents: [{
    label: "sanction-7.txt",
    hash: "d1073183".repeat(8),
    hashPrefix: "D107 3183 3120 8F3E",
    shown: {
      name: "sanction-7.txt",
      size: 170,
      as: "text",
      text:
        "TECHNICAL SANCTION No. 7 of 2026-27\n\nAmount: Rs 4,58,37,500\n\nSanctioned technically.\n",
      truncated: false,
    },
  }],
  signer: {
    name: "Anita Sen",
    role: "Executive Engineer",
    organization: "Works Department (TEST)",
  },
  credential: { kind: "one-time", policy: "2.999.6.1" },
  consent: {
    en:
      "I, Anita Sen, have read what is shown above. By giving my PIN and the OTP I sign what is named above (documents: 1) for the purpose “Technical Sanction 7, road Belda–Egra” with a departmental PIN/OTP signature of Works Department (TEST).",
    bn:
      "আমি, Anita Sen, উপরে যা দেখানো হয়েছে তা পড়েছি। আমার পিন ও ওটিপি দিয়ে উপরে উল্লিখিত ১টি নথিতে “Technical Sanction 7, road Belda–Egra” উদ্দেশ্যে Works Department (TEST)-এর বিভাগীয় পিন/ওটিপি স্বাক্ষর করছি।",
    hi:
      "मैंने, Anita Sen ने, ऊपर दिखाया गया सब पढ़ा है। अपना पिन और ओटीपी देकर मैं ऊपर लिखे दस्तावेज़ पर “Technical Sanction 7, road Belda–Egra” के लिए Works Department (TEST) का विभागीय पिन/ओटीपी हस्ताक्षर करता/करती हूँ।",
  },
  deadline: new Date(Date.now() + 600_000).toISOString(),
  now: new Date().toISOString(),
  triesLeft: 3,
  otp: {
    way: "mail",
    to: "a•••@works.example",
    digits: 6,
    sendsLeft: 2,
    resendAt: new Date(Date.now() + 30_000).toISOString(),
  },
  ...more,
});

const espResponse = (language: Language) =>
  new Response(
    espPage(language, {
      service: "Works PIN/OTP",
      client: "Project portal",
      name: "sanction-7.pdf",
      purpose: "Technical Sanction 7, road Belda–Egra",
      digest: "d1073183".repeat(8),
      until: Date.now() + 600_000,
      document: "/esign/document",
      reject: "/esign/reject",
      action: "https://esign.example/2.1/signdoc",
      fields: {},
    }),
    { headers: { "content-type": "text/html; charset=utf-8" } },
  );

async function answerOtp({ page }: Stage): Promise<void> {
  await page.locator("#pin").fill("135790");
  await page.locator("#otp").fill("246810");
  await page.locator("button[type=submit]").click();
}

export const STATES: readonly State[] = [
  { name: "bill", asks: "pin", enter: (at) => at.show(sign(at)) },
  {
    name: "pdf",
    asks: "pin",
    async enter(at) {
      await at.show(sign(at, { items: [PDF] }));
      await at.page.locator("[data-drawn='1 1']").waitFor();
    },
  },
  {
    name: "own_page",
    asks: "pin",
    enter: (at) =>
      at.show(sign(at, { asker: { origin: null, own: true, trustedSince: null, purpose: null } })),
  },
  {
    name: "batch",
    asks: "pin",
    enter: (at) =>
      at.show(sign(at, {
        items: Array.from({ length: 60 }, (_, i) => ({ ...BILL, name: `Bill ${i + 1}` })),
        batch: true,
      })),
  },
  {
    name: "route",
    asks: "pin",
    enter: (at) => at.show(sign(at, { items: [ROUTE], choices: [choice("Bikram Sen")] })),
  },
  {
    name: "route_unproven",
    asks: "pin",
    enter: (at) =>
      at.show(sign(at, {
        items: [{ ...ROUTE, signedBy: [{ name: "Anita Das", proven: false }] }],
        unproven: true,
      })),
  },
  {
    name: "lasting",
    asks: "pin",
    enter: (at) =>
      at.show(sign(at, { network: { level: "B-LT", timestampAuthority: "tsa.example" } })),
  },
  { name: "login", asks: "pin", enter: (at) => at.show(sign(at, { login: true })) },
  { name: "blind", asks: "pin", enter: (at) => at.show(sign(at, { items: DIGESTS, blind: true })) },
  {
    name: "grant",
    asks: "nothing",
    enter: (at) => at.show(at.consent.grant(GRANT, NEVER)),
  },
  {
    name: "choose",
    asks: "nothing",
    enter: (at) =>
      at.show(at.consent.choose({ kind: "choose", asker: GRANT.asker, choices: CHOICES }, NEVER)),
  },
  {
    name: "several_certificates",
    asks: "pin",
    async enter(at) {
      await at.show(sign(at, { choices: CHOICES }));
      await at.page.getByRole("radio").first().check();
    },
  },
  {
    name: "remote_otp",
    asks: "pin",
    enter: (at) => at.show(at.consent.otp(otpRequest(), () => Promise.resolve(), NEVER)),
  },
  {
    name: "change_pin",
    asks: "pin",
    enter: (at) =>
      at.show(at.consent.pin(pinRequest("change"), () => Promise.resolve({ ok: true }), NEVER)),
  },
  {
    name: "tries_low",
    asks: "pin",
    enter: (at) => at.show(sign(at, { choices: [choice("Anita Das", { state: "pin_low" })] })),
  },
  {
    name: "wrong_pin",
    asks: "pin",
    async enter(at) {
      await at.show(sign(at, {}, token(wrong("low")).unlock));
      await agree(at.page);
      await at.page.locator("#pin-problem .warning").waitFor();
    },
  },
  {
    name: "last_try",
    asks: "pin",
    enter: (at) =>
      at.show(sign(at, { choices: [choice("Anita Das", { state: "pin_final_try" })] })),
  },
  {
    name: "tries_unknown",
    asks: "pin",
    async enter(at) {
      await at.show(sign(at, {}, token(wrong("unknown")).unlock));
      await agree(at.page);
      await at.page.locator("input[type=checkbox]").waitFor();
    },
  },
  {
    name: "keypad",
    asks: "nothing",
    enter: (at) =>
      at.show(sign(at, { choices: [choice("Anita Das", { protectedAuthenticationPath: true })] })),
  },
  {
    name: "windows_asks",
    asks: "nothing",
    enter: (at) => at.show(sign(at, { choices: [choice("Anita Das", { windowsAsks: true })] })),
  },
  {
    name: "locked",
    asks: "nothing",
    enter: (at) => at.show(sign(at, { choices: [choice("Anita Das", { state: "pin_locked" })] })),
  },
  {
    name: "working",
    asks: "pin",
    async enter(at) {
      // until the page is left
      await at.show(
        sign(
          at,
          {},
          () =>
            new Promise((resolve) => at.page.once("framenavigated", () => resolve({ ok: true }))),
        ),
      );
      await agree(at.page);
      await at.page.locator("button[type=submit]:disabled").waitFor();
    },
  },
  ...(["signed", "now_locked", "removed"] as const).map((name): State => ({
    name,
    async enter(at) {
      const over = (code: "pin_locked" | "token_removed"): Unlocked => ({
        ok: false,
        code,
        message: code,
        again: false,
      });
      const answer: Unlocked = name === "signed"
        ? { ok: true }
        : over(name === "now_locked" ? "pin_locked" : "token_removed");
      await at.show(sign(at, {}, token(answer).unlock));
      await agree(at.page);
      await ended(at);
    },
  })),
  {
    name: "declined",
    async enter(at) {
      await at.show(sign(at));
      await at.page.getByRole("button", { name: AGENT_WORDS.en.do_not_sign }).click();
      await ended(at);
    },
  },
  {
    name: "cancelled_by_site",
    async enter(at) {
      const site = new AbortController();
      await at.show(at.consent.sign(signRequest(), token().unlock, site.signal, undefined));
      site.abort();
      await ended(at);
    },
  },
  {
    name: "timed_out",
    async enter(at) {
      at.consent.options.timeout = 4000; // the page has come before
      await at.show(sign(at));
      await ended(at);
      at.consent.options.timeout = undefined;
    },
  },
  {
    name: "agent_gone",
    async enter(at) {
      await at.page.route("**/consent/alive", (route) => route.abort());
      await at.show(sign(at));
      await ended(at);
      await at.page.unroute("**/consent/alive");
    },
  },
  { name: "otp_page", asks: "pin", enter: (at) => at.showOtp(otpView()) },
  {
    name: "otp_page_blind",
    asks: "pin",
    enter: (at) =>
      at.showOtp(otpView({
        documents: [{ label: "sanction-7", hash: "d1073183".repeat(8), hashPrefix: "D107 3183" }],
      })),
  },
  { name: "otp_page_app", asks: "pin", enter: (at) => at.showOtp(otpView({ anybody: true })) },
  {
    name: "otp_page_wrong",
    asks: "pin",
    async enter(at) {
      await at.showOtp(otpView(), { ok: false, code: "wrong", triesLeft: 1 });
      await answerOtp(at);
      await at.page.locator("#problem .warning").waitFor();
    },
  },
  {
    name: "otp_page_locked",
    async enter(at) {
      await at.showOtp(otpView(), { ok: false, code: "locked" });
      await answerOtp(at);
      await ended(at);
    },
  },
  {
    name: "esign_page",
    asks: "nothing",
    async enter(at) {
      await at.visit("/esign");
      await at.page.locator("[data-drawn='1 1']").waitFor();
    },
  },
  {
    name: "otp_page_enrol",
    enter: (at) =>
      at.showOtp({
        kind: "enrol",
        language: "en",
        service: "Works PIN/OTP",
        name: "Anita Sen",
      }),
  },
];

/** Has a page that shows a state speak another language. */
export async function speakIn(page: Page, language: Language): Promise<void> {
  await page.locator(`.languages button[lang=${language}]`).click();
  await page.locator(`html[lang=${language}]`).waitFor();
}

/** Opens one page and gives it to each test of the states. */
export async function onStage(
  browser: Browser,
  test: (stage: Stage) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext();
  // A window that closes itself would take the stage with it.
  await context.addInitScript(() => (globalThis.close = () => {}));
  context.setDefaultTimeout(20_000);
  const errors = watchConsole(context);
  let otp: { view: OtpView; answer: OtpAnswered } | undefined;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, host, searchParams } = new URL(request.url);
    if (pathname === "/esign") return espResponse(espLanguage(searchParams.get("lang")!, "en"));
    if (pathname === "/esign/document") return new Response(ORDER_BYTES);
    if (pathname.startsWith("/consent/")) return await stage.consent.respond(request, pathname);
    if (pathname === "/otp") return await pageFile(WEB, "otp.html");
    if (pathname === "/otp/view") return Response.json(otp!.view);
    if (pathname === "/otp/send") return Response.json({ ok: true, sendsLeft: 2 });
    if (pathname === "/otp/answer") return Response.json(otp!.answer);
    return await servePage(request, pathname, WEB, host) ?? new Response(null, { status: 204 });
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const page = await context.newPage();
  const next = new NextWindow<string>();
  const consent = new WindowConsent({
    origin,
    language: "en",
    heartbeat: 100,
    phrase: () => Promise.resolve("green mango"),
    openWindow: (url) => Promise.resolve(next.opened(url)),
  });
  const visit = async (path: string) => {
    await page.goto("about:blank"); // else only the fragment would change
    await page.goto(new URL(path, origin).href);
    await page.locator("h1").waitFor();
  };
  const stage: Stage = {
    page,
    consent,
    errors,
    async show(asked) {
      asked.catch(() => {}); // the window goes on to the next question
      await visit(await next.wait());
    },
    visit,
    async showOtp(view, answer = { ok: true }) {
      otp = { view, answer };
      await visit("/otp#ticket");
    },
  };
  try {
    await test(stage);
  } finally {
    await context.close();
    await server.shutdown();
  }
}

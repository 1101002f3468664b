import assert from "node:assert/strict";
import { join } from "node:path";
import type { Unlocked } from "../../protocol/consent.ts";
import {
  choice,
  CHOICES,
  chooseRequest,
  COVERING,
  grantRequest,
  pdfRequest,
  SEEN_IN_PDF,
  showCovering,
  signRequest,
  tryPin,
  unprovenRequest,
} from "../../tests/fakes/consent_requests.ts";
import { PIN } from "../../tests/fakes/memory_provider.ts";
import { writePinentry } from "../../tests/fakes/pinentry.ts";
import { Terminal } from "../../tests/fixtures/terminal.ts";
import type { SignAnswer } from "./port.ts";
import { PinentryConsent } from "./pinentry.ts";

async function withPinentry(
  program: string,
  body: (
    consent: PinentryConsent,
    terminal: Terminal,
    signal: AbortSignal,
    cancel: AbortController,
  ) => Promise<void>,
  timeout?: number,
): Promise<void> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdout: "null" }).output();
  } catch {
    throw new Error(`This test needs the program ${program}: apt-get install ${program}`);
  }
  await using terminal = await Terminal.start("sleep", "120");
  const ttyName = await terminal.ttyName();
  const cancel = new AbortController();
  const options = { command: [program], ttyName, ttyType: "screen", timeout };
  await body(new PinentryConsent(options), terminal, cancel.signal, cancel);
}

/** The requests in these tests have no pages. */
const nothing = () => Promise.reject(new Error("Nothing is shown."));

const unlockWith = (pins: string[]) => (answer: SignAnswer): Promise<Unlocked> =>
  tryPin(answer, pins);

Deno.test("pinentry-curses: wrong PIN, last try confirmed, right PIN", () =>
  withPinentry("pinentry-curses", async (consent, terminal, signal) => {
    const pins: string[] = [];
    const signed = consent.sign(signRequest(), unlockWith(pins), signal, nothing);
    const screen = await terminal.shows("PIN:");
    assert.match(screen, /https:\/\/portal\.example asks for a signature/);
    assert.ok(screen.includes("Anita Das, class 3"), screen);
    assert.ok(screen.includes(String.raw`Bill 7\u{1b}[2J of the \u{202e}`), screen);
    assert.ok(screen.includes("amount"), screen);
    await terminal.type("wrong", "Enter");
    await terminal.shows("This may be the last try");
    await terminal.type("", "Enter");
    await terminal.shows("PIN:");
    await terminal.type(PIN, "Enter");
    await signed;
    assert.deepEqual(pins, ["wrong", PIN]);
  }));

Deno.test("pinentry-tty: PINs with percent signs and other characters arrive as typed", () =>
  withPinentry("pinentry-tty", async (consent, terminal, signal) => {
    const pins: string[] = [];
    const signed = consent.sign(signRequest(), unlockWith(pins), signal, nothing);
    await terminal.shows("PIN:");
    await terminal.type("1%25+é\\", "Enter");
    await terminal.shows("This may be the last try");
    await terminal.type("g");
    await terminal.shows(/PIN:[^]*PIN:/);
    await terminal.type(PIN, "Enter");
    await signed;
    assert.deepEqual(pins, ["1%25+é\\", PIN]);
  }));

Deno.test("pinentry-curses: cancelled, and a grant", () =>
  withPinentry("pinentry-curses", async (consent, terminal, signal) => {
    const signed = consent.sign(signRequest(), unlockWith([]), signal, nothing);
    signed.catch(() => {});
    await terminal.shows("PIN:");
    await terminal.type("", "Tab", "Tab", "Enter");
    await assert.rejects(signed, { code: "user_cancelled" });
    const granted = consent.grant(grantRequest(), signal);
    await terminal.shows("<Allow>");
    await terminal.type("", "Enter");
    await granted;
  }));

Deno.test("pinentry-curses: a PIN is changed, after a wrong one and two that differ", () =>
  withPinentry("pinentry-curses", async (consent, terminal, signal) => {
    const pins: string[] = [];
    const { token, pin } = CHOICES[0];
    const request = {
      ...{ kind: "pin", purpose: "change", password: false, length: { min: 4, max: 8 } } as const,
      ...{ asker: signRequest().asker, token, pin },
    };
    const text = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? undefined);
    const changed = consent.pin(request, ({ pin, newPin }) => {
      pins.push(text(pin), text(newPin));
      return Promise.resolve(
        pins.length > 2
          ? { ok: true }
          : { ok: false, code: "pin_incorrect", message: "The PIN is wrong.", again: true },
      );
    }, signal);
    const type = async (shown: string | RegExp, ...keys: [string, ...string[]]) => {
      await terminal.shows(shown);
      await terminal.type(...keys, "Enter");
    };
    await type(/4 to 8 characters[^]*PIN:/, "wrong");
    await type("New PIN:", "1111");
    await type("New PIN again:", "1112");
    await type(/differ[^]*New PIN:/, "1111");
    await type("New PIN again:", "1111");
    await type(/The PIN is wrong[^]*PIN:/, PIN);
    await type("New PIN:", "1111");
    await type("New PIN again:", "1111");
    await changed;
    assert.deepEqual(pins, ["wrong", "1111", PIN, "1111"]);
  }));

Deno.test("pinentry-curses: one certificate after the other is offered", () =>
  withPinentry("pinentry-curses", async (consent, terminal, signal) => {
    const chosen = consent.choose(chooseRequest(), signal);
    await terminal.shows("Certificate 1 of 2: Anita Das");
    await terminal.type("", "Tab");
    await terminal.type("", "Enter");
    await terminal.shows("Certificate 2 of 2: Bimal Roy");
    await terminal.type("", "Enter");
    assert.equal(await chosen, CHOICES[1].certificate.id);
  }));

Deno.test("pinentry-curses: a locked token is said to be, and its PIN is not asked for", () =>
  withPinentry("pinentry-curses", async (consent, terminal, signal) => {
    const pins: string[] = [];
    const locked = choice("Charulata Roy", "c", "pin_locked");
    const refused = consent.sign(
      signRequest({ choices: [locked] }),
      unlockWith(pins),
      signal,
      nothing,
    );
    refused.catch(() => {});
    await terminal.shows("The PIN is locked");
    await terminal.type("", "Enter");
    await assert.rejects(refused, { code: "pin_locked" });
    // Beside others it is not offered.
    const choices = [locked, CHOICES[0]];
    const signed = consent.sign(signRequest({ choices }), unlockWith(pins), signal, nothing);
    const screen = await terminal.shows("PIN:");
    assert.ok(screen.includes("Anita Das, class 3"), screen);
    await terminal.type(PIN, "Enter");
    await signed;
    assert.deepEqual(pins, [PIN]);
  }));

Deno.test("pinentry: page, box and texts of a PDF's signature are told, and an unproven signature is confirmed", async () => {
  const { signal } = new AbortController();
  const dir = await Deno.makeTempDir();
  try {
    const command = [join(dir, "pinentry")];
    const heard = join(dir, "heard");
    await writePinentry(command[0], PIN, heard);
    const answers: SignAnswer[] = [];
    const unlock = (answer: SignAnswer) => {
      answers.push(answer);
      return tryPin(answer, []);
    };
    const said = async () => decodeURIComponent(await Deno.readTextFile(heard));
    await new PinentryConsent({ command }).sign(pdfRequest(), unlock, signal, showCovering);
    for (const text of SEEN_IN_PDF) assert.ok((await said()).includes(text), await said());
    assert.equal(answers[0].revision, COVERING.digest);
    assert.match(await said(), /SETTIMEOUT 120\n/);
    await Deno.remove(heard);
    const many = { ...signRequest(), items: new Array(13).fill(signRequest().items[0]) };
    await new PinentryConsent({ command }).sign(many, unlock, signal, nothing);
    assert.match(await said(), /SETTIMEOUT 180\n/);
    await Deno.remove(heard);
    await new PinentryConsent({ command }).sign(unprovenRequest(), unlock, signal, nothing);
    assert.match(
      await said(),
      /SETDESC An earlier signature on this route is unproven[^]*CONFIRM[^]*GETPIN/,
    );
    assert.match(await said(), /Maya Sen \(UNPROVEN/);
    assert.equal(answers[2].acceptsUnproven, true);
    // Who does not confirm is not asked for the PIN.
    await writePinentry(command[0], PIN, heard, "ERR 83886179 cancelled");
    await Deno.remove(heard);
    const refused = new PinentryConsent({ command }).sign(
      unprovenRequest(),
      unlock,
      signal,
      nothing,
    );
    await assert.rejects(refused, { code: "user_cancelled" });
    assert.doesNotMatch(await said(), /GETPIN/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("pinentry: nobody answers, or the page gives up: the program is ended", () =>
  withPinentry("pinentry-curses", async (consent, terminal, signal, cancel) => {
    const late = new PinentryConsent({ ...consent.options, timeout: 300 });
    await assert.rejects(late.grant(grantRequest(), signal), { code: "consent_timeout" });
    const granted = consent.grant(grantRequest(), signal);
    granted.catch(() => {});
    await terminal.shows("<Allow>");
    cancel.abort();
    await assert.rejects(granted, { code: "request_cancelled" });
  }));

Deno.test("pinentry: a wrapper is ended with the program that it started", async () => {
  const command = ["/bin/sh", "-c", "sleep 61; true"];
  const late = new PinentryConsent({ command, timeout: 300 });
  await assert.rejects(late.grant(grantRequest(), new AbortController().signal), {
    code: "consent_timeout",
  });
  const cancel = new AbortController();
  const granted = new PinentryConsent({ command }).grant(grantRequest(), cancel.signal);
  granted.catch(() => {});
  setTimeout(() => cancel.abort(), 300);
  await assert.rejects(granted, { code: "request_cancelled" });
});

Deno.test("pinentry: programs that are absent, silent or no pinentry are said so", async () => {
  const { signal } = new AbortController();
  for (
    const command of [
      ["/nowhere/pinentry"],
      [Deno.execPath(), "eval", "1"],
      [Deno.execPath(), "eval", "console.log('hello')"],
      [Deno.execPath(), "eval", "console.log('x'.repeat(10000))"],
      [Deno.execPath(), "eval", "console.log('OK'); console.log('ERR nonsense')"],
      [Deno.execPath(), "eval", "console.log('OK'); console.log('ERR 83886340 no tty')"],
    ]
  ) {
    await assert.rejects(new PinentryConsent({ command }).grant(grantRequest(), signal), {
      code: "consent_unavailable",
    }, command.join(" "));
  }
});

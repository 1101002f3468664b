import assert from "node:assert/strict";
import { join } from "node:path";
import { COVERING, SEEN_IN_PDF, signRequest } from "../../tests/fakes/consent_requests.ts";
import { PIN } from "../../tests/fakes/memory_provider.ts";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { Terminal } from "../../tests/fixtures/terminal.ts";
import type { SignAnswer } from "./port.ts";
import { TerminalConsent } from "./terminal.ts";

interface Result extends Pick<SignAnswer, "revision" | "acceptsUnproven"> {
  outcome: string;
  pins: string[];
}

/** Runs a program that asks, in a terminal; `person` answers; returns what came of it. */
async function ask(
  kind: string,
  person: (terminal: Terminal) => Promise<void>,
  ...more: string[]
): Promise<Result> {
  let result: Result | undefined;
  await inTempDir(async (dir) => {
    const file = join(dir, "result.json");
    const program = new URL("../../tests/fakes/ask_at_terminal.ts", import.meta.url).pathname;
    await using terminal = await Terminal.start(
      "sh",
      "-c",
      '"$@"; sleep 60',
      "sh",
      ...[Deno.execPath(), "run", "-A", program, file, kind, ...more],
    );
    await person(terminal);
    const screen = await terminal.shows("over");
    assert.ok(!screen.includes(PIN), "the PIN is not shown");
    while (!result) {
      try {
        result = JSON.parse(await Deno.readTextFile(file));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  });
  return result!;
}

Deno.test("terminal: wrong PIN, last try confirmed, right PIN; nothing foreign acts on the screen", async () => {
  const { outcome, pins } = await ask("sign", async (terminal) => {
    const screen = await terminal.shows("PIN to sign");
    assert.match(screen, /https:\/\/portal\.example asks for a signature/);
    assert.ok(screen.includes(String.raw`Bill 7\u{1b}[2J of the \u{202e}yrusaert`), screen);
    assert.ok(screen.includes(String.raw`bill\u{d}7.json, application/json, 12 bytes`), screen);
    assert.ok(screen.includes('{"amount":100%}'), screen);
    assert.ok(screen.includes("Anita Das, class 3"), screen);
    await terminal.type("wrongX", "BSpace", "Enter");
    await terminal.shows("The PIN is wrong.");
    await terminal.shows("This may be the last try");
    await terminal.type("y", "Enter");
    await terminal.shows(/PIN to sign[^]*PIN to sign/);
    await terminal.type("forget this", "C-u");
    await terminal.type(PIN, "Enter");
  });
  assert.deepEqual({ outcome, pins }, { outcome: "approved", pins: ["wrong", PIN] });
});

Deno.test("terminal: no PIN, Ctrl-C and n are no", async () => {
  const onPin = (...keys: string[]) => async (terminal: Terminal) => {
    await terminal.shows("PIN to sign");
    await terminal.type("", ...keys);
  };
  assert.deepEqual(await ask("sign", onPin("Enter")), { outcome: "user_cancelled", pins: [] });
  assert.deepEqual(await ask("sign", onPin("C-c")), { outcome: "user_cancelled", pins: [] });
  const { outcome } = await ask("grant", async (terminal) => {
    const screen = await terminal.shows("Allow it?");
    assert.match(screen, /digests, whose content cannot be shown/);
    await terminal.type("n", "Enter");
  });
  assert.equal(outcome, "user_cancelled");
});

Deno.test("terminal: yes to a grant; the choice of a certificate", async () => {
  const granted = await ask("grant", async (terminal) => {
    await terminal.shows("Allow it?");
    await terminal.type("y", "Enter");
  });
  assert.equal(granted.outcome, "approved");
  const chosen = await ask("choose", async (terminal) => {
    await terminal.shows("2) Bimal Roy");
    await terminal.type("7", "Enter");
    await terminal.shows(/decline\? 7[^]*decline\?/);
    await terminal.type("2", "Enter");
    await terminal.shows("Use Bimal Roy");
    await terminal.type("y", "Enter");
  });
  assert.equal(chosen.outcome, "b".repeat(64));
});

Deno.test("terminal: a locked token is said to be, and its PIN is not asked for", async () => {
  const locked = await ask("sign locked", async (terminal) => {
    const screen = await terminal.shows("The PIN is locked");
    assert.ok(!screen.includes("PIN to sign"), screen);
  });
  assert.deepEqual(locked, { outcome: "pin_locked", pins: [] });
  const { outcome, pins } = await ask("sign locked or not", async (terminal) => {
    await terminal.shows("1) Charulata Roy");
    await terminal.type("1", "Enter");
    await terminal.shows("The PIN is locked");
    await terminal.type("2", "Enter");
    await terminal.shows("PIN to sign");
    await terminal.type(PIN, "Enter");
  });
  assert.deepEqual({ outcome, pins }, { outcome: "approved", pins: [PIN] });
});

Deno.test("terminal: page, box and texts of a PDF's signature are told, and the approval is for that revision", async () => {
  const { revision, outcome } = await ask("sign pdf", async (terminal) => {
    const screen = await terminal.shows("PIN to sign");
    for (const text of SEEN_IN_PDF) assert.ok(screen.includes(text), `${text} in ${screen}`);
    await terminal.type(PIN, "Enter");
  });
  assert.deepEqual({ revision, outcome }, { revision: COVERING.digest, outcome: "approved" });
});

Deno.test("terminal: after an unproven signature only the word itself signs", async () => {
  for (const typed of ["y", "yes", "unproven?"]) {
    const refused = await ask("sign unproven", async (terminal) => {
      const screen = await terminal.shows("to sign all the same");
      assert.ok(screen.includes("Maya Sen (UNPROVEN"), screen);
      await terminal.type(typed, "Enter");
    });
    assert.deepEqual(refused, { outcome: "user_cancelled", pins: [] });
  }
  const { outcome, acceptsUnproven } = await ask("sign unproven", async (terminal) => {
    await terminal.shows("to sign all the same");
    await terminal.type("unproven", "Enter");
    await terminal.shows("PIN to sign");
    await terminal.type(PIN, "Enter");
  });
  assert.deepEqual({ outcome, acceptsUnproven }, { outcome: "approved", acceptsUnproven: true });
});

Deno.test("terminal: nobody answers", async () => {
  const { outcome } = await ask("sign", async (terminal) => {
    await terminal.shows("PIN to sign");
  }, "500");
  assert.equal(outcome, "consent_timeout");
});

Deno.test("terminal: there is more time for longer documents", async () => {
  const slow = {
    isTerminal: () => true,
    setRaw: () => {},
    read: async (buffer: Uint8Array) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      buffer[0] = "\r".charCodeAt(0);
      return 1;
    },
  };
  const silent = { isTerminal: () => true, writeSync: ({ length }: Uint8Array) => length };
  const consent = new TerminalConsent(slow, silent, 1);
  const request = signRequest();
  const answer = (size: number) =>
    consent.sign(
      { ...request, items: request.items.map((item) => ({ ...item, size })) },
      () => Promise.resolve({ ok: true }),
      new AbortController().signal,
      () => Promise.reject(new Error("There is no PDF.")),
    );
  await assert.rejects(answer(10), { code: "consent_timeout" });
  await assert.rejects(answer(1_000_000), { code: "user_cancelled" });
});

Deno.test("terminal: without one, it says so", async () => {
  const none = { isTerminal: () => false } as typeof Deno.stdin & typeof Deno.stderr;
  const consent = new TerminalConsent(none, none);
  await assert.rejects(
    consent.sign(
      signRequest(),
      () => Promise.reject(),
      new AbortController().signal,
      () => Promise.reject(),
    ),
    { code: "consent_unavailable" },
  );
});

Deno.test("terminal: an OTP, sent again where that works", async () => {
  const { outcome } = await ask("otp", async (terminal) => {
    const screen = await terminal.shows("OTP, r to have it sent again");
    assert.match(screen, /Works wants an OTP for the signature/);
    assert.ok(screen.includes(String.raw`Sent to your phone\u{1b}[2J`), screen);
    assert.match(screen, /\* order\.pdf/);
    await terminal.type("r", "Enter");
    await terminal.shows("D-Sign is busy");
    await terminal.type("135790", "Enter");
  });
  assert.equal(outcome, "135790");
});

/** The thread of a reader with questions that misbehave on purpose. */
import { FormatError } from "../../formats/error.ts";
import { answerQuestions, type ReadDocument } from "../../reader/worker.ts";

let asked = 0;

export const questions = {
  /** How often this thread was asked for it. */
  count: (_: null) => ++asked,
  echo: (input: { bytes: Uint8Array; text: string; more?: Uint8Array[] }) => input,
  ends: (_: null, documents: ReadDocument[]) =>
    documents.map(({ size, read }) => ({
      first: read(0, 4).slice(),
      last: read(size - 4, 9).slice(),
    })),
  digest: ({ ranges }: { ranges: [number, number][] }, [document]: ReadDocument[]) =>
    document.digest("SHA-256", ranges),
  /** Answers after some milliseconds of work. */
  work(milliseconds: number): null {
    for (const end = performance.now() + milliseconds; performance.now() < end;);
    return null;
  },
  loop(): null {
    for (;;);
  },
  flood(): null {
    const kept: Uint8Array[] = [];
    for (;;) kept.push(new Uint8Array(8 << 20).fill(1));
  },
  nest(): null {
    const deeper = (n: number): number => deeper(n + 1) + 1;
    deeper(0);
    return null;
  },
  tell: () => new Array(8 << 20).fill(0),
  refuse(): null {
    throw new FormatError("pdf_encrypted", "It is locked.");
  },
  /** Which permissions it has, as attempts show. */
  attempts() {
    const attempts = {
      read: () => Deno.readFileSync("/etc/hostname"),
      write: () => Deno.writeTextFileSync("/tmp/reader", ""),
      net: () => Deno.listen({ port: 0 }).close(),
      run: () => new Deno.Command("true").outputSync(),
      env: () => Deno.env.get("HOME"),
      ffi() {
        const { state } = Deno.permissions.querySync({ name: "ffi" });
        if (state !== "granted") throw new Deno.errors.NotCapable();
      },
      sys: () => Deno.hostname(),
    };
    return Object.entries(attempts).filter(([, attempt]) => {
      try {
        attempt();
        return true;
      } catch (error) {
        return !(error instanceof Deno.errors.NotCapable);
      }
    }).map(([name]) => name);
  },
};

answerQuestions(questions);

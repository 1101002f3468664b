import { SAFE_HEADERS } from "../signing/consent/headers.ts";

/** A plain text answer that refuses a request. */
export const refuse = (code: number, why: string): Response =>
  new Response(why + "\n", {
    status: code,
    headers: { ...SAFE_HEADERS, "content-type": "text/plain; charset=utf-8" },
  });

import assert from "node:assert/strict";
import { type Checks, startPortal } from "./demo_portal.ts";

Deno.test("the sample portal's server checks bills of its own pages only", async () => {
  const portal = startPortal(new URL("file:///nowhere/"));
  const seen: Uint8Array[] = [];
  portal.open({
    sanctions: {} as never,
    mail: {} as never,
    checks: {
      bill: (signature) => {
        seen.push(signature);
        return Promise.resolve("it is over something else");
      },
    } as Checks,
  });
  try {
    const send = async (body: string, origin: string) => {
      const headers = { origin };
      const answer = await fetch(`${portal.url}/api/check/bill`, { method: "POST", body, headers });
      return [answer.status, await answer.json()];
    };
    assert.equal((await send("MIIB", "https://evil.example"))[0], 403);
    assert.equal((await send("*", portal.url))[0], 400);
    assert.deepEqual(seen, []);
    const said = await send("MIIB", portal.url);
    assert.deepEqual(said, [200, { result: "it is over something else" }]);
    assert.deepEqual(seen, [Uint8Array.fromBase64("MIIB")]);
  } finally {
    await portal.close();
  }
});

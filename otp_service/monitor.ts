/** What a load balancer and Prometheus ask, on an address of its own that the outer world does not reach. */
import type { Metrics } from "./metrics.ts";
import { type Address, listen } from "./listen.ts";
import { readiness } from "./readiness.ts";
import type { Service } from "./service.ts";

/**
 * Answers `/healthz` (the process lives), `/readyz` (it can sign; 503 where not) and `/metrics`.
 *
 * @throws {SetupError} where it cannot listen there
 */
export function startMonitor(
  service: Service,
  address: Address,
  metrics: Metrics,
): Deno.HttpServer<Deno.NetAddr> {
  const headers = { "cache-control": "no-store" };
  return listen(address, "monitor", async (request) => {
    if (request.method !== "GET") return new Response(null, { status: 405, headers });
    switch (new URL(request.url).pathname) {
      case "/healthz":
        return new Response("ok\n", { headers });
      case "/readyz": {
        const checks = await readiness(service);
        const ready = Object.values(checks).every((check) => check === "ok");
        return Response.json({ ready, checks }, { status: ready ? 200 : 503, headers });
      }
      case "/metrics": {
        const { type, text } = await metrics.text();
        return new Response(text, { headers: { ...headers, "content-type": type } });
      }
      default:
        return new Response(null, { status: 404, headers });
    }
  });
}

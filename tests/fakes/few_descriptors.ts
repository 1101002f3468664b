/** A listener in a separate program: prints its port, and ends cleanly when standard input does. */
import { Listener } from "../../agent/listener.ts";

const listener = await Listener.open({
  ports: [0],
  admits: () => Promise.resolve(true),
  handle: () => new Response("here"),
  onError: () => new Response(null, { status: 500 }),
});
console.log(listener.port);
await Array.fromAsync(Deno.stdin.readable);
await listener.shutdown();

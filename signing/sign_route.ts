/** Signing routes: their beginning, and each step. */
import { isTurnOf, whoIsNext } from "../formats/json/turn.ts";
import { bytesSource } from "../formats/source.ts";
import { DsignError } from "../protocol/errors.ts";
import type { ParsedParams, Result } from "../protocol/methods.ts";
import { certificateOf } from "./certificates.ts";
import { Content, plain } from "./content.ts";
import { signedWith } from "./key_access.ts";
import { makeByReader } from "./make.ts";
import { showOnly } from "./shown_pdf.ts";
import { askingFor, readFor, type SigningContext } from "./signing_context.ts";
import { isJwsOver, isStatement } from "./to_be_signed.ts";
import type { Caller } from "./unlock.ts";

/** Routes are bound by SHA-256. */
const ROUTE_HASH = "SHA-256";

/** Sets a signing route up: the person signs the route, with the content's digest in it. */
export async function createRoute(
  signing: SigningContext,
  content: Content,
  params: Omit<ParsedParams<"route.create">, "content">,
  caller: Caller,
): Promise<Result<"route.create">> {
  const { reader } = signing.services;
  const { name, steps } = params;
  const route = Content.json(
    await reader.ask(
      "routeDocument",
      { name, steps, content: plain(content) },
      askingFor(caller),
    ),
  );
  const item = route.item(params.name, ROUTE_HASH);
  return await signing.keys.use(
    { ...params, hash: ROUTE_HASH, format: "signing route", items: [item], blind: false },
    caller,
    async (lease) => ({
      route: await makeByReader(
        signing,
        (by, asking) => reader.ask("signRoute", { content: plain(route), ...by }, asking),
        {
          lease,
          caller,
          isOurs: (bytes, by) => isJwsOver(bytes, route.bytes, by, "json"),
        },
      ),
      ...signedWith(lease.signer),
    }),
  );
}

/** Signs on a route; only certificates whose turn it is can be chosen. */
export async function signRoute(
  signing: SigningContext,
  content: Content,
  params: Omit<ParsedParams<"route.sign">, "content">,
  caller: Caller,
): Promise<Result<"route.sign">> {
  const { reader } = signing.services;
  const file = params.route;
  const asking = askingFor(caller);
  const { routeStatus } = await import("./verification.ts");
  const statusOf = (file: string) =>
    routeStatus(file, { ...signing.services, now: signing.tokens.now }, asking);
  const turn = await reader.ask("readRoute", { file }, asking);
  const { content: { name, sha256 }, steps, next } = await statusOf(file);
  const item = content.item(name, ROUTE_HASH);
  if (sha256 !== item.hash.hex) {
    throw new DsignError("signature_mismatch", "The signing route belongs to other content.");
  }
  return await signing.keys.use(
    {
      ...params,
      ...item.pdf && { show: showOnly(bytesSource(content.bytes), readFor(signing, caller)) },
      hash: ROUTE_HASH,
      format: "signing route statement",
      items: [{ ...item, route: { steps, next } }],
      blind: false,
      accepts: (certificate) =>
        isTurnOf(turn, certificateOf(certificate))
          ? null
          : new DsignError("out_of_turn", whoIsNext(turn)),
    },
    caller,
    async (lease) => {
      const { route, role } = await makeByReader(
        signing,
        (by, asking) =>
          reader.ask("signStatement", { file, content: plain(content), ...by }, asking),
        {
          lease,
          caller,
          isOurs: (bytes, by) => isStatement(bytes, sha256, by),
        },
      );
      const status = await statusOf(route);
      return { route, role, status, ...signedWith(lease.signer) };
    },
  );
}

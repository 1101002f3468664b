/**
 * D-Sign for web pages: connects to the signer program on this computer and asks it for signatures.
 *
 * ```ts ignore
 * import { connect } from "./client.js";
 *
 * const dsign = await connect();
 * await dsign.call("origin.request", { scopes: ["certificates", "sign"] });
 * const { signature } = await dsign.call("sign.data", { content: { json: bill }, purpose: "Bill 7" });
 * ```
 *
 * No PIN passes through here: the person types it into the signer program's own window.
 */
export * from "./client/index.ts";
export { connectByPopup } from "./client/popup.ts";

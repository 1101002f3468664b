/** What the portal's server says of a signature: it alone decides whether one counts. */

export type Checkable = "bill" | "order" | "route" | "file";

/** Bytes that the sample's server takes. */
export const MAX_CHECKED = 32 * 1024 * 1024;

/** Sends what was signed to the portal's server. @returns `ok`, or why it does not count */
export async function checkedByServer(what: Checkable, body: BodyInit): Promise<string> {
  try {
    const answer = await fetch(`/api/check/${what}`, { method: "POST", body });
    return answer.status === 200 ? (await answer.json()).result : "it could not be checked";
  } catch {
    return "the server does not answer";
  }
}

/**
 * Says what the server has checked.
 *
 * @param found what is true where it takes the signature
 */
export function Checked({ result, found }: { result: string; found: string }) {
  return result === "ok"
    ? <p>The portal's server has checked it: {found}</p>
    : <p class="warning" role="alert">The portal's server does not take it: {result}</p>;
}

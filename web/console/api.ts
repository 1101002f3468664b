/** The page's side of protocol/console.ts. */

/**
 * @param keepalive also asked if the page is closed meanwhile; for small bodies
 * @throws {Error} where the agent refuses, or is gone
 */
export async function ask<T>(
  name: string,
  body: unknown = {},
  { keepalive = false } = {},
): Promise<T> {
  const response = await fetch(`/console/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    keepalive,
    cache: "no-store",
    credentials: "omit",
  });
  if (!response.ok) throw new Error(`/console/${name} was refused with status ${response.status}`);
  return await response.json();
}

/** A file within a body of {@linkcode ask}; `Uint8Array.toBase64` is missing before Chromium 140 and Firefox 133. */
export async function base64Of(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join(""));
}

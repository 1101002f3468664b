/** The page's side of protocol/console.ts. */

/** @throws {Error} where the agent refuses, or is gone */
export async function ask<T>(name: string, body: unknown = {}): Promise<T> {
  const response = await fetch(`/console/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
  });
  if (!response.ok) throw new Error(`/console/${name} was refused with status ${response.status}`);
  return await response.json();
}

/** The page's side of sanction.ts. */
import type { Leave, Refusal, SanctionDraft, SanctionView } from "./sanction.ts";

/** The server's no, in its own words. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/** @throws {RefusedError} */
async function ask<T>(path: string, method = "GET", body?: BodyInit, type?: string): Promise<T> {
  let response;
  try {
    const headers: HeadersInit = type ? { "content-type": type } : {};
    response = await fetch(path, { method, body, headers });
  } catch {
    throw new RefusedError("The portal cannot be reached. Look at your connection and try again.");
  }
  if (!response.ok) throw new RefusedError((await response.json() as Refusal).message);
  return await response.json();
}

export const draft = (facts: SanctionDraft) =>
  ask<SanctionView>("/api/sanctions", "POST", JSON.stringify(facts), "application/json");

export const find = (id: string) => ask<SanctionView>(`/api/sanctions/${encodeURIComponent(id)}`);

/** Where the PIN/OTP service takes PIN and OTP; the portal never sees them. */
export const startOtp = (id: string) => ask<Leave>(`/api/sanctions/${id}/otp`, "POST");

/** The page from which the browser goes to the eSign service provider. */
export const startEsign = (id: string) => ask<Leave>(`/api/sanctions/${id}/esign`, "POST");

export const putSigned = (id: string, pdf: Blob) =>
  ask<SanctionView>(`/api/sanctions/${id}/pdf`, "PUT", pdf, "application/pdf");

export const fileOf = (id: string) => `/sanctions/${id}.pdf`;
export const receiptOf = (id: string) => `/sanctions/${id}.receipt`;

/** The page's requests to the service that serves it. The ticket identifies the authorization. */
import type { OtpAnswered, OtpPlace, OtpReply, OtpSent, OtpView } from "../../protocol/csc.ts";
import { openPdf, type PdfFile } from "../consent/pdf_file.ts";

export interface OtpApi {
  /** Null: the ticket is good for nothing (any more). */
  view(): Promise<OtpView | null>;
  send(): Promise<OtpSent>;
  answer(reply: OtpReply): Promise<OtpAnswered>;
  /** The bytes of a document. */
  document(index: number): Promise<Blob>;
  openPdf(index: number): Promise<PdfFile>;
  /** Where the signature will be seen in a PDF that is prepared for it. */
  places(index: number): Promise<OtpPlace[]>;
}

export function otpApi(ticket: string): OtpApi {
  const headers = { authorization: `Bearer ${ticket || "none"}` };
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(path, { ...init, headers: { ...init.headers, ...headers } });
  const post = async (path: string, body: unknown) => {
    const response = await ask(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(String(response.status));
    return await response.json();
  };
  /** Milliseconds that this computer's clock is ahead of the service's; a wrong clock must keep nobody from signing. */
  let ahead = 0;
  const here = (time: string | undefined) =>
    time && new Date(Date.parse(time) + ahead).toISOString();
  const address = (index: number) => `/otp/document?index=${index}`;
  return {
    async view() {
      const response = await ask("/otp/view");
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(String(response.status));
      const view: OtpView = await response.json();
      if (view.kind !== "sign" && view.kind !== "change") return view;
      const { now, deadline, otp } = view;
      ahead = Date.now() - Date.parse(now);
      return {
        ...view,
        deadline: here(deadline)!,
        otp: { ...otp, resendAt: here(otp.resendAt) },
      };
    },
    async send() {
      const sent: OtpSent = await post("/otp/send", {});
      return { ...sent, resendAt: here(sent.resendAt) } as OtpSent;
    },
    async answer(reply) {
      const answered: OtpAnswered = await post("/otp/answer", reply);
      return "waitUntil" in answered
        ? { ...answered, waitUntil: here(answered.waitUntil) }
        : answered;
    },
    document: async (index) => await (await ask(address(index))).blob(),
    openPdf: (index) => openPdf(address(index), ticket, null),
    async places(index) {
      const response = await ask(`/otp/places?index=${index}`);
      if (!response.ok) throw new Error(String(response.status));
      return await response.json();
    },
  };
}

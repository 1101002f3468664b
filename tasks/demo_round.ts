/** One Technical Sanction from its draft to its verification, with this program in the place of the person and the browser. */
import type { Leave, SanctionDraft, SanctionView } from "../web/portal/sanction.ts";
import { checkPdf } from "./demo_check.ts";
import type { MailSink } from "./demo_mail.ts";
import { answerOf, ENGINEER, post } from "./demo_otp.ts";
import { connectAs } from "./page.ts";

export interface SanctionOutcome {
  /** PAdES level of both signatures; null if they differ or one is not valid. */
  level: string | null;
  /** `ok`, or what pdfsig has against it. */
  pdfsig: string;
  /** In the order in which they signed. */
  signers: string[];
  /** Kind of each signature. */
  kinds: string[];
}

const DRAFT: SanctionDraft = {
  project: "Widening of the road from Barasat to Basirhat, km 12 to 19",
  scheme: "State Plan",
  amount: "12,50,000.00",
};

/**
 * The engineer drafts and issues with PIN and OTP; then the officer's token signs through the agent.
 *
 * @param officer the agent's port, and the certificate to sign with
 * @param folder for the checking program's files; private
 * @throws {Error} saying which step did not work
 */
export async function sanctionRound(
  portal: string,
  mail: Pick<MailSink, "mails">,
  officer: { port: number; fingerprint: string },
  folder: string,
): Promise<SanctionOutcome> {
  const send = (path: string, method: string, body?: BodyInit) =>
    fetch(portal + path, { method, body, headers: { origin: portal } });
  const { id } = await answerOf(await send("/api/sanctions", "POST", JSON.stringify(DRAFT)));

  const started = await send(`/api/sanctions/${id}/otp`, "POST");
  const [cookie] = started.headers.get("set-cookie")?.split(";") ?? [];
  const { location } = await answerOf(started) as unknown as Leave;
  const back = await authorize(location, mail);
  const returned = await fetch(back, { headers: { cookie: cookie! }, redirect: "manual" });
  await returned.body?.cancel();
  const landed = new URL(returned.headers.get("location") ?? "/", portal);
  const problem = landed.searchParams.get("problem");
  if (problem !== null) throw new Error(problem);

  const { pdf } = await signByToken(portal, `${id}`, officer);
  await answerOf(await send(`/api/sanctions/${id}/pdf`, "PUT", pdf));

  const view = await answerOf(
    await fetch(`${portal}/api/sanctions/${id}`),
  ) as unknown as SanctionView;
  const { signatures } = view;
  const levels = new Set(
    signatures.map(({ level, indication }) => indication === "TOTAL-PASSED" ? level : null),
  );
  const file = await (await fetch(`${portal}/sanctions/${id}.pdf`)).bytes();
  return {
    level: levels.size === 1 ? [...levels][0]! : null,
    pdfsig: await checkPdf(file, 2, folder),
    signers: signatures.map(({ name }) => name),
    kinds: signatures.map(({ kind }) => KINDS[kind]),
  };
}

const KINDS: Record<SanctionView["signatures"][number]["kind"], string> = {
  departmental: "departmental PIN/OTP signature",
  token_dsc: "token DSC",
  esign: "ESP eSign",
  document_signer: "document signer certificate",
  unknown: "of an unknown kind",
};

/** Acts as the person on the service's page. @returns where the browser goes with the result */
async function authorize(location: string, mail: Pick<MailSink, "mails">): Promise<string> {
  const opened = await fetch(location, { redirect: "manual" });
  await opened.body?.cancel();
  const page = new URL(opened.headers.get("location") ?? "about:blank");
  const ticket = page.hash.slice(1);
  if (ticket === "") throw new Error("The signing service did not open its page.");
  const sent = await post(`${page.origin}/otp/send`, {}, ticket);
  const otp = /^OTP (\d+) /.exec(mail.mails.at(-1)?.text ?? "")?.[1];
  if (sent.ok !== true || !otp) throw new Error(`No OTP came: ${JSON.stringify(sent)}`);
  const answered = await post(`${page.origin}/otp/answer`, {
    decision: "approve",
    pin: ENGINEER.pin,
    otp,
    language: "en",
  }, ticket);
  if (answered.ok !== true) {
    throw new Error(`PIN and OTP were refused: ${JSON.stringify(answered)}`);
  }
  return String(answered.redirect);
}

async function signByToken(
  portal: string,
  id: string,
  { port, fingerprint }: { port: number; fingerprint: string },
): Promise<{ pdf: Blob }> {
  const page = await connectAs(portal, port);
  try {
    await page.call("origin.request", {
      scopes: ["certificates", "sign"],
      purpose: "To sign Technical Sanctions",
    });
    const file = await (await fetch(`${portal}/sanctions/${id}.pdf`)).blob();
    return await page.signPdf(file, {
      certificate: fingerprint,
      name: "sanction.pdf",
      purpose: "Technical Sanction",
      level: "B-LT",
    });
  } finally {
    page.close();
  }
}
